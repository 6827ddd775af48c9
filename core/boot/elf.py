"""Executable ELF files (System V ABI, chapters 4 and 5) as a boot loader sees them: segments, and notes."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass

MAGIC = b"\x7fELF"
I386, X86_64 = 3, 62

_EXECUTABLE, _SHARED = 2, 3
_LOAD, _NOTE = 1, 4
_MOST_HEADERS = 256


class BadElf(Exception):
    """It isn't an executable ELF file for x86, or it is damaged."""


@dataclass(frozen=True)
class Segment:
    """A piece to load: `data` at the physical address `address`, then zeros up to `size` bytes."""

    address: int
    data: memoryview
    size: int


@dataclass(frozen=True)
class Elf:
    """An executable. `entry` is as the file has it: mostly a virtual address."""

    machine: int
    entry: int
    segments: tuple[Segment, ...]
    notes: tuple[tuple[bytes, int, bytes], ...]
    """Owner, type, contents."""

    @property
    def start(self) -> int:
        """The lowest physical address that is loaded."""
        return min(segment.address for segment in self.segments)

    @property
    def end(self) -> int:
        """Behind the highest one."""
        return max(segment.address + segment.size for segment in self.segments)


def parse(data: bytes) -> Elf:
    """The executable in `data`. Raises BadElf."""
    try:
        return _parse(data)
    except struct.error:
        raise BadElf("it is cut short") from None


def _parse(data: bytes) -> Elf:
    if data[:4] != MAGIC or len(data) < 52:
        raise BadElf("it isn't an ELF file")
    wide = data[4] == 2
    if data[4] not in (1, 2) or data[5] != 1:
        raise BadElf("it isn't a little-endian ELF file")
    kind, machine = struct.unpack_from("<HH", data, 16)
    if kind not in (_EXECUTABLE, _SHARED) or machine not in (I386, X86_64):
        raise BadElf("it isn't an executable for x86")
    if wide:
        entry, table = struct.unpack_from("<QQ", data, 24)
        size, number = struct.unpack_from("<HH", data, 54)
    else:
        entry, table = struct.unpack_from("<II", data, 24)
        size, number = struct.unpack_from("<HH", data, 42)
    if not 0 < number <= _MOST_HEADERS or size < (56 if wide else 32):
        raise BadElf("it has no usable program headers")
    view = memoryview(data)
    segments: list[Segment] = []
    notes: list[tuple[bytes, int, bytes]] = []
    for index in range(number):
        at = table + index * size
        if at > len(data):
            raise BadElf("it is cut short: its program headers lie beyond its end")
        if wide:
            kind, _, offset, _, address, length, memory = struct.unpack_from("<IIQQQQQ", data, at)
        else:
            kind, offset, _, address, length, memory = struct.unpack_from("<IIIIII", data, at)
        if kind not in (_LOAD, _NOTE) or not memory:
            continue
        if offset + length > len(data) or length > memory:
            raise BadElf("it is cut short: a segment lies beyond its end")
        if kind == _LOAD:
            segments.append(Segment(address, view[offset : offset + length], memory))
        else:
            notes += _notes(data[offset : offset + length])
    if not segments:
        raise BadElf("it has nothing to load")
    return Elf(machine, entry, tuple(segments), tuple(notes))


def _notes(data: bytes) -> Iterator[tuple[bytes, int, bytes]]:
    at = 0
    while at + 12 <= len(data):
        owner_size, size, kind = struct.unpack_from("<III", data, at)
        at += 12
        owner = data[at : at + owner_size].rstrip(b"\0")
        at += -(-owner_size // 4) * 4
        yield owner, kind, data[at : at + size]
        at += -(-size // 4) * 4
