"""A line that somebody typed, taken apart from left to right by the word that it begins with.

The forms, and what is said of wrong ones, are those of QEMU's monitor.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import NamedTuple

SIZES = {"b": 1, "h": 2, "w": 4, "g": 8}
FORMATS = "cdioux"
_ESCAPES = {"n": "\n", "r": "\r", "\\": "\\", "'": "'", '"': '"'}
MOST_ITEMS = 1 << 16


class LineError(Exception):
    """What is wrong with a line, in a sentence. `help`: whether the word's help may help."""

    def __init__(self, message: str, *, help: bool = True) -> None:
        super().__init__(message)
        self.help = help


class Format(NamedTuple):
    """How values are shown: `/10xw` is ten items, in hexadecimal, of a word each. `size` in bytes."""

    items: int
    kind: str
    size: int


class Line:
    """What follows the word. `name` is how errors call it, `register` gives registers' values by name."""

    def __init__(self, text: str, name: str = "", register: Callable[[str], int] | None = None) -> None:
        self.name = name
        self.register = register
        self._text = text
        self._at = 0

    def peek(self) -> str:
        """The next character that is no space; "" at the end."""
        while self._at < len(self._text) and self._text[self._at].isspace():
            self._at += 1
        return self._text[self._at : self._at + 1]

    def take(self) -> str:
        """That character, taken."""
        character = self.peek()
        self._at += len(character)
        return character

    def take_if(self, allowed: str) -> str:
        """The next character, if it is one of `allowed`; spaces before it count for nothing."""
        return self.take() if (following := self.peek()) and following in allowed else ""

    def next(self) -> str:
        """The next character, taken; spaces count."""
        self._at += 1
        return self._text[self._at - 1 : self._at]

    def match(self, pattern: re.Pattern[str]) -> str:
        """What fits `pattern` from the next character on that is no space; "" if nothing does."""
        self.peek()
        found = pattern.match(self._text, self._at)
        if found is None:
            return ""
        self._at = found.end()
        return found[0]

    def run(self, wanted: Callable[[str], bool]) -> str:
        """The characters from here on that are `wanted`; a space is one like any other."""
        start = self._at
        while self._at < len(self._text) and wanted(self._text[self._at]):
            self._at += 1
        return self._text[start : self._at]

    def word(self, missing: str = "string expected") -> str:
        """The next word, or text in double quotes. Raises LineError if there is none."""
        found = self.optional_word()
        if found is None:
            raise LineError(f"{self.name}: {missing}")
        return found

    def optional_word(self) -> str | None:
        """The next word, or None."""
        following = self.peek()
        if not following:
            return None
        if following == '"':
            return self._quoted()
        return self.run(lambda character: not character.isspace())

    def _quoted(self) -> str:
        self.take()
        found: list[str] = []
        while True:
            if self._at >= len(self._text):
                raise LineError("unterminated string")
            character = self._text[self._at]
            self._at += 1
            if character == '"':
                return "".join(found)
            if character == "\\":
                escaped = self._text[self._at : self._at + 1]
                self._at += 1
                if escaped not in _ESCAPES:
                    raise LineError(f"unsupported escape code: '\\{escaped}'")
                character = _ESCAPES[escaped]
            found.append(character)

    def flag(self, letter: str) -> bool:
        """Whether `-letter` comes next. Raises LineError for another one."""
        if self.peek() != "-":
            return False
        given = self.optional_word() or ""
        if given == f"-{letter}":
            return True
        raise LineError(f"{self.name}: unsupported option {given}")

    def rest(self) -> str:
        """Whatever is left."""
        self.peek()
        left, self._at = self._text[self._at :], len(self._text)
        return left.rstrip()

    def end(self) -> None:
        """Raises LineError if anything is left."""
        if self.peek():
            raise LineError(f"{self.name}: extraneous characters at the end of line")

    def format(self, default: Format) -> Format:
        """`/10xw` and the like, if it is there; what it leaves open is as in `default`. Raises LineError."""
        if self.peek() != "/":
            return default._replace(items=1)
        self.take()
        digits = self.run(str.isdecimal)
        count = int(digits[:9]) if digits else 1
        kind, size = "", 0
        for character in self.run(lambda character: not character.isspace()):
            if character in SIZES:
                size = SIZES[character]
            elif character in FORMATS:
                kind = character
            else:
                raise LineError(f"invalid char in format: '{character}'")
        if count > MOST_ITEMS:
            raise LineError(f"{self.name}: more than {MOST_ITEMS} values")
        kind = kind or default.kind
        return Format(count, kind, default.size if kind == "i" else size or default.size)  # instructions have their own
