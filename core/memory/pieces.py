"""Guest memory in pieces, as accelerators that run over the host's own memory map it: whole pages of RAM and ROM, cut
where a PC's chipset changes what answers (PAM, SMRAM), so that such a change touches little.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import pairwise

from ..errors import SouthbridgeError
from .ram import PAGE_SIZE, RamBlock
from .regions import Ram, Section

CUTS = (0xA_0000, *range(0xC_0000, 0x10_0000 + 1, 0x4000))
"""Video memory and PAM's sixteens of KiB."""


@dataclass(frozen=True, slots=True)
class Piece:
    """RAM or ROM, page-aligned: `size` bytes at `start` are `block`'s from `offset` on."""

    start: int
    size: int
    block: RamBlock
    offset: int
    readonly: bool
    written: bool
    """Somebody wants the stores to this ROM."""

    @property
    def end(self) -> int:
        """The first address behind it."""
        return self.start + self.size


def pieces(sections: Iterable[Section], end: int) -> Iterator[Piece]:
    """The whole pages of memory in `sections`, cut.

    Raises SouthbridgeError for memory beyond `end`, the CPU's reach.
    """
    for section in sections:
        region = section.region
        if not isinstance(region, Ram):
            continue
        first = -(-section.start // PAGE_SIZE) * PAGE_SIZE
        last = section.end // PAGE_SIZE * PAGE_SIZE
        if (section.block_offset + first - section.start) % PAGE_SIZE:
            continue
        if last > end:
            raise SouthbridgeError(f"{region.name} lies beyond the CPU's {end >> 30} GiB of memory")
        marks = [first, *(cut for cut in CUTS if first < cut < last), last]
        for start, stop in pairwise(marks):
            if start < stop:
                offset = section.block_offset + start - section.start
                written = section.readonly and region.on_write is not None
                yield Piece(start, stop - start, section.block, offset, section.readonly, written)
