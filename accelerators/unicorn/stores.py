"""Which pages the guest stored to: a bit for each page of guest-physical memory, set where the CPU enters a page into
its TLB for a store (`thunks`, `fill`). Once the bits were taken, the TLB is emptied; so stores to pages that aren't
recorded cost nothing, and stores to those that are something once each time that somebody asks.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from southbridge.memory.pieces import Piece
from southbridge.memory.ram import PAGE_SHIFT
from southbridge.memory.regions import Ram

from .engine import Engine
from .memory import GuestMap

Pages = npt.NDArray[np.bool_]


class StoredPages:
    """The records of one engine. Used with the machine's lock held, and (but for `pending`) outside the guest."""

    def __init__(self, engine: Engine, map: GuestMap) -> None:
        self._engine = engine
        self._map = map
        self._logged = np.frombuffer(engine.logged_pages, np.uint8)
        self._stored = np.frombuffer(engine.stored_pages, np.uint8)
        self._records: dict[Ram, Pages] = {}
        self._shown: list[_Shown] = []
        """Where bits of `_logged` are set."""

    def __contains__(self, region: object) -> bool:
        return region in self._records

    def start(self, region: Ram) -> None:
        """Stores to `region` are recorded from now on."""
        self.collect()
        self._records[region] = np.zeros(region.size >> PAGE_SHIFT, np.bool_)
        self.follow()

    def stop(self, region: Ram) -> None:
        """They no longer are."""
        self.collect()
        self._records.pop(region, None)
        self.follow()

    def follow(self) -> None:
        """The memory is mapped elsewhere, or other regions are recorded. What was stored has been collected."""
        for shown in self._shown:
            _put(self._logged, shown.first, np.zeros(shown.count, np.bool_))
        blocks = dict.fromkeys(region.block for region in self._records)
        pieces = [piece for block in blocks for piece in self._map.pieces_of(block) if not piece.readonly]
        self._shown = [_Shown(piece, self._stored) for piece in pieces]
        for shown in self._shown:
            _put(self._logged, shown.first, np.ones(shown.count, np.bool_))
        self._engine.flush_tlb()

    @property
    def pending(self) -> bool:
        """Whether anything was stored that hasn't been collected. At any time."""
        return any(shown.any_stored() for shown in self._shown)

    def collect(self) -> None:
        """Takes what was stored into the records."""
        found = False
        for shown in self._shown:
            if shown.any_stored():
                found = True
                pages = shown.take()
                for region, record in self._records.items():
                    if region.block is shown.piece.block:
                        _merge(record, pages, (shown.piece.offset - region.offset) >> PAGE_SHIFT)
        if found:
            self._engine.flush_tlb()

    def take(self, region: Ram) -> Pages:
        """What was collected of `region`; its record begins anew."""
        found = self._records[region]
        self._records[region] = np.zeros(len(found), np.bool_)
        return found


class _Shown:
    """Pages that the guest sees at one place, and their bits of `stored`."""

    def __init__(self, piece: Piece, stored: npt.NDArray[np.uint8]) -> None:
        self.piece = piece
        self.first, self.count = piece.start >> PAGE_SHIFT, piece.size >> PAGE_SHIFT
        self._bytes = stored[self.first >> 3 : self.first + self.count + 7 >> 3]
        self._none = bytes(len(self._bytes))
        self._others = np.zeros(len(self._bytes), np.uint8)
        """Bits of its bytes that aren't its."""
        _put(self._others, self.first & 7, np.ones(self.count, np.bool_))
        np.invert(self._others, out=self._others)

    def any_stored(self) -> bool:
        """Whether a bit is set, its own or a neighbour's."""
        return self._bytes.tobytes() != self._none

    def take(self) -> Pages:
        """Its bits, which are cleared."""
        first = self.first & 7
        found: Pages = np.unpackbits(self._bytes, bitorder="little").view(np.bool_)[first : first + self.count]
        self._bytes &= self._others
        return found


def _put(bitmap: npt.NDArray[np.uint8], first: int, pages: Pages) -> None:
    """Makes the bits from number `first` on `pages`."""
    start, end = first >> 3, first + len(pages) + 7 >> 3
    bits = np.unpackbits(bitmap[start:end], bitorder="little")
    bits[first & 7 : (first & 7) + len(pages)] = pages
    bitmap[start:end] = np.packbits(bits, bitorder="little")


def _merge(record: Pages, pages: Pages, first: int) -> None:
    """`pages` begin at index `first` of `record`; what lies outside is left out."""
    start, stop = max(first, 0), min(first + len(pages), len(record))
    if start < stop:
        record[start:stop] |= pages[start - first : stop - first]
