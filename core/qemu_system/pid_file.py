"""-pidfile: a file with the process' number, locked while the process lives, and removed at its end."""

from __future__ import annotations

import contextlib
import fcntl
import os

from ..errors import SouthbridgeError


class PidFile:
    """The file at `path`. Raises SouthbridgeError if it can't be written, or another process has it."""

    def __init__(self, path: str) -> None:
        self._path = os.path.abspath(path)
        try:
            self._descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            try:
                fcntl.lockf(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                os.ftruncate(self._descriptor, 0)
                os.write(self._descriptor, f"{os.getpid()}\n".encode())
            except OSError:
                os.close(self._descriptor)
                raise
        except OSError as error:
            raise SouthbridgeError(f"-pidfile {path}: can't be written: {error.strerror}") from None

    def remove(self) -> None:
        """Removes it; nothing, where it is out of reach by now."""
        with contextlib.suppress(OSError):
            os.unlink(self._path)
        os.close(self._descriptor)
