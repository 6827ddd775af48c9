"""A file that appears under its name complete and on its medium, or not at all.

It is written under a name of its own in the same folder, and renamed at the end; what had the name before is there,
whole, until that instant, whatever happens. A writer holds a lock (flock(2)) on its file, so that one that was killed
can be told by the next from one that is at work, and its remains removed.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import secrets
import stat
from collections.abc import Iterator

from ..errors import SouthbridgeError
from ..units import MiB

PREFIX, SUFFIX = ".southbridge-snapshot-", ".partial"
BUFFER = MiB
"""What is gathered for one write, in bytes."""


class AtomicFile:
    """The file `path`, replaced once `commit` is called. A context manager: left without, nothing has happened."""

    def __init__(self, path: str | os.PathLike[str]) -> None:
        """Raises SouthbridgeError if nothing can be written there."""
        try:
            self.path = os.path.realpath(path)
        except ValueError as error:
            raise SouthbridgeError(f"{os.fspath(path)!r}: can't be written: {error}") from None
        folder, self._name = os.path.split(self.path)
        self._waiting: list[bytes] = []
        self._gathered = 0
        self._descriptor = self._folder = -1
        self._temporary = ""
        with self._explained():
            if os.path.lexists(self.path) and not stat.S_ISREG(os.lstat(self.path).st_mode):
                raise SouthbridgeError(f"{path}: can't be written: it is there, and not a regular file")
            self._folder = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
            self._tidy()
            self._create()

    def __enter__(self) -> AtomicFile:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def write(self, data: bytes) -> None:
        """Appends `data`. Raises SouthbridgeError."""
        self._waiting.append(data)
        self._gathered += len(data)
        if self._gathered >= BUFFER:
            self._send()

    def commit(self) -> None:
        """The file takes its name. Raises SouthbridgeError, with the earlier one in place, if that can't be."""
        self._send()
        with self._explained():
            os.fsync(self._descriptor)
            os.rename(self._temporary, self._name, src_dir_fd=self._folder, dst_dir_fd=self._folder)
            self._temporary = ""
            os.fsync(self._folder)
        self.close()

    def close(self) -> None:
        """Drops the file, if it has no name yet; may be called twice."""
        if self._temporary:
            with contextlib.suppress(OSError):
                os.unlink(self._temporary, dir_fd=self._folder)
            self._temporary = ""
        for descriptor in (self._descriptor, self._folder):
            if descriptor >= 0:
                os.close(descriptor)
        self._descriptor = self._folder = -1

    @contextlib.contextmanager
    def _explained(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            self.close()
            raise SouthbridgeError(f"{self.path}: can't be written: {error.strerror}") from None
        except SouthbridgeError:
            self.close()
            raise

    def _create(self) -> None:
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
        while True:
            name = f"{PREFIX}{secrets.token_hex(8)}{SUFFIX}"
            descriptor = os.open(name, flags, 0o600, dir_fd=self._folder)
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            # Somebody who tidied up in the meantime took it for remains.
            if os.fstat(descriptor).st_nlink:
                self._descriptor, self._temporary = descriptor, name
                return
            os.close(descriptor)

    def _tidy(self) -> None:
        """Removes what killed writers left in the folder."""
        for name in os.listdir(self._folder):
            if name.startswith(PREFIX) and name.endswith(SUFFIX):
                with contextlib.suppress(OSError):
                    _remove_if_dead(name, self._folder)

    def _send(self) -> None:
        data = memoryview(b"".join(self._waiting))
        self._waiting.clear()
        self._gathered = 0
        with self._explained():
            while data:
                data = data[os.write(self._descriptor, data) :]


def _remove_if_dead(name: str, folder: int) -> None:
    descriptor = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=folder)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        os.unlink(name, dir_fd=folder)
    finally:
        os.close(descriptor)
