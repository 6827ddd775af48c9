"""Unix sockets at which somebody listens, as files (unix(7))."""

from __future__ import annotations

import contextlib
import os
import socket
import stat
from pathlib import Path


def remove_stale_socket(path: Path, timeout_s: float | None = None) -> bool:
    """Removes what a server that was killed has left at `path`. True: somebody listens there, who is left alone.

    Anything else is left too, for bind to complain of. Raises OSError if the socket there can't be tried.
    """
    if not path.is_socket():
        return False
    with socket.socket(socket.AF_UNIX) as probe, contextlib.suppress(ConnectionRefusedError, FileNotFoundError):
        probe.settimeout(timeout_s)
        probe.connect(str(path))
        return True
    with contextlib.suppress(FileNotFoundError):
        os.unlink(path)
    return False


class SocketFile:
    """The file of a socket that was just bound to `path`, to be removed at the end."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._identity = _identity(path)

    def remove(self) -> None:
        """Removes it, unless it is another's by now, or may not be removed."""
        if self._identity is not None and _identity(self._path) == self._identity:
            with contextlib.suppress(OSError):
                os.unlink(self._path)


def _identity(path: Path) -> tuple[int, int] | None:
    try:
        status = os.stat(path)
    except OSError:
        return None
    return (status.st_dev, status.st_ino) if stat.S_ISSOCK(status.st_mode) else None
