"""A copy-on-write overlay: what a guest writes goes to a temporary file, and the image below stays as it is.

The temporary file is sparse, has no name, and is gone when it is closed or the process ends, however it ends. Like
QEMU's, it lies in $TMPDIR or, since a memory file system is a bad place for a disk, in /var/tmp.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Callable, Iterator

from .block import BlockError
from .errors import SouthbridgeError

CLUSTER = 64 << 10
"""What is copied from the image when the first byte of it is written, in bytes."""

_PAGE_BITS = 15  # a bitmap page is 4 KiB and stands for 2 GiB of the disk


class _ClusterSet:
    """A set of cluster numbers as a bitmap that takes memory only where there are members."""

    def __init__(self) -> None:
        self._pages: dict[int, bytearray] = {}

    def __contains__(self, cluster: int) -> bool:
        page = self._pages.get(cluster >> _PAGE_BITS)
        return page is not None and bool(page[cluster >> 3 & (1 << _PAGE_BITS - 3) - 1] >> (cluster & 7) & 1)

    def add(self, cluster: int) -> None:
        page = self._pages.setdefault(cluster >> _PAGE_BITS, bytearray(1 << _PAGE_BITS - 3))
        page[cluster >> 3 & (1 << _PAGE_BITS - 3) - 1] |= 1 << (cluster & 7)

    def __iter__(self) -> Iterator[int]:
        """The members, ascending."""
        for page in sorted(self._pages):
            for index, byte in enumerate(self._pages[page]):
                if byte:
                    first = (page << _PAGE_BITS) + (index << 3)
                    yield from (first + bit for bit in range(8) if byte >> bit & 1)


class Overlay:
    """A writable disk of `size` bytes over what `read_base(offset, length)` returns."""

    def __init__(self, read_base: Callable[[int, int], bytes], size: int) -> None:
        """Raises SouthbridgeError if no temporary file can be made."""
        import tempfile  # which a machine whose disks keep what is written needn't import

        directory = os.environ.get("TMPDIR", "/var/tmp")
        try:
            self._file = tempfile.TemporaryFile(buffering=0, dir=directory)  # noqa: SIM115
        except OSError as error:
            raise SouthbridgeError(f"{directory}: cannot hold an overlay: {error.strerror}") from None
        self._read_base = read_base
        self._size = size
        self._written = _ClusterSet()

    def read(self, offset: int, length: int) -> bytes:
        """`length` bytes at `offset`. Raises BlockError."""
        parts = [
            self._read_file(start, end - start) if written else self._read_base(start, end - start)
            for start, end, written in self._runs(offset, offset + length)
        ]
        return parts[0] if len(parts) == 1 else b"".join(parts)

    def write(self, offset: int, data: bytes) -> None:
        """Writes `data` at `offset`. Raises BlockError; then any part of `data` may have been written."""
        if not data:
            return
        end = offset + len(data)
        for position in (offset, end):
            # Only the first and the last cluster can be written in part.
            if position % CLUSTER and position < self._size:
                self._copy_up(position // CLUSTER)
        self._write_file(offset, data)
        for cluster in range(offset // CLUSTER, -(-end // CLUSTER)):
            self._written.add(cluster)

    def changes(self) -> Iterator[tuple[int, int]]:
        """Offset and length of each cluster that was written, ascending."""
        for cluster in self._written:
            start = cluster * CLUSTER
            yield start, min(CLUSTER, self._size - start)

    def close(self) -> None:
        """Drops what was written; may be called twice."""
        self._file.close()

    def _runs(self, start: int, end: int) -> Iterator[tuple[int, int, bool]]:
        """Splits [start, end) where written clusters meet unwritten ones."""
        while start < end:
            cluster = start // CLUSTER
            written = cluster in self._written
            cluster += 1
            while cluster * CLUSTER < end and (cluster in self._written) == written:
                cluster += 1
            stop = min(cluster * CLUSTER, end)
            yield start, stop, written
            start = stop

    def _copy_up(self, cluster: int) -> None:
        if cluster not in self._written:
            start = cluster * CLUSTER
            self._write_file(start, self._read_base(start, min(CLUSTER, self._size - start)))
            self._written.add(cluster)

    def _read_file(self, offset: int, length: int) -> bytes:
        try:
            data = os.pread(self._file.fileno(), length, offset)
        except OSError as error:
            raise BlockError(error.errno or errno.EIO, "the overlay's temporary file") from None
        if len(data) != length:
            raise BlockError(errno.EIO, "the overlay's temporary file is too short")
        return data

    def _write_file(self, offset: int, data: bytes) -> None:
        view = memoryview(data)
        try:
            while view:
                count = os.pwrite(self._file.fileno(), view, offset)
                view, offset = view[count:], offset + count
        except OSError as error:
            raise BlockError(error.errno or errno.EIO, "the overlay's temporary file") from None
