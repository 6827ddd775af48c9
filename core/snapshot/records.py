"""The file: a magic number, records with checksums, a digest. docs/snapshot-format.md describes it.

Nothing that a file says is believed before it was checked against a limit, and no record makes us allocate more than
`CHUNK` bytes, but for the two JSON texts, which have limits of their own. No part of a file is ever executed.
"""

from __future__ import annotations

import hashlib
import os
import stat
import struct
import zlib
from collections.abc import Callable, Iterator
from typing import NamedTuple

import zstandard

from ..errors import SouthbridgeError
from ..units import KiB, MiB, format_size

MAGIC = b"\x93SBSNAP\n"
VERSION = 1
CHUNK = 256 * KiB
"""How much memory or disk a record holds at most, in bytes."""
LEVEL = 1
"""zstd's: memory compresses faster than a disk writes."""

HEADER, STATE, MEMORY, DISK, END = b"HEAD", b"STAT", b"MEMO", b"DISK", b"ENDS"
ORDER = (HEADER, STATE, MEMORY, DISK, END)
LIMITS = {HEADER: 4 * MiB, STATE: 32 * MiB, MEMORY: CHUNK, DISK: CHUNK, END: 0}
"""The most that each kind holds, decompressed."""

_START = struct.Struct("<8sI")  # magic, version
_RECORD = struct.Struct("<4sIQII")  # kind, index, offset, length, stored length
_CHECK = struct.Struct("<I")
DIGEST_SIZE = 32


class Record(NamedTuple):
    """One record: of block or disk `number`, `data` at `offset`."""

    kind: bytes
    number: int
    offset: int
    data: bytes


class NotASnapshot(SouthbridgeError):
    """The file can't be restored from; its text says why."""


class Writer:
    """Writes records through `write`, in the order of ORDER and of indices and offsets."""

    def __init__(self, write: Callable[[bytes], object]) -> None:
        self._write = write
        self._digest = _digest()
        self._compressor = zstandard.ZstdCompressor(level=LEVEL)
        self._put(_START.pack(MAGIC, VERSION))

    def add(self, kind: bytes, data: bytes | memoryview, index: int = 0, offset: int = 0) -> None:
        """Writes a record. Raises SouthbridgeError if `data` is too much for one."""
        length = len(data)
        if length > LIMITS[kind]:
            limit = format_size(LIMITS[kind])
            raise SouthbridgeError(f"the machine's state has {format_size(length)}; a snapshot has room for {limit}")
        stored = self._compressor.compress(data)
        head = _RECORD.pack(kind, index, offset, length, len(stored))
        self._put(head + _CHECK.pack(zlib.crc32(stored, zlib.crc32(head))))
        self._put(stored)

    def end(self) -> None:
        """Writes the last record, whose contents are the digest of everything before."""
        head = _RECORD.pack(END, 0, 0, 0, DIGEST_SIZE)
        self._write(head + self._digest.digest())

    def _put(self, data: bytes) -> None:
        self._digest.update(data)
        self._write(data)


class Reader:
    """Reads the records of the file at `path`. A context manager: the file is open for the block."""

    def __init__(self, path: str | os.PathLike[str]) -> None:
        """Raises NotASnapshot if it isn't the beginning of one that we can read."""
        self.path = os.fspath(path)
        try:
            # Without waiting for somebody at the other end, should it be a FIFO.
            descriptor = os.open(self.path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC)
        except OSError as error:
            raise NotASnapshot(f"{self.path}: can't be read: {error.strerror}") from None
        except ValueError as error:
            raise NotASnapshot(f"{self.path!r}: can't be read: {error}") from None
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode):
            os.close(descriptor)
            raise NotASnapshot(f"{self.path}: not a snapshot: not a regular file")
        self.size = status.st_size
        self._file = os.fdopen(descriptor, "rb", buffering=MiB)
        try:
            self._decompressor = zstandard.ZstdDecompressor()
            self._rewind()
        except BaseException:
            self._file.close()
            raise

    def __enter__(self) -> Reader:
        return self

    def __exit__(self, *exception: object) -> None:
        self._file.close()

    def error(self, what: str) -> NotASnapshot:
        """An exception that says of the file that it is `what`."""
        return NotASnapshot(f"{self.path}: {what}")

    def verify(self) -> None:
        """Reads all of it, and raises NotASnapshot unless every byte is as it was written."""
        for _ in self._stored():
            pass

    def records(self) -> Iterator[Record]:
        """Every record but the last, from the first on. Raises NotASnapshot where the file is wrong."""
        for kind, index, offset, length, stored in self._stored():
            yield Record(kind, index, offset, self._decompress(stored, length))

    def _rewind(self) -> None:
        self._file.seek(0)
        self._digest = _digest()
        magic, version = _START.unpack(self._read(_START.size, "not a snapshot"))
        if magic != MAGIC:
            raise self.error("not a snapshot")
        if version > VERSION or not version:
            raise self.error(f"a snapshot of format {version}; this Southbridge reads formats up to {VERSION}")

    def _stored(self) -> Iterator[tuple[bytes, int, int, int, bytes]]:
        """Kind, index, offset, length, and what is stored, of each record but the last; all is checked."""
        self._rewind()
        number = 0
        last, end = (0, 0), 0
        while True:
            before = self._digest.copy()
            head = self._read(_RECORD.size)
            kind, index, offset, length, size = _RECORD.unpack(head)
            if kind not in ORDER or length > LIMITS[kind] or size > _most_stored(kind, length):
                raise self._altered()
            if (number < 2 and (kind != ORDER[number] or index or offset)) or (number >= 2 and kind in ORDER[:2]):
                raise self._altered()
            if kind == END:
                self._check_end(head, before.digest())
                return
            (check,) = _CHECK.unpack(self._read(_CHECK.size))
            stored = self._read(size)
            place = (ORDER.index(kind), index)
            if zlib.crc32(stored, zlib.crc32(head)) != check or place < last or (place == last and offset < end):
                raise self._altered()
            number, last, end = number + 1, place, offset + length
            yield kind, index, offset, length, stored

    def _check_end(self, head: bytes, digest: bytes) -> None:
        if head != _RECORD.pack(END, 0, 0, 0, DIGEST_SIZE) or self._read(DIGEST_SIZE) != digest:
            raise self._altered()
        if self._file.read(1):
            raise self.error("damaged: something follows its end")

    def _decompress(self, stored: bytes, length: int) -> bytes:
        try:
            # The library allocates what the frame says; so that is asked first.
            if zstandard.frame_content_size(stored) != length:
                raise self._altered()
            data = self._decompressor.decompress(stored, max_output_size=length) if length else b""
        except zstandard.ZstdError:
            raise self._altered() from None
        if len(data) != length:
            raise self._altered()
        return data

    def _read(self, length: int, otherwise: str = "truncated") -> bytes:
        try:
            data = self._file.read(length)
        except OSError as error:
            raise self.error(f"can't be read: {error.strerror}") from None
        if len(data) != length:
            raise self.error(otherwise)
        self._digest.update(data)
        return data

    def _altered(self) -> NotASnapshot:
        return self.error("damaged: its contents aren't what was saved")


def _digest() -> hashlib.blake2b:
    return hashlib.blake2b(digest_size=DIGEST_SIZE)


def _most_stored(kind: bytes, length: int) -> int:
    """What `length` bytes take at most: zstd's bound for data that don't compress, and the frame around them."""
    return DIGEST_SIZE if kind == END else length + (length >> 8) + KiB
