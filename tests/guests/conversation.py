"""A talk with a program whose standard input and output are a guest's serial port: wait for this, type that.

Waits are `select` with a deadline, never a sleep. The program is always ended and reaped.
"""

from __future__ import annotations

import contextlib
import os
import re
import selectors
import subprocess
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

_CONTROL_SEQUENCE = re.compile(rb"\x1b(\[[0-9;?]*[ -/]*[@-~]|[@-Z\\-_c])")
_CHUNK = 65536
_SHOWN_TAIL = 2000


@dataclass(frozen=True)
class Result:
    """What a talk gave: all bytes from the guest, the exit status (None: ended by us), seconds since the start."""

    output: bytes
    status: int | None
    seconds: float


Reply = bytes | Callable[[], object]
"""What a text is answered with: something typed, or something done to the machine."""


class GuestDidNotAnswer(AssertionError):
    """The guest did not say in time what the test waits for, or ended before; the text shows what it said."""


def plain(output: bytes) -> bytes:
    """Serial output without terminal control sequences and carriage returns."""
    return _CONTROL_SEQUENCE.sub(b"", output).replace(b"\r", b"")


class _Talk:
    def __init__(self, process: subprocess.Popen[bytes], deadline: float) -> None:
        assert process.stdout is not None
        self._process = process
        self._deadline = deadline
        self._descriptor = process.stdout.fileno()
        self._selector = selectors.DefaultSelector()
        self._selector.register(self._descriptor, selectors.EVENT_READ)
        self.output = bytearray()
        self._searched = 0
        """Everything before this offset has been answered already."""

    def close(self) -> None:
        self._selector.close()

    def _read(self, waiting_for: str) -> bool:
        """Takes what the guest says next; False at the end of its output."""
        if not self._selector.select(max(0.0, self._deadline - time.monotonic())):
            raise self._failure(f"gave up waiting for {waiting_for}")
        chunk = os.read(self._descriptor, _CHUNK)
        self.output += chunk
        return bool(chunk)

    def _failure(self, what: str) -> GuestDidNotAnswer:
        tail = plain(bytes(self.output[-_SHOWN_TAIL:])).decode("ascii", "replace")
        return GuestDidNotAnswer(f"{what}; the guest's last words:\n{tail}")

    def wait_for(self, text: bytes) -> None:
        """Until `text` comes, control sequences left out, after what was waited for before."""
        while True:
            # The comparison is with the plain text, so that a terminal's attributes between two words do no harm.
            at = plain(bytes(self.output)).find(text, self._searched)
            if at >= 0:
                self._searched = at + len(text)
                return
            if not self._read(repr(text)):
                raise self._failure(f"the program ended before it said {text!r}")

    def wait_for_end(self) -> int:
        while self._read("the program's end"):
            pass
        try:
            return self._process.wait(max(0.0, self._deadline - time.monotonic()))
        except subprocess.TimeoutExpired:
            raise self._failure("closed its output, but did not end") from None


def talk(
    command: Sequence[str | Path],
    *,
    send: Sequence[tuple[bytes, Reply]] = (),
    until: bytes | None = None,
    timeout_s: float,
) -> Result:
    """Runs `command` and talks to the guest on its standard input and output.

    For each pair in `send`, in order: waits for the first text, then types the second, or calls it. Then waits for
    `until`, and ends the program; without `until`, waits for its own end. Texts are compared without terminal control
    sequences, and each is looked for only after the one before.

    Raises `GuestDidNotAnswer` after `timeout_s` seconds in all, or if the program ends too early.
    """
    start = time.monotonic()
    with (
        tempfile.TemporaryFile() as messages,
        subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=messages, bufsize=0) as process,
    ):
        assert process.stdin is not None
        conversation = _Talk(process, start + timeout_s)
        status = None
        try:
            for expected, text in send:
                conversation.wait_for(expected)
                if callable(text):
                    text()
                    continue
                with contextlib.suppress(BrokenPipeError):  # the next wait tells of the program's end
                    process.stdin.write(text)
            if until is None:
                status = conversation.wait_for_end()
            else:
                conversation.wait_for(until)
        except GuestDidNotAnswer as error:
            messages.seek(0)
            raise GuestDidNotAnswer(f"{error}\nmessages: {messages.read().decode(errors='replace')}") from None
        finally:
            conversation.close()
            process.kill()
        return Result(bytes(conversation.output), status, time.monotonic() - start)
