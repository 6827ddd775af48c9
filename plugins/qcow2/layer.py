"""One qcow2 file of a backing chain: from a guest's offset to bytes (qcow2 specification, "Cluster mapping").

Table entries are checked where they are used; what they say never leads outside the file, or to a loop: L1 entry, L2
entry and data are three steps, whatever the entries point at.
"""

from __future__ import annotations

import errno
import struct
import sys
from array import array
from collections.abc import Iterator
from enum import Enum
from typing import NamedTuple, Protocol

from southbridge.block import BlockError
from southbridge.errors import SouthbridgeError
from southbridge.image_file import ImageFile
from southbridge.units import KiB, MiB

from .cache import Cache
from .compression import decompressor
from .header import Header

OFFSET = 0x00FF_FFFF_FFFF_FE00  # bits 9 to 55 of an L1 or L2 entry
_COMPRESSED = 1 << 62
_READS_AS_ZEROS = 1 << 0
_SUBCLUSTERS = 32

_SLICE = 4 * KiB  # what is read and cached of an L2 table at a time
_L2_CACHE = 1 * MiB  # covers 8 GiB of disk with clusters of 64 KiB
_CLUSTER_CACHE = 1 * MiB  # decompressed clusters: a guest reads them a few sectors at a time


class Layer(Protocol):
    """A disk below another in a backing chain."""

    size: int

    def read(self, offset: int, length: int) -> bytes:
        """Exactly `length` bytes within `size`. Raises BlockError."""


class Source(Enum):
    """Where a stretch of the disk is."""

    DATA = "in the file"
    ZERO = "nowhere: it reads as zeros"
    BACKING = "in the backing file"
    COMPRESSED = "compressed in the file"


class Run(NamedTuple):
    """`length` bytes of the disk at `offset`, all from one source.

    `host` is the offset in the file of the data, or the L2 entry of a compressed cluster.
    """

    source: Source
    offset: int
    length: int
    host: int


