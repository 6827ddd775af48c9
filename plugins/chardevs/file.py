"""A character back end that writes to a file."""

from __future__ import annotations

import asyncio
import logging
import os
import stat
import threading

from southbridge.charstream import StreamCharBackend
from southbridge.errors import SouthbridgeError
from southbridge.properties import FilePath, Property

logger = logging.getLogger(__name__)


class FileChardev(StreamCharBackend):
    """Writes output to a file, or to a FIFO or a device that somebody reads; has no input.

    The file is emptied only when the machine starts: a machine that fails to be built leaves it as it was.
    """

    path: FilePath = Property(doc="The file; made if it doesn't exist.")
    append: bool = Property(False, doc="Whether to keep what is in it.")

    _fd: int | None = None

    def open(self) -> None:
        """Opens the file. Raises SouthbridgeError."""
        super().open()
        try:
            # Non-blocking, so that a FIFO without a reader is refused at once, and a slow reader can't stop a vCPU.
            flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC
            self._fd = os.open(self.path, flags, 0o666)
        except (OSError, ValueError) as error:
            reason = error.strerror if isinstance(error, OSError) else error
            raise SouthbridgeError(f"{self.path}: cannot write to it: {reason}") from None
        self._connect(None, self._fd)

    def start(self, loop: asyncio.AbstractEventLoop, lock: threading.RLock) -> None:
        """Empties the file, unless it is appended to, and begins to write."""
        if self._fd is not None and not self.append and stat.S_ISREG(os.fstat(self._fd).st_mode):
            os.ftruncate(self._fd, 0)
        super().start(loop, lock)

    def close(self) -> None:
        """Writes what is pending, and closes the file."""
        super().close()
        if self._fd is not None:
            os.close(self._fd)
            self._fd = None

    def _input_ended(self) -> None:
        pass  # there is none

    def _output_ended(self, error: OSError) -> None:
        logger.error("%s: output is dropped from now on: %s", self.path, error.strerror)
