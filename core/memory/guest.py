"""Guest memory as the memory hooks give it, for accelerators whose guest RAM is this process's own memory."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from ..errors import GuestMemoryError
from ..hookspecs import hookimpl
from .ram import RamBlock
from .regions import Section
from .space import AddressSpace

Wrote = Callable[[RamBlock, Sequence[tuple[int, int]]], None]


class Mapping:
    """Host access to guest memory, from `memory_map` until `memory_unmap`.

    `view` may be shorter than what was asked for; it isn't writable unless the mapping was made for writing.
    """

    __slots__ = ("address", "view", "writable")

    def __init__(self, address: int, view: memoryview, writable: bool) -> None:
        self.address = address
        self.view = view
        self.writable = writable

    def __len__(self) -> int:
        return len(self.view)


class FlatGuestMemory:
    """The memory hooks over RAM blocks that the host has mapped in whole.

    `wrote` is told of each store by a device, or of several at once: the block, offsets and lengths. A software CPU
    drops its translations of them.
    """

    def __init__(self, space: AddressSpace, wrote: Wrote | None = None) -> None:
        self._space = space
        self._wrote = wrote

    def _pieces(self, address: int, length: int) -> Iterator[tuple[Section, int, int]]:
        """The sections that hold `length` bytes at `address`, each with an offset into its block and a length."""
        while length:
            section = self._space.find(address)
            if section is None or not section.is_ram:
                raise GuestMemoryError(address, "no memory")
            part = min(length, section.end - address)
            yield section, section.block_offset + address - section.start, part
            address += part
            length -= part

    @hookimpl
    def memory_read(self, address: int, length: int) -> bytes:
        """See hookspecs."""
        section = self._space.find(address)
        if section is not None and section.ram is not None and address + length <= section.end:
            offset = section.block_offset + address - section.start
            return section.ram.view[offset : offset + length].tobytes()
        return b"".join(
            s.block.view[offset : offset + part].tobytes() for s, offset, part in self._pieces(address, length)
        )

    @hookimpl
    def memory_write(self, address: int, data: bytes | memoryview) -> None:
        """See hookspecs."""
        length = len(data)
        section = self._space.find(address)
        if section is not None and section.ram and not section.readonly and address + length <= section.end:
            offset = section.block_offset + address - section.start
            section.ram.view[offset : offset + length] = data
            self._changed(section.ram, offset, length)
        else:
            self._write_pieces(address, data)

    @hookimpl
    def memory_write_several(self, pieces: Iterator[tuple[int, bytes | memoryview]]) -> bool:
        """See hookspecs."""
        find, block, view = self._space.find, None, memoryview(b"")
        places: list[tuple[int, int]] = []
        try:
            for address, data in pieces:
                length = len(data)
                section = find(address)
                if section is None or section.readonly or address + length > section.end or section.ram is None:
                    self._write_pieces(address, data)
                    continue
                if section.ram is not block:
                    self._changed_several(block, places)
                    block, places, view = section.ram, [], section.ram.view
                offset = section.block_offset + address - section.start
                view[offset : offset + length] = data
                places.append((offset, length))
        finally:
            self._changed_several(block, places)
        return True

    def _write_pieces(self, address: int, data: bytes | memoryview) -> None:
        pieces = list(self._pieces(address, len(data)))
        at = 0
        for section, _, part in pieces:
            if section.readonly:
                raise GuestMemoryError(address + at, "read-only memory")
            at += part
        at = 0
        for section, offset, part in pieces:
            section.block.view[offset : offset + part] = data[at : at + part]
            self._changed(section.block, offset, part)
            at += part

    @hookimpl
    def memory_map(self, address: int, length: int, write: bool) -> Mapping:
        """See hookspecs."""
        section = self._space.find(address)
        if section is None or section.ram is None:
            raise GuestMemoryError(address, "no memory")
        offset, part = section.block_offset + address - section.start, min(length, section.end - address)
        if write and section.readonly:
            raise GuestMemoryError(address, "read-only memory")
        view = section.ram.view[offset : offset + part]
        return Mapping(address, view if write else view.toreadonly(), write)

    @hookimpl
    def memory_unmap(self, mapping: Mapping, written: int) -> None:
        """See hookspecs."""
        if mapping.writable and written:
            for section, offset, part in self._pieces(mapping.address, min(written, len(mapping))):
                self._changed(section.block, offset, part)

    def _changed(self, block: RamBlock, offset: int, length: int) -> None:
        if block.dirty:
            block.mark_dirty(offset, length)
        if self._wrote is not None:
            self._wrote(block, [(offset, length)])

    def _changed_several(self, block: RamBlock | None, places: list[tuple[int, int]]) -> None:
        if block is None or not places:
            return
        if block.dirty:
            for offset, length in places:
                block.mark_dirty(offset, length)
        if self._wrote is not None:
            self._wrote(block, places)
