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
        self._shown: list[tuple[Piece, npt.NDArray[np.uint8], bytes]] = []
        """Where bits of `_logged` are set; the bytes of `_stored` with these pages' bits, and as many zeros."""

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
        for piece, _, _ in self._shown:
            _put(self._logged, piece.start >> PAGE_SHIFT, np.zeros(piece.size >> PAGE_SHIFT, np.bool_))
        blocks = dict.fromkeys(region.block for region in self._records)
        pieces = [piece for block in blocks for piece in self._map.pieces_of(block) if not piece.readonly]
        self._shown.clear()
        for piece in pieces:
            _put(self._logged, piece.start >> PAGE_SHIFT, np.ones(piece.size >> PAGE_SHIFT, np.bool_))
            first, count = _range(piece)
            bits = self._stored[first >> 3 : first + count + 7 >> 3]
            self._shown.append((piece, bits, bytes(len(bits))))
        self._engine.flush_tlb()

    @property
    def pending(self) -> bool:
        """Whether anything was stored that hasn't been collected. At any time."""
        return any(bits.tobytes() != none for _, bits, none in self._shown)

    def collect(self) -> None:
        """Takes what was stored into the records."""
        found = False
        for piece, bits, none in self._shown:
            if bits.tobytes() != none:
                found = True
                first, count = _range(piece)
                pages = _bits(self._stored, first, count)
                _put(self._stored, first, np.zeros(count, np.bool_))
                for region, record in self._records.items():
                    if region.block is piece.block:
                        _merge(record, pages, (piece.offset - region.offset) >> PAGE_SHIFT)
        if found:
            self._engine.flush_tlb()

    def take(self, region: Ram) -> Pages:
        """What was collected of `region`; its record begins anew."""
        found = self._records[region]
        self._records[region] = np.zeros_like(found)
        return found


def _range(piece: Piece) -> tuple[int, int]:
    """Its first page, and how many they are."""
    return piece.start >> PAGE_SHIFT, piece.size >> PAGE_SHIFT


def _bits(bitmap: npt.NDArray[np.uint8], first: int, count: int) -> Pages:
    """The bits from number `first` on."""
    covering = bitmap[first >> 3 : first + count + 7 >> 3]
    found: Pages = np.unpackbits(covering, bitorder="little").view(np.bool_)[first & 7 :][:count]
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
