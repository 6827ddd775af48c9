"""Which frames of a range the guest stored to, as its CPUs' accelerator records it."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from southbridge.memory.regions import Ram

from ..hypervisor import PAGE_SHIFT
from .frames import Frames

if TYPE_CHECKING:
    from southbridge.memory.stores import StoreLog

    from .platform import Inner


class Piece(NamedTuple):
    """`length` frames of the range, from the `at`th on, are the pages of `region` from `page` on."""

    region: Ram
    page: int
    at: int
    length: int


class DirtyFrames:
    """One range at a time. With the lock held."""

    def __init__(self, inner: Inner, frames: Frames) -> None:
        self._inner = inner
        self._frames = frames
        self._range = 0, 0
        self._pieces: list[Piece] = []
        self._logs: list[StoreLog] = []

    def take(self, first: int, count: int) -> bytes:
        """A bit for each frame that was stored to since the last call; the first time, and when other memory has come
        there, for each. Raises LookupError where the domain has nothing.
        """
        import numpy as np

        pieces = self._find(first, count)
        if count and not pieces:
            raise LookupError
        if (first, count) != self._range or pieces != self._pieces:
            self._begin((first, count), pieces)
            return b"\xff" * -(-count // 8)
        dirty = np.zeros(count, dtype=np.bool_)
        for piece, log in zip(pieces, self._logs, strict=True):
            dirty[piece.at : piece.at + piece.length] = log.take()[piece.page : piece.page + piece.length]
        return np.packbits(dirty, bitorder="little").tobytes()

    def _begin(self, range: tuple[int, int], pieces: list[Piece]) -> None:
        from southbridge.memory.stores import StoreLog

        for log in self._logs:
            log.close()
        self._range, self._pieces = range, pieces
        self._logs = [StoreLog(self._inner, piece.region) for piece in pieces]
        for log in self._logs:
            log.take()

    def _find(self, first: int, count: int) -> list[Piece]:
        found = []
        for extent in self._frames.inside(first, count):
            region = self._frames.region_at(extent.first)
            page = extent.page - (region.offset >> PAGE_SHIFT)
            found.append(Piece(region, page, extent.first - first, extent.length))
        return found
