"""Where a boot loader puts things: what is free of the guest's RAM, and the map that a kernel is told of."""

from __future__ import annotations

from collections.abc import Iterable

from ..board import MemoryRange
from ..units import GiB, KiB, MiB

RAM, RESERVED = 1, 2
PAGE = 4 * KiB

LOW_END = 0x9_FC00
"""Of the base memory that a kernel may use; as on PCs whose firmware keeps the last KiB (EBDA) to itself."""

FOUR_GIB = 4 * GiB


class DoesNotFit(Exception):
    """Something has no room. `what` is the description's key of it."""

    def __init__(self, what: str, message: str) -> None:
        self.what = what
        super().__init__(message)


def firmware_map(memory_map: Iterable[MemoryRange], reserved: Iterable[MemoryRange] = ()) -> list[MemoryRange]:
    """The map that firmware would report: `memory_map` without the video and ROM area, and without `reserved`."""
    taken = [
        MemoryRange(LOW_END, 0xA_0000 - LOW_END, RESERVED),
        MemoryRange(0xA_0000, 0x5_0000, 0),  # not reported at all
        MemoryRange(0xF_0000, 0x1_0000, RESERVED),
        *reserved,
    ]
    ranges = list(memory_map)
    for hole in taken:
        ranges = [piece for part in ranges for piece in _without(part, hole)]
    ranges += [hole for hole in taken if hole.kind]
    return sorted(ranges, key=lambda part: part.start)


def _without(part: MemoryRange, hole: MemoryRange) -> list[MemoryRange]:
    start, end = max(part.start, hole.start), min(part.start + part.size, hole.start + hole.size)
    if start >= end:
        return [part]
    pieces = [MemoryRange(part.start, start - part.start, part.kind)]
    pieces.append(MemoryRange(end, part.start + part.size - end, part.kind))
    return [piece for piece in pieces if piece.size]


class Room:
    """The RAM above 1 MiB and below 4 GiB that is still free while a kernel is loaded."""

    def __init__(self, memory_map: Iterable[MemoryRange]) -> None:
        """`memory_map` is what the kernel will be told of: only its RAM is used."""
        self._free: list[tuple[int, int]] = []
        for part in memory_map:
            start, end = max(part.start, MiB), min(part.start + part.size, FOUR_GIB)
            if part.kind == RAM and start < end:
                self._free.append((start, end))

    def take(self, what: str, start: int, size: int) -> None:
        """`what` needs just this place. Raises DoesNotFit."""
        for index, (low, high) in enumerate(self._free):
            if low <= start and start + size <= high:
                self._free[index : index + 1] = [
                    pair for pair in ((low, start), (start + size, high)) if pair[0] < pair[1]
                ]
                return
        raise DoesNotFit(what, f"it needs RAM from {start:#x} to {start + size:#x}; free is {self._shown()}")

    @property
    def end(self) -> int:
        """Behind the highest of it."""
        return max((high for _, high in self._free), default=0)

    def take_what_is_free(self, start: int, size: int) -> None:
        """What is free of this place isn't any more."""
        whole = MemoryRange(start, size, 0)
        self._free = [
            (part.start, part.start + part.size)
            for low, high in self._free
            for part in _without(MemoryRange(low, high - low), whole)
        ]

    def take_high(self, what: str, size: int, limit: int = FOUR_GIB) -> int:
        """Whole pages for `size` bytes, as high as possible below `limit`. Gives the address. Raises DoesNotFit."""
        size = -(-size // PAGE) * PAGE
        for low, high in reversed(self._free):
            start = (min(high, limit) - size) & -PAGE
            if start >= low:
                self.take(what, start, size)
                return start
        raise DoesNotFit(what, f"it doesn't fit: it needs {size >> 10} KiB below {limit:#x}; free is {self._shown()}")

    def _shown(self) -> str:
        return ", ".join(f"{low:#x} to {high:#x}" for low, high in self._free) or "nothing above 1 MiB"
