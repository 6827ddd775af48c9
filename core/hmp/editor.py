"""Editing a line at the far end of a terminal, where the keys come from one by one."""

from __future__ import annotations

from collections.abc import Callable

LONGEST = 4096
MOST_HISTORY = 64
_START_OF_LINE = b"\r\x1b[K"
_KEYS = {
    0x01: "home", 0x02: "left", 0x04: "delete", 0x05: "end", 0x06: "right", 0x08: "back", 0x09: "complete",
    0x0A: "enter", 0x0B: "kill", 0x0C: "redraw", 0x0D: "enter", 0x0E: "down", 0x10: "up", 0x15: "clear",
    0x17: "back_word", 0x7F: "back",
}  # fmt: skip
_SEQUENCES = {
    "A": "up", "B": "down", "C": "right", "D": "left", "H": "home", "F": "end",
    "1~": "home", "3~": "delete", "4~": "end", "7~": "home", "8~": "end",
}  # fmt: skip
"""What follows ESC [ or ESC O."""


class LineEditor:
    """Keys in by `feed`, what the terminal is to show out by `write`.

    `complete(text)` gives the words that what is before the cursor may end in.
    """

    def __init__(self, prompt: str, write: Callable[[bytes], None], complete: Callable[[str], list[str]]) -> None:
        self.history: list[str] = []
        """Oldest first."""
        self._prompt = prompt
        self._write = write
        self._complete = complete
        self._line = ""
        self._cursor = 0
        self._chosen = 0
        """Which line of the history is shown; one beyond the last for the new line."""
        self._new = ""
        self._escape: str | None = None
        """What came of an escape sequence."""
        self._after_return = False

    def show(self) -> None:
        """The prompt and the line, as they are."""
        back = f"\x1b[{len(self._line) - self._cursor}D" if self._cursor < len(self._line) else ""
        self._write(_START_OF_LINE + f"{self._prompt}{self._line}{back}".encode())

    def feed(self, data: bytes) -> list[str]:
        """The lines that are complete with `data`."""
        lines: list[str] = []
        for byte in data:
            after_return, self._after_return = self._after_return, byte == 0x0D
            if self._escape is not None:
                self._continue_sequence(chr(byte))
            elif byte == 0x1B:
                self._escape = ""
            elif byte == 0x0A and after_return:
                pass  # of CR LF
            elif byte in _KEYS:
                line = self._press(_KEYS[byte])
                if line is not None:
                    lines.append(line)
            elif 0x20 <= byte < 0x7F and len(self._line) < LONGEST:
                self._insert(chr(byte))
        return lines

    def _continue_sequence(self, character: str) -> None:
        sequence = self._escape = f"{self._escape}{character}"
        if sequence in ("[", "O") or (sequence[1:].isdecimal() and len(sequence) < 4):
            return
        self._escape = None
        if (key := _SEQUENCES.get(sequence[1:])) is not None and sequence[0] in "[O":
            self._press(key)

    def _press(self, key: str) -> str | None:
        if key == "enter":
            return self._enter()
        line, cursor = self._line, self._cursor
        if key in ("up", "down"):
            self._choose(self._chosen + (1 if key == "down" else -1))
        elif key == "complete":
            self._complete_word()
        elif key == "left":
            self._cursor = max(cursor - 1, 0)
        elif key == "right":
            self._cursor = min(cursor + 1, len(line))
        elif key == "home":
            self._cursor = 0
        elif key == "end":
            self._cursor = len(line)
        elif key == "back" and cursor:
            self._change(cursor - 1, cursor)
        elif key == "delete":
            self._change(cursor, cursor + 1)
        elif key == "kill":
            self._change(cursor, len(line))
        elif key == "clear":
            self._change(0, len(line))
        elif key == "back_word":
            self._change(line[:cursor].rstrip().rfind(" ") + 1, cursor)
        self.show()
        return None

    def _change(self, start: int, end: int, text: str = "") -> None:
        """Puts `text` in the place of what is from `start` to `end`."""
        self._line = self._line[:start] + text + self._line[end:]
        self._cursor = start + len(text)

    def _insert(self, text: str) -> None:
        at_end = self._cursor == len(self._line)
        self._change(self._cursor, self._cursor, text)
        if at_end:
            self._write(text.encode())
        else:
            self.show()

    def _enter(self) -> str:
        line, self._line, self._cursor = self._line, "", 0
        self._write(b"\r\n")
        if line.strip() and line not in self.history[-1:]:
            self.history.append(line)
            del self.history[:-MOST_HISTORY]
        self._chosen = len(self.history)
        return line

    def _choose(self, number: int) -> None:
        if not 0 <= number <= len(self.history):
            return
        if self._chosen == len(self.history):
            self._new = self._line
        self._chosen = number
        self._line = self.history[number] if number < len(self.history) else self._new
        self._cursor = len(self._line)

    def _complete_word(self) -> None:
        before = self._line[: self._cursor]
        found = sorted(self._complete(before))
        start = before.rfind(" ") + 1
        typed = before[start:]
        if len(found) == 1:
            self._change(start, self._cursor, found[0] + " ")
        elif found:
            common = _common_start(found)
            if len(common) > len(typed):
                self._change(start, self._cursor, common)
            else:
                self._write(b"\r\n" + "  ".join(found).encode() + b"\r\n")


def _common_start(words: list[str]) -> str:
    first, last = min(words), max(words)
    length = next((at for at, letter in enumerate(first) if last[at : at + 1] != letter), len(first))
    return first[:length]
