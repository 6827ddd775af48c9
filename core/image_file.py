"""A disk image's file: opened, locked against other users, and read and written at offsets.

The locks are QEMU's, so that an image in use by QEMU is safe from us and the reverse: an open file description holds
a shared lock on one byte for each thing that it does (from byte 100), and on another for each thing that it suffers
nobody else to do (from byte 200). Whoever comes later asks whether those bytes contradict what it wants. Nobody ever
takes an exclusive lock, so two openings can't both succeed, and a lock ends with the process that held it.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import logging
import os
import stat
import struct

from .block import BlockError
from .errors import SouthbridgeError
from .fdsets import FD_SETS, is_set

_USES, _FORBIDS = 100, 200
_READING, _WRITING, _RESIZING = 0, 1, 3
_FLOCK = "hhqqi4x"  # struct flock: type, whence, start, length, pid

logger = logging.getLogger(__name__)


class ImageFile:
    """A regular file or block device, open for reading and, if `writable`, writing. Offsets are bytes."""

    def __init__(self, path: str | os.PathLike[str], writable: bool) -> None:
        """Opens and locks it. Raises SouthbridgeError if that can't be done or somebody else is using it."""
        self.path = os.fspath(path)
        self.writable = writable
        try:
            # Looked at before it is opened, since opening a FIFO or a terminal may block or do something.
            mode = stat.S_IFREG if is_set(self.path) else os.stat(self.path).st_mode
            if not stat.S_ISREG(mode) and not stat.S_ISBLK(mode):
                raise SouthbridgeError(f"{self.path}: expected an image file or a block device")
            self._fd = FD_SETS.open(self.path, (os.O_RDWR if writable else os.O_RDONLY) | os.O_CLOEXEC)
        except OSError as error:
            advice = ""
            if writable and error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
                advice = "; to leave it unwritten, set read_only or overlay to true"
            raise SouthbridgeError(f"{self.path}: cannot open the image: {error.strerror}{advice}") from None
        except ValueError as error:
            raise SouthbridgeError(f"{self.path!r}: cannot open the image: {error}") from None
        try:
            self._lock()
            status = os.fstat(self._fd)
            self.identity = (status.st_dev, status.st_ino)
            self.length = os.lseek(self._fd, 0, os.SEEK_END)
        except BaseException:
            self.close()
            raise

    def read(self, offset: int, length: int) -> bytes:
        """`length` bytes at `offset`, fewer where the file ends. Raises BlockError."""
        try:
            data = os.pread(self._fd, length, offset)
            while len(data) < length and (more := os.pread(self._fd, length - len(data), offset + len(data))):
                data += more
        except OSError as error:
            raise self._error(error) from None
        return data

    def write(self, offset: int, data: bytes) -> None:
        """Writes all of `data` at `offset`, which may make the file longer. Raises BlockError."""
        try:
            written = os.pwrite(self._fd, data, offset)
            while written < len(data):
                written += os.pwrite(self._fd, data[written:], offset + written)
        except OSError as error:
            raise self._error(error) from None

    def flush(self) -> None:
        """Puts what was written on the medium. Raises BlockError."""
        try:
            os.fdatasync(self._fd)
        except OSError as error:
            raise self._error(error) from None

    def facts(self) -> dict[str, int]:
        """Size and time of the last change, in ns: what differs once somebody has written to it. Raises BlockError."""
        try:
            status = os.fstat(self._fd)
        except OSError as error:
            raise self._error(error) from None
        if stat.S_ISBLK(status.st_mode):
            return {"size": self.length}
        return {"size": status.st_size, "changed": status.st_mtime_ns}

    def unlock(self) -> None:
        """Others may use the image, whatever for."""
        with contextlib.suppress(OSError):  # the file system has no locks
            for byte in range(_RESIZING + 1):
                for base in (_USES, _FORBIDS):
                    fcntl.fcntl(self._fd, fcntl.F_OFD_SETLK, _flock(fcntl.F_UNLCK, base + byte))

    def lock(self) -> None:
        """Locks it again. Raises SouthbridgeError if somebody else is using it."""
        try:
            self._lock()
        except SouthbridgeError:
            self.unlock()
            raise

    def close(self) -> None:
        """Closes the file and gives up the locks; may be called twice."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1

    def _error(self, error: OSError) -> BlockError:
        return BlockError(error.errno or errno.EIO, self.path)

    def _lock(self) -> None:
        uses = [_READING, _WRITING, _RESIZING] if self.writable else [_READING]
        forbids = [_WRITING, _RESIZING]
        try:
            for byte in [_USES + thing for thing in uses] + [_FORBIDS + thing for thing in forbids]:
                fcntl.fcntl(self._fd, fcntl.F_OFD_SETLK, _flock(fcntl.F_RDLCK, byte))
            if any(self._held_by_others(_USES + thing) for thing in forbids):
                raise SouthbridgeError(f"{self.path}: another machine or program has the image open for writing")
            if any(self._held_by_others(_FORBIDS + thing) for thing in uses):
                raise SouthbridgeError(
                    f"{self.path}: another machine or program has the image open, so it can't be opened for writing; "
                    "set read_only or overlay to true to share it"
                )
        except OSError as error:
            logger.warning("%s: the file system has no locks, so nothing guards the image: %s", self.path, error)

    def _held_by_others(self, byte: int) -> bool:
        answer = fcntl.fcntl(self._fd, fcntl.F_OFD_GETLK, _flock(fcntl.F_WRLCK, byte))
        return bool(struct.unpack(_FLOCK, answer)[0] != fcntl.F_UNLCK)


def _flock(kind: int, byte: int) -> bytes:
    return struct.pack(_FLOCK, kind, os.SEEK_SET, byte, 1, 0)
