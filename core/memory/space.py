"""Address spaces: guest memory and ports. The road from a guest's access to the device's register.

The tree of regions is flattened when it changes. An access is one look-up and one call: the first access to a
register links its address to the function that serves it, until the map changes.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Protocol

from .flatview import flatten
from .ram import PAGE_SHIFT
from .regions import WIDTHS, Container, Io, Ram, Section


class SpaceListener(Protocol):
    """Follows what an address space looks like. Removals of one change come before its additions."""

    def region_added(self, section: Section) -> None:
        """`section` answers from now on."""

    def region_removed(self, section: Section) -> None:
        """`section` no longer answers."""


_MASKS = {size: (1 << 8 * size) - 1 for size in WIDTHS}

FaultHandler = Callable[[Io, int, Exception], None]
"""Called with the region, the offset and what the device's code raised; marks the device broken."""

UnassignedHandler = Callable[[str, int, int], None]
"""Called with a text that says what, the address and the size of an access that nothing answers."""


def _raise(region: Io, offset: int, error: Exception) -> None:
    raise error


class AddressSpace:
    """A flat range of addresses, seen through the regions under `root`.

    Callers hold the machine's lock. What nobody answers reads as ones, and swallows writes.
    """

    def __init__(self, name: str, size: int, on_fault: FaultHandler = _raise) -> None:
        self.name = name
        self.root = Container(name, size)
        self.root._spaces.append(self)
        self.on_fault = on_fault
        self.on_unassigned: UnassignedHandler | None = None
        self.sections: list[Section] = []
        self._starts: list[int] = []
        self._pages: dict[int, Section] = {}
        self._readers: dict[int, Callable[[], int]] = {}
        self._writers: dict[int, Callable[[int], Any]] = {}
        self._listeners: list[SpaceListener] = []
        self._counts: Counter[str] | None = None
        self._depth = 0
        self._stale = False

    def __repr__(self) -> str:
        return f"<AddressSpace {self.name}>"

    # --- the map -------------------------------------------------------------------------------------------------

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """Changes made inside take effect together, at the end."""
        self._depth += 1
        try:
            yield
        finally:
            self._depth -= 1
            if not self._depth and self._stale:
                self._flatten()

    def tree_changed(self) -> None:
        """A region below `root` came, went, moved, or was switched."""
        self._stale = True
        if not self._depth:
            self._flatten()

    def _flatten(self) -> None:
        self._stale = False
        old, new = self.sections, flatten(self.root)
        self.sections = new
        self._starts = [section.start for section in new]
        self.unlink()
        if self._listeners:
            before, after = set(old), set(new)
            gone = [section for section in old if section not in after]
            come = [section for section in new if section not in before]
            for listener in self._listeners:
                for section in gone:
                    listener.region_removed(section)
                for section in come:
                    listener.region_added(section)

    def count_accesses(self, counts: Counter[str] | None) -> None:
        """From now on accesses are counted in `counts`, by the device; None: no longer. Those of strings are left out.

        While nobody counts, that costs nothing.
        """
        self._counts = counts
        self.unlink()

    def unlink(self) -> None:
        """Forgets every link from an address to a function; they are made anew on the next access."""
        self._pages.clear()
        self._readers.clear()
        self._writers.clear()

    def add_listener(self, listener: SpaceListener) -> None:
        """`listener` is told of every section that there is, then of changes."""
        self._listeners.append(listener)
        for section in self.sections:
            listener.region_added(section)

    def remove_listener(self, listener: SpaceListener) -> None:
        """`listener` is told that every section went, then nothing more."""
        self._listeners.remove(listener)
        for section in self.sections:
            listener.region_removed(section)

    def find(self, address: int) -> Section | None:
        """The section that answers `address`, or None."""
        page = address >> PAGE_SHIFT
        section = self._pages.get(page)
        if section is not None:
            return section
        index = bisect_right(self._starts, address) - 1
        if index < 0:
            return None
        section = self.sections[index]
        if address >= section.end:
            return None
        if section.start <= page << PAGE_SHIFT and section.end >= (page + 1) << PAGE_SHIFT:
            if len(self._pages) > 4096:
                self._pages.clear()
            self._pages[page] = section
        return section

    def next_start(self, address: int) -> int:
        """Where the first section behind `address` begins; the space's end if there is none."""
        index = bisect_right(self._starts, address)
        return self._starts[index] if index < len(self._starts) else self.root.size

    # --- accesses ------------------------------------------------------------------------------------------------

    def read(self, address: int, size: int) -> int:
        """The `size` (1, 2, 4 or 8) bytes at `address`, little-endian."""
        reader = self._readers.get(address << 4 | size)
        if reader is None:
            return self._read_unlinked(address, size)
        try:
            return reader()
        except Exception as error:  # a device's code may raise anything
            return self._read_failed(address, size, error)

    def write(self, address: int, size: int, value: int) -> None:
        """Stores the low `size` (1, 2, 4 or 8) bytes of `value` at `address`, little-endian."""
        writer = self._writers.get(address << 4 | size)
        if writer is None:
            self._write_unlinked(address, size, value)
            return
        try:
            writer(value & _MASKS[size])
        except Exception as error:  # a device's code may raise anything
            self._write_failed(address, error)

    def read_string(self, address: int, size: int, items: int) -> bytes:
        """Reads `address` again and again: `items` times `size` bytes, one behind the other (REP INS)."""
        parts: list[bytes] = []
        region, offset = self._register_at(address, size)
        faster = region.link_read_string(offset, size) if region else None
        while faster is not None and items:
            try:
                part = faster(items)
            except Exception as error:  # a device's code may raise anything
                self._read_failed(address, size, error)
                break
            if not part:
                break
            parts.append(part)
            items -= len(part) // size
        parts += [self.read(address, size).to_bytes(size, "little") for _ in range(items)]
        return b"".join(parts)

    def write_string(self, address: int, size: int, data: bytes | memoryview) -> None:
        """Writes the items of `size` bytes in `data` to `address`, one after the other (REP OUTS)."""
        left = memoryview(data)
        region, offset = self._register_at(address, size)
        faster = region.link_write_string(offset, size) if region else None
        while faster is not None and left:
            try:
                taken = faster(left)
            except Exception as error:  # a device's code may raise anything
                self._write_failed(address, error)
                break
            if not taken:
                break
            left = left[taken:]
        for at in range(0, len(left), size):
            self.write(address, size, int.from_bytes(left[at : at + size], "little"))

    def _register_at(self, address: int, size: int) -> tuple[Io | None, int]:
        """The region whose register of that size is at `address`, unless its device is broken; and the offset in it."""
        section = self.find(address)
        if section is None or not isinstance(section.region, Io) or section.region.broken:
            return None, 0
        return section.region, address - section.start + section.offset

    def _read_unlinked(self, address: int, size: int) -> int:
        section = self.find(address)
        if section is None:
            if self._answered(address, size):
                return self._read_parts(address, size, 1)
            if self.on_unassigned:
                self.on_unassigned("read", address, size)
            return (1 << 8 * size) - 1
        region, offset = section.region, address - section.start + section.offset
        if address + size > section.end and not _takes_whole(region, offset, size):
            return self._read_parts(address, size, 1)
        if isinstance(region, Ram):
            at = region.offset + offset
            return int.from_bytes(region.block.view[at : at + size], "little")
        if size not in region.widths or address % size:
            return self._read_adjusted(region, address, size)
        if region.broken:
            return (1 << 8 * size) - 1
        reader = region.link_read(offset, size)
        try:
            if reader is None:
                return region.read(offset, size) & ((1 << 8 * size) - 1)
            if self._counts is not None:
                reader = _counted(reader, self._counts, region)
            self._readers[address << 4 | size] = reader
            return reader()
        except Exception as error:
            return self._read_failed(address, size, error)

    def _write_unlinked(self, address: int, size: int, value: int) -> None:
        section = self.find(address)
        value &= (1 << 8 * size) - 1
        if section is None:
            if self._answered(address, size):
                self._write_parts(address, size, value, 1)
            elif self.on_unassigned:
                self.on_unassigned("write", address, size)
            return
        region, offset = section.region, address - section.start + section.offset
        if address + size > section.end and not _takes_whole(region, offset, size):
            self._write_parts(address, size, value, 1)
            return
        if isinstance(region, Ram):
            if not section.readonly:
                at = region.offset + offset
                region.block.view[at : at + size] = value.to_bytes(size, "little")
                region.block.mark_dirty(at, size)
            elif region.on_write is not None:
                region.on_write(offset, size, value)
            return
        if size not in region.widths or address % size:
            self._write_adjusted(region, address, size, value)
            return
        if region.broken:
            return
        writer = region.link_write(offset, size)
        try:
            if writer is None:
                region.write(offset, size, value)
                return
            if self._counts is not None:
                writer = _counted(writer, self._counts, region)
            self._writers[address << 4 | size] = writer
            writer(value)
        except Exception as error:
            self._write_failed(address, error)

    def _answered(self, address: int, size: int) -> bool:
        """Whether a section begins behind `address`, within the access."""
        index = bisect_right(self._starts, address)
        return index < len(self._starts) and self._starts[index] < address + size

    def _read_adjusted(self, region: Io, address: int, size: int) -> int:
        width = _part_width(region, address, size)
        if width:
            return self._read_parts(address, size, width)
        if self.on_unassigned:
            self.on_unassigned(f"{region.name}: refused read", address, size)
        return (1 << 8 * size) - 1

    def _write_adjusted(self, region: Io, address: int, size: int, value: int) -> None:
        width = _part_width(region, address, size)
        if width:
            self._write_parts(address, size, value, width)
        elif self.on_unassigned:
            self.on_unassigned(f"{region.name}: refused write", address, size)

    def _read_parts(self, address: int, size: int, width: int) -> int:
        value = 0
        for done in range(0, size, width):
            value |= self.read(address + done, width) << 8 * done
        return value

    def _write_parts(self, address: int, size: int, value: int, width: int) -> None:
        mask = (1 << 8 * width) - 1
        for done in range(0, size, width):
            self.write(address + done, width, value >> 8 * done & mask)

    def _read_failed(self, address: int, size: int, error: Exception) -> int:
        self._write_failed(address, error)
        return (1 << 8 * size) - 1

    def _write_failed(self, address: int, error: Exception) -> None:
        section = self.find(address)
        if section is None or not isinstance(section.region, Io):
            raise error
        self.on_fault(section.region, address - section.start + section.offset, error)


def _part_width(region: Io, address: int, size: int) -> int:
    """The widest access that `region` implements which `size` bytes at `address` can be made of; 0 if there is none."""
    return max((width for width in region.widths if width < size and not address % width), default=0)


def _counted(function: Callable[..., Any], counts: Counter[str], region: Io) -> Callable[..., Any]:
    """`function`, each call of which counts as one of the region's device."""
    name = region.name if region.owner is None else region.owner.id

    def count(*values: int) -> Any:
        counts[name] += 1
        return function(*values)

    return count


def _takes_whole(region: Ram | Io, offset: int, size: int) -> bool:
    """Whether the access is one of the region's own, though another region hides its last bytes from narrower ones.

    So the PC's PCI configuration address takes CF8h as a double word, and the chipset's reset control the byte at CF9h.
    """
    return isinstance(region, Io) and size in region.widths and not offset % size and offset + size <= region.size
