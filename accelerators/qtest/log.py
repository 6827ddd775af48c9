"""The record of a conversation, in the form of QEMU's -qtest-log."""

from __future__ import annotations

import time
from pathlib import Path

from southbridge.errors import SouthbridgeError

STANDARD_ERROR = Path("/dev/stderr")
"""May be a file of somebody else's, to be added to."""


class Log:
    """Writes to the file at `path`: R are a client's lines, S ours, I what became of it; with seconds since it came."""

    def __init__(self, path: Path) -> None:
        """Raises SouthbridgeError."""
        try:
            self._file = path.open("ab" if path == STANDARD_ERROR else "wb", buffering=0)
        except OSError as error:
            raise SouthbridgeError(f"{path}: can't be written: {error.strerror}") from None
        self._start = time.monotonic()

    def opened(self) -> None:
        """A client came."""
        self._start = time.monotonic()
        self._file.write(b"[I 0.000000] OPENED\n")

    def closed(self) -> None:
        """It went."""
        self._file.write(b"[I +%.06f] CLOSED\n" % self._now())

    def received(self, line: bytes) -> None:
        """What it said."""
        self._file.write(b"[R +%.06f] %s\n" % (self._now(), line))

    def sent(self, line: bytes) -> None:
        """What it is told."""
        self._file.write(b"[S +%.06f] %s" % (self._now(), line))

    def close(self) -> None:
        """No more."""
        self._file.close()

    def _now(self) -> float:
        return time.monotonic() - self._start