class Qcow2Layer:
    """An open qcow2 file. `backing` is what lies under it, if anything."""

    def __init__(self, file: ImageFile, header: Header) -> None:
        """Reads and checks the L1 table. Raises SouthbridgeError."""
        self.file = file
        self.header = header
        self.size = header.size
        self.backing: Layer | None = None
        self._cluster_size = header.cluster_size
        self._entry = struct.Struct(">QQ" if header.extended_l2 else ">Q")
        self._l2_entries = header.cluster_size // header.l2_entry_size
        self._slice = min(_SLICE, header.cluster_size)
        self._l2_cache = Cache(_L2_CACHE)
        self._cluster_cache = Cache(_CLUSTER_CACHE)
        self._decompress = decompressor(header.compression, file.path)
        self._l1 = self._read_l1()

    def read(self, offset: int, length: int) -> bytes:
        """Exactly `length` bytes at `offset`, within `size`. Raises BlockError, with EIO for a corrupt table."""
        parts = [self._read_run(run) for run in self._runs(offset, offset + length)]
        return parts[0] if len(parts) == 1 else b"".join(parts)

    def l2_tables(self) -> Iterator[int]:
        """The offsets of all L2 tables."""
        return (entry & OFFSET for entry in self._l1 if entry & OFFSET)

    def entry_host(self, entry: int) -> tuple[int, int]:
        """Where an L2 entry's data is in the file, as (offset, length); (0, 0) if it has none."""
        if not entry & _COMPRESSED:
            host = 0 if entry & _READS_AS_ZEROS else entry & OFFSET
            return host, self._cluster_size if host else 0
        offset_bits = 62 - (self.header.cluster_bits - 8)
        host = entry & (1 << offset_bits) - 1
        sectors = 1 + (entry >> offset_bits & (1 << 62 - offset_bits) - 1)
        return host, sectors * 512 - host % 512

    def _read_l1(self) -> array[int]:
        header = self.header
        l1 = array("Q", self.file.read(header.l1_offset, header.l1_entries * 8))
        if sys.byteorder == "little":
            l1.byteswap()
        last = self.file.length - self._cluster_size
        for entry in l1:
            table = entry & OFFSET
            if table % self._cluster_size or table > last:
                raise SouthbridgeError(
                    f"{self.file.path}: truncated or corrupt: it refers to an L2 table at {table:#x}, "
                    f"but the file has {self.file.length} bytes"
                )
        return l1

    def _runs(self, offset: int, end: int) -> Iterator[Run]:
        """The runs from `offset` to `end`, joined where they continue each other."""
        run: Run | None = None
        for piece in self._pieces(offset, end):
            if run is None:
                run = piece
            elif (
                piece.source is run.source
                and piece.source is not Source.COMPRESSED
                and (piece.source is not Source.DATA or piece.host == run.host + run.length)
            ):
                run = run._replace(length=run.length + piece.length)
            else:
                yield run
                run = piece
        if run is not None:
            yield run

    def _pieces(self, offset: int, end: int) -> Iterator[Run]:
        """The runs from `offset` to `end`, none of them longer than a cluster."""
        while offset < end:
            cluster, within = divmod(offset, self._cluster_size)
            length = min(self._cluster_size - within, end - offset)
            entry, *bitmap = self._l2_entry(cluster)
            if entry & _COMPRESSED:
                yield Run(Source.COMPRESSED, offset, length, entry)
            elif bitmap:
                yield from self._subclusters(offset, length, entry, bitmap[0])
            else:
                yield self._standard(offset, length, entry)
            offset += length

    def _l2_entry(self, cluster: int) -> tuple[int, ...]:
        """The entry of a guest cluster, and with extended entries its bitmap."""
        l1_index, l2_index = divmod(cluster, self._l2_entries)
        table = self._l1[l1_index] & OFFSET
        if not table:
            return (0,)
        table_offset, within = divmod(l2_index * self._entry.size, self._slice)
        start = table + table_offset * self._slice
        piece = self._l2_cache.get(start)
        if piece is None:
            piece = self._read_file(start, self._slice)
            self._l2_cache.put(start, piece)
        return self._entry.unpack_from(piece, within)

    def _standard(self, offset: int, length: int, entry: int) -> Run:
        if entry & _READS_AS_ZEROS:
            if self.header.version == 2:
                raise self._corrupt(offset, entry, "a zero cluster in a version 2 image")
            return Run(Source.ZERO, offset, length, 0)
        if not entry & OFFSET:
            return Run(Source.BACKING, offset, length, 0)
        return Run(Source.DATA, offset, length, self._data_cluster(offset, entry) + offset % self._cluster_size)

    def _subclusters(self, offset: int, length: int, entry: int, bitmap: int) -> Iterator[Run]:
        if bitmap & bitmap >> 32 & 0xFFFF_FFFF:
            raise self._corrupt(offset, entry, "a subcluster that is both allocated and zero")
        size = self._cluster_size // _SUBCLUSTERS
        end = offset + length
        while offset < end:
            index, within = divmod(offset % self._cluster_size, size)
            length = min(size - within, end - offset)
            if bitmap >> 32 + index & 1:
                yield Run(Source.ZERO, offset, length, 0)
            elif bitmap >> index & 1:
                host = self._data_cluster(offset, entry) + offset % self._cluster_size
                yield Run(Source.DATA, offset, length, host)
            else:
                yield Run(Source.BACKING, offset, length, 0)
            offset += length

    def _data_cluster(self, offset: int, entry: int) -> int:
        """The file's offset of the standard cluster that `entry` describes."""
        host = entry & OFFSET
        if host % self._cluster_size or not 0 < host < self.file.length:
            raise self._corrupt(offset, entry, "no cluster of the file")
        return host

    def _read_run(self, run: Run) -> bytes:
        if run.source is Source.DATA:
            return self._read_file(run.host, run.length)
        if run.source is Source.COMPRESSED:
            within = run.offset % self._cluster_size
            return self._read_compressed(run)[within : within + run.length]
        below = self.backing if run.source is Source.BACKING else None
        if below is None or run.offset >= below.size:
            return bytes(run.length)
        return below.read(run.offset, min(run.length, below.size - run.offset)).ljust(run.length, b"\0")

    def _read_compressed(self, run: Run) -> bytes:
        """The whole cluster in which `run` lies."""
        entry = run.host
        cluster = self._cluster_cache.get(entry)
        if cluster is None:
            host, length = self.entry_host(entry)
            if host >= self.file.length:
                raise self._corrupt(run.offset, entry, "compressed data beyond the file's end")
            try:
                # The last sector is counted whole even where the file ends in it.
                cluster = self._decompress(self.file.read(host, length), self._cluster_size)
            except ValueError as error:
                raise self._corrupt(run.offset, entry, f"compressed data is damaged ({error})") from None
            if len(cluster) != self._cluster_size:
                raise self._corrupt(run.offset, entry, f"{len(cluster)} bytes of compressed data")
            self._cluster_cache.put(entry, cluster)
        return cluster

    def _read_file(self, host: int, length: int) -> bytes:
        """From the file; the tail of its last cluster may not have been written, and is zeros."""
        data = self.file.read(host, length)
        if len(data) < min(length, self.file.length - host):
            raise BlockError(errno.EIO, f"{self.file.path}: the file has become shorter")
        return data.ljust(length, b"\0")

    def _corrupt(self, offset: int, entry: int, what: str) -> BlockError:
        return BlockError(errno.EIO, f"{self.file.path}: corrupt: L2 entry {entry:#x} for offset {offset:#x}: {what}")
