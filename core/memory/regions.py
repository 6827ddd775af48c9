"""Regions: what answers a range of guest addresses. Containers hold regions at offsets, with priorities; aliases
show a part of another region somewhere else. An address space flattens the tree (`flatten`) whenever it changes.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from .ram import RamBlock

if TYPE_CHECKING:
    from .space import AddressSpace

WIDTHS = (1, 2, 4, 8)


class Owner(Protocol):
    """Whoever a region belongs to: a device."""

    @property
    def id(self) -> str:
        """The id in the machine description."""


class Region:
    """`size` bytes of addresses. `owner` is the device that answers, for error messages and listings."""

    def __init__(self, name: str, size: int, owner: Owner | None = None) -> None:
        if size <= 0:
            raise ValueError(f"region {name}: size {size}")
        self.name = name
        self.size = size
        self.owner = owner
        self._enabled = True
        self._parents: list[Container | Alias] = []
        self._spaces: list[AddressSpace] = []

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.name} {self.size:#x}>"

    @property
    def enabled(self) -> bool:
        """Whether the region answers at all."""
        return self._enabled

    @enabled.setter
    def enabled(self, value: bool) -> None:
        if value != self._enabled:
            self._enabled = value
            self.changed()

    def changed(self) -> None:
        """Has every address space that shows this region flatten its tree again."""
        for space in self._spaces:
            space.tree_changed()
        for parent in self._parents:
            parent.changed()


@dataclass(repr=False, eq=False)
class Child:
    """A region's place in a container."""

    offset: int
    region: Region
    priority: int


class Container(Region):
    """Holds regions; where they overlap the higher priority answers, then the one added last."""

    def __init__(self, name: str, size: int, owner: Owner | None = None) -> None:
        super().__init__(name, size, owner)
        self.children: list[Child] = []
        """Highest priority first."""

    def add(self, offset: int, region: Region, priority: int = 0) -> None:
        """Puts `region` at `offset`. Parts beyond the container's end don't show."""
        child = Child(offset, region, priority)
        index = next((i for i, other in enumerate(self.children) if other.priority <= priority), len(self.children))
        self.children.insert(index, child)
        region._parents.append(self)
        self.changed()

    def remove(self, region: Region) -> None:
        """Takes `region` out again. Raises ValueError if it isn't here."""
        child = next((c for c in self.children if c.region is region), None)
        if child is None:
            raise ValueError(f"{region!r} is not in {self!r}")
        self.children.remove(child)
        region._parents.remove(self)
        self.changed()

    def move(self, region: Region, offset: int) -> None:
        """Moves `region`, which is here already, to `offset`."""
        for child in self.children:
            if child.region is region and child.offset != offset:
                child.offset = offset
                self.changed()


class Alias(Region):
    """Shows `size` bytes of `target` from `offset` on. `readonly` makes RAM below it appear as ROM."""

    def __init__(
        self,
        name: str,
        target: Region,
        offset: int,
        size: int,
        *,
        readonly: bool = False,
        owner: Owner | None = None,
    ) -> None:
        super().__init__(name, size, owner)
        self.target = target
        self.offset = offset
        self.readonly = readonly
        target._parents.append(self)

    def point(self, offset: int) -> None:
        """Shows `target` from another `offset` on."""
        if offset != self.offset:
            self.offset = offset
            self.changed()


class Ram(Region):
    """Memory. ROM is memory that is `readonly`: guest stores go to `on_write(offset, size, value)`, or nowhere."""

    def __init__(
        self,
        name: str,
        block: RamBlock,
        offset: int = 0,
        size: int | None = None,
        *,
        readonly: bool = False,
        on_write: Callable[[int, int, int], None] | None = None,
        owner: Owner | None = None,
    ) -> None:
        super().__init__(name, block.size - offset if size is None else size, owner)
        self.block = block
        self.offset = offset
        self.readonly = readonly
        self.on_write = on_write
        self.stores: object | None = None
        """Who keeps the record of what the guest stores here, while there is one: see `southbridge.memory.stores`."""


Reader = Callable[[int, int], int]
"""(offset, size in bytes) -> value"""
Writer = Callable[[int, int, int], Any]
"""(offset, size in bytes, value)"""


class Io(Region):
    """Addresses that a device answers.

    `read` and `write` are called with offsets into the region, and only with one of the sizes in `widths`, naturally
    aligned. The address space carries a wider or unaligned access out as several narrower ones; one narrower than
    the device implements is refused: it reads as ones.
    """

    def __init__(
        self,
        name: str,
        size: int,
        read: Reader,
        write: Writer,
        *,
        widths: Collection[int] = WIDTHS,
        owner: Owner | None = None,
    ) -> None:
        super().__init__(name, size, owner)
        self.read = read
        self.write = write
        self.widths = frozenset(widths)
        self.broken = False
        """The device's code raised: reads as ones, swallows writes."""

    def link_read(self, offset: int, size: int) -> Callable[[], int] | None:
        """The function that reads just this register, if there is one: the address space calls it from then on."""
        return None

    def link_write(self, offset: int, size: int) -> Callable[[int], Any] | None:
        """The function that writes just this register, if there is one."""
        return None

    def link_read_string(self, offset: int, size: int) -> Callable[[int], bytes] | None:
        """What reads a register many times over faster: see RegisterSpec.read_string."""
        return None

    def link_write_string(self, offset: int, size: int) -> Callable[[memoryview], int] | None:
        """The same for writes."""
        return None

    def doorbells(self) -> list[tuple[int, int]]:
        """Offsets and widths of writes that say only that there is something to do.

        An accelerator may deliver such a write late, from another thread, with the value 0, and several as one.
        """
        return []

    def tail_doorbells(self) -> list[tuple[int, int]]:
        """Offsets and widths of writes whose last value counts: how far a ring of descriptors is filled.

        An accelerator may deliver the last of several such writes, late and from another thread, but before the CPU's
        next access of any other kind.
        """
        return []

    def coalesced(self) -> list[range]:
        """Offsets to which writes may come late, in order, and before the CPU's next access of any other kind."""
        return []


class Section:
    """A piece of a flattened address space: `size` bytes at `start`, answered by `region` from `offset` on."""

    __slots__ = ("block_offset", "end", "offset", "ram", "readonly", "region", "size", "start")

    def __init__(self, start: int, size: int, region: Ram | Io, offset: int, readonly: bool) -> None:
        self.start = start
        self.size = size
        self.region = region
        self.offset = offset
        self.readonly = readonly
        self.end = start + size
        """The first address behind it."""
        memory = region if isinstance(region, Ram) else None
        self.ram: RamBlock | None = memory.block if memory else None
        """The memory behind it, if it is RAM or ROM."""
        self.block_offset = memory.offset + offset if memory else 0
        """Where in that memory it starts."""

    def address_of(self, offset: int, size: int) -> int | None:
        """Where `size` bytes at `offset` of the region show, if all of them do."""
        address = self.start + offset - self.offset
        return address if self.start <= address and address + size <= self.end else None

    def _values(self) -> tuple[object, ...]:
        return self.start, self.size, self.region, self.offset, self.readonly

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Section) and self._values() == other._values()

    def __hash__(self) -> int:
        return hash(self._values())

    def __repr__(self) -> str:
        return f"Section{self._values()}"

    @property
    def is_ram(self) -> bool:
        """Whether it is memory (RAM or ROM)."""
        return self.ram is not None

    @property
    def block(self) -> RamBlock:
        """The memory behind a RAM or ROM section."""
        assert self.ram is not None
        return self.ram
