"""What is in each frame of the domain, and how its CPUs see that: a hypervisor's physical-to-machine table."""

from __future__ import annotations

from bisect import bisect_right, insort
from collections.abc import Iterable
from typing import NamedTuple

from southbridge.memory.ram import RamBlock
from southbridge.memory.regions import Container, Ram
from southbridge.memory.space import AddressSpace
from southbridge.units import MiB

from ..hypervisor import PAGE_SHIFT

_LEGACY_END = MiB >> PAGE_SHIFT
"""What is below changes often, and isn't joined with what is above."""


class Extent(NamedTuple):
    """`length` frames from `first` on hold the pages of `block` from `page` on."""

    first: int
    length: int
    block: RamBlock
    page: int
    readonly: bool = False

    @property
    def end(self) -> int:
        """The first frame behind it."""
        return self.first + self.length

    def part(self, first: int, end: int) -> Extent:
        """The part from frame `first` up to `end`."""
        return self._replace(first=first, length=end - first, page=self.page + first - self.first)

    def goes_on_with(self, other: Extent) -> bool:
        """Whether `other` is what comes next."""
        return (
            self.end == other.first != _LEGACY_END
            and self.block is other.block
            and self.page + self.length == other.page
            and self.readonly == other.readonly
        )


class Frames:
    """The table. `space` shows the frames to the CPUs: in `place`, which it fills. With the lock held."""

    def __init__(self, space: AddressSpace, place: Container) -> None:
        self._space = space
        self._place = place
        self._extents: list[Extent] = []
        """In ascending order; they don't overlap."""
        self._shown: dict[Extent, Ram] = {}

    def find(self, frame: int) -> Extent | None:
        """What the frame is part of; None: it holds nothing."""
        index = bisect_right(self._extents, frame, key=lambda extent: extent.first) - 1
        if index < 0 or frame >= self._extents[index].end:
            return None
        return self._extents[index]

    def region_at(self, frame: int) -> Ram:
        """What shows the frame, which holds something, to the CPUs."""
        extent = self.find(frame)
        assert extent is not None
        return self._shown[extent]

    def inside(self, first: int, count: int) -> list[Extent]:
        """What is in a range of frames, cut to it."""
        end = first + count
        return [
            extent.part(max(extent.first, first), min(extent.end, end))
            for extent in self._extents
            if extent.first < end and first < extent.end
        ]

    @property
    def end(self) -> int:
        """The frame behind the last one that holds something."""
        return self._extents[-1].end if self._extents else 0

    def put(self, extents: Iterable[Extent]) -> None:
        """These frames hold nothing yet; from now on they do."""
        for extent in extents:
            # What is mapped a second time moves within this process: that must be before a CPU writes there.
            extent.block.share()
            insort(self._extents, extent, key=lambda extent: extent.first)
        self._join()
        self._show()

    def take(self, first: int, count: int) -> list[Extent]:
        """A range of frames holds nothing from now on: what was there."""
        taken = self._cut(first, count)
        self._show()
        return taken

    def change(self, first: int, count: int, readonly: bool) -> None:
        """The guest may write to what a range of frames holds, or not."""
        for extent in self._cut(first, count):
            insort(self._extents, extent._replace(readonly=readonly), key=lambda extent: extent.first)
        self._join()
        self._show()

    def _cut(self, first: int, count: int) -> list[Extent]:
        end = first + count
        taken, left = self.inside(first, count), []
        for extent in self._extents:
            if extent.first < first:
                left.append(extent.part(extent.first, min(extent.end, first)))
            if extent.end > end:
                left.append(extent.part(max(extent.first, end), extent.end))
        self._extents = left
        return taken

    def _join(self) -> None:
        joined: list[Extent] = []
        for extent in self._extents:
            if joined and joined[-1].goes_on_with(extent):
                joined[-1] = joined[-1]._replace(length=joined[-1].length + extent.length)
            else:
                joined.append(extent)
        self._extents = joined

    def _show(self) -> None:
        wanted = dict.fromkeys(self._extents)
        with self._space.transaction():
            for extent in [extent for extent in self._shown if extent not in wanted]:
                self._place.remove(self._shown.pop(extent))
            for extent in wanted:
                if extent not in self._shown:
                    start, size = extent.page << PAGE_SHIFT, extent.length << PAGE_SHIFT
                    region = Ram(extent.block.name, extent.block, start, size, readonly=extent.readonly)
                    self._shown[extent] = region
                    self._place.add(extent.first << PAGE_SHIFT, region)
