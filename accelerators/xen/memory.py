"""The memory hooks over a mapcache: devices see nothing of it.

What is memory is the hypervisor's to say: a chipset's registers (PAM, SMRAM) don't change what a domain has at an
address. So an access is refused where the machine has a register, and where the hypervisor maps nothing; a device's own
ROM, and video memory that isn't the hypervisor's, are this process's.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from southbridge.errors import GuestMemoryError
from southbridge.hookspecs import hookimpl
from southbridge.memory.guest import Mapping
from southbridge.memory.ram import RamBlock
from southbridge.memory.regions import Section
from southbridge.memory.space import AddressSpace

from .mapcache import Lock, MapCache


class LockedMapping(Mapping):
    """A mapping of the domain's memory."""

    __slots__ = ("lock",)

    def __init__(self, address: int, view: memoryview, writable: bool, lock: Lock) -> None:
        super().__init__(address, view, writable)
        self.lock = lock


class DomainMemory:
    """`cache` is the domain's memory; `ram` is the block that stands for it in `space`.

    `wrote(address, length)` is called after each store to the domain's memory while it is set.
    """

    def __init__(self, space: AddressSpace, ram: RamBlock, cache: MapCache) -> None:
        self._space = space
        self._ram = ram
        self._cache = cache
        self.wrote: Callable[[int, int], None] | None = None

    def is_domain(self, section: Section | None) -> bool:
        """Whether it is the hypervisor that answers there."""
        return section is None or section.ram is self._ram

    def _pieces(self, address: int, length: int) -> Iterator[tuple[Section | None, int, int]]:
        """Each piece with its section, None for the domain's memory. Raises GuestMemoryError for a register."""
        while length:
            section = self._space.find(address)
            if section is None:
                part = min(length, self._space.next_start(address) - address)
                if part <= 0:
                    raise GuestMemoryError(address, "no memory")  # beyond all addresses
            else:
                part = min(length, section.end - address)
                if section.ram is None:
                    raise GuestMemoryError(address, "no memory")
            yield None if self.is_domain(section) else section, address, part
            address += part
            length -= part

    # --- hooks ---------------------------------------------------------------------------------------------------

    @hookimpl
    def memory_read(self, address: int, length: int) -> bytes:
        """See hookspecs."""
        section = self._space.find(address)
        if section is not None and section.ram is self._ram and address + length <= section.end:
            return self._cache.read(address, length)
        parts = []
        for where, at, part in self._pieces(address, length):
            if where is None:
                parts.append(self._cache.read(at, part))
            else:
                offset = where.block_offset + at - where.start
                parts.append(where.block.view[offset : offset + part].tobytes())
        return b"".join(parts)

    @hookimpl
    def memory_write(self, address: int, data: bytes | memoryview) -> None:
        """See hookspecs."""
        length = len(data)
        section = self._space.find(address)
        if section is not None and section.ram is self._ram and address + length <= section.end:
            self._cache.write(address, data)
            self._changed(section, address, length)
            return
        pieces = list(self._pieces(address, length))
        for where, at, part in pieces:
            if where is None:
                self._cache.check(at, part)
            elif where.readonly:
                raise GuestMemoryError(at, "read-only memory")
        done = 0
        for where, at, part in pieces:
            self._store(where, at, data[done : done + part])
            done += part

    def _store(self, where: Section | None, address: int, data: bytes | memoryview) -> None:
        if where is None:
            self._cache.write(address, data)
            self._changed(self._space.find(address), address, len(data))
        else:
            offset = where.block_offset + address - where.start
            where.block.view[offset : offset + len(data)] = data
            where.block.mark_dirty(offset, len(data))

    @hookimpl
    def memory_map(self, address: int, length: int, write: bool) -> Mapping:
        """See hookspecs."""
        where, _, part = next(self._pieces(address, length))
        if where is None:
            lock = self._cache.lock(address, part)
            return LockedMapping(address, lock.view if write else lock.view.toreadonly(), write, lock)
        if write and where.readonly:
            raise GuestMemoryError(address, "read-only memory")
        offset = where.block_offset + address - where.start
        view = where.block.view[offset : offset + part]
        return Mapping(address, view if write else view.toreadonly(), write)

    @hookimpl
    def memory_unmap(self, mapping: Mapping, written: int) -> None:
        """See hookspecs."""
        changed = min(written, len(mapping)) if mapping.writable else 0
        if isinstance(mapping, LockedMapping):
            mapping.view.release()
            self._cache.unlock(mapping.lock)
        for where, at, part in self._pieces(mapping.address, changed):
            if where is None:
                self._changed(self._space.find(at), at, part)
            else:
                where.block.mark_dirty(where.block_offset + at - where.start, part)

    def _changed(self, section: Section | None, address: int, length: int) -> None:
        if section is not None and section.ram is not None and section.ram.dirty:
            section.ram.mark_dirty(section.block_offset + address - section.start, length)
        if self.wrote is not None:
            self.wrote(address, length)

    # --- what a request's data are -------------------------------------------------------------------------------

    def fetch(self, address: int, length: int) -> bytes:
        """What the hypervisor points to; ones where nothing is."""
        try:
            return self.memory_read(address, length)
        except GuestMemoryError:
            return b"\xff" * length

    def store(self, address: int, data: bytes) -> None:
        """The inverse; what can't be stored is lost."""
        try:
            self.memory_write(address, data)
        except GuestMemoryError:
            self._store_what_can_be(address, data)

    def _store_what_can_be(self, address: int, data: bytes) -> None:
        for at in range(len(data)):
            try:
                self.memory_write(address + at, data[at : at + 1])
            except GuestMemoryError:
                continue
