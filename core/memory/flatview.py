"""Flattening: from the tree of regions to a sorted list of sections that don't overlap."""

from __future__ import annotations

from bisect import bisect_right

from .regions import Alias, Container, Io, Ram, Region, Section


def flatten(root: Region) -> list[Section]:
    """What answers each address of `root`, in ascending order; adjacent pieces of the same memory are one section."""
    pieces: list[Section] = []
    _render(pieces, root, 0, 0, root.size, False)
    return _joined(pieces)


def _render(pieces: list[Section], region: Region, base: int, low: int, high: int, readonly: bool) -> None:
    """Adds what of `region`, placed at `base`, shows in [low, high) where `pieces` leave a gap."""
    if not region.enabled:
        return
    low, high = max(low, base), min(high, base + region.size)
    if low >= high:
        return
    if isinstance(region, Container):
        for child in region.children:
            _render(pieces, child.region, base + child.offset, low, high, readonly)
    elif isinstance(region, Alias):
        _render(pieces, region.target, base - region.offset, low, high, readonly or region.readonly)
    else:
        assert isinstance(region, Ram | Io)
        _fill_gaps(pieces, region, base, low, high, readonly or (isinstance(region, Ram) and region.readonly))


def _fill_gaps(pieces: list[Section], region: Ram | Io, base: int, low: int, high: int, readonly: bool) -> None:
    index = bisect_right(pieces, low, key=lambda piece: piece.start)
    if index and pieces[index - 1].end > low:
        low = pieces[index - 1].end
    while low < high:
        gap_end = min(high, pieces[index].start) if index < len(pieces) else high
        if low < gap_end:
            pieces.insert(index, Section(low, gap_end - low, region, low - base, readonly))
            index += 1
        if index >= len(pieces) or gap_end == high:
            return
        low = pieces[index].end
        index += 1


def _joined(pieces: list[Section]) -> list[Section]:
    joined: list[Section] = []
    for piece in pieces:
        last = joined[-1] if joined else None
        if (
            last is not None
            and last.end == piece.start
            and last.region is piece.region
            and last.offset + last.size == piece.offset
            and last.readonly == piece.readonly
        ):
            joined[-1] = Section(last.start, last.size + piece.size, last.region, last.offset, last.readonly)
        else:
            joined.append(piece)
    return joined
