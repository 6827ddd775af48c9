"""The guest's physical memory, as the engine has it: RAM and ROM mapped, everything else led to the machine.

Addresses where no memory is get a mapping in chunks when the guest first touches them.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Iterable
from typing import Any

from southbridge.memory.pieces import Piece, pieces
from southbridge.memory.ram import RamBlock
from southbridge.memory.regions import Section

from . import library as lib
from .engine import PHYSICAL_BITS, Engine

_END = 1 << PHYSICAL_BITS
_CHUNK, _HIGH_CHUNK = 16 << 20, 1 << 30
"""Below and above 4 GiB: unmapping costs time per page, and there may be some thousand mappings."""


class GuestMap:
    """What is mapped in an engine."""

    def __init__(
        self, engine: Engine, read: Any, write: Any, protected: Any, fail: Callable[[BaseException], None]
    ) -> None:
        """`read` and `write` are MMIO callbacks, or their addresses, that get a chunk's address as user data;
        `protected` is a memory event callback for stores to ROM; `fail` is told of what goes wrong in a callback.
        """
        self._engine = engine
        self._read, self._write, self._protected, self._fail = read, write, protected, fail
        self._unmapped = lib.MemoryEvent(self._touched)
        self._pieces: dict[Piece, int] = {}
        """With the address of each in Unicorn's space of RAM."""
        self._by_block: dict[RamBlock, list[tuple[int, int, int, Piece]]] = {}
        """Of each, large ones first, where it begins and ends in the block, and its address in Unicorn's space."""
        self._twice: set[RamBlock] = set()
        """Those of which something is in more than one place."""
        self._protections: dict[Piece, int] = {}
        self._chunks: dict[int, int] = {}
        """Sizes by address."""
        self._starts: list[int] = []
        self._sorted: list[Piece] = []
        self._holes: list[tuple[int, int]] = []
        self._hole_hooks: list[int] = []

    def follow(self, sections: Iterable[Section]) -> None:
        """Makes the engine's memory what `sections` say. Raises SouthbridgeError for RAM beyond the CPU's reach."""
        wanted = dict.fromkeys(pieces(sections, _END))
        gone = [piece for piece in self._pieces if piece not in wanted]
        new = [piece for piece in wanted if piece not in self._pieces]
        if not gone and not new and self._holes:
            return
        for piece in gone:
            self._unmap(piece)
        for piece in new:
            self._unmap_chunks(piece.start, piece.end)
            self._map(piece)
        self._sorted = sorted(self._pieces, key=lambda piece: piece.start)
        self._starts = [piece.start for piece in self._sorted]
        self._sort_by_block()
        self._hook_holes()
        self._engine.flush_tlb()

    def _sort_by_block(self) -> None:
        self._by_block.clear()
        self._twice.clear()
        for piece, address in sorted(self._pieces.items(), key=lambda item: -item[0].size):
            places = self._by_block.setdefault(piece.block, [])
            begin, end = piece.offset, piece.offset + piece.size
            if any(other[0] < end and begin < other[1] for other in places):
                self._twice.add(piece.block)
            places.append((begin, end, address, piece))

    def pieces_of(self, block: RamBlock) -> list[Piece]:
        """Where parts of `block` are mapped."""
        return [place[3] for place in self._by_block.get(block, ())]

    def ram_addresses(self, block: RamBlock, places: Iterable[tuple[int, int]]) -> list[tuple[int, int]]:
        """Where in Unicorn's space of RAM these offsets of `block`, so many bytes each, are: addresses and sizes."""
        pieces, once = self._by_block.get(block, ()), block not in self._twice
        found = []
        for offset, length in places:
            end = offset + length
            for begin, stop, address, _ in pieces:
                if begin <= offset and end <= stop:
                    found.append((address + offset - begin, length))
                    if once:
                        break
                elif begin < end and offset < stop:
                    start = max(offset, begin)
                    found.append((address + start - begin, min(end, stop) - start))
        return found

    def _map(self, piece: Piece) -> None:
        engine = self._engine
        self._pieces[piece] = engine.map_ram(piece.start, piece.size, piece.block.host_address + piece.offset)
        if piece.written:
            engine.protect(piece.start, piece.size)
            hook = engine.hook_memory(lib.HOOK_WRITE_PROTECTED, self._protected, piece.start, piece.end)
            self._protections[piece] = hook
        elif piece.readonly:
            engine.discard_writes(piece.start)

    def _unmap(self, piece: Piece) -> None:
        self._engine.forget_code(self._pieces.pop(piece), piece.size)
        self._engine.unmap(piece.start, piece.size)
        hook = self._protections.pop(piece, None)
        if hook is not None:
            self._engine.unhook(hook)

    # --- where no memory is --------------------------------------------------------------------------------------

    def _hook_holes(self) -> None:
        """Watches the ranges without memory for accesses."""
        holes = []
        end = 0
        for piece in self._sorted:
            if piece.start > end:
                holes.append((end, piece.start))
            end = piece.end
        if end < _END:
            holes.append((end, _END))
        if holes == self._holes:
            return
        for hook in self._hole_hooks:
            self._engine.unhook(hook)
        self._hole_hooks = [self._engine.hook_memory(lib.HOOK_UNMAPPED, self._unmapped, *hole) for hole in holes]
        self._holes = holes

    def _touched(self, _engine: int, _kind: int, address: int, _size: int, _value: int, _data: int) -> bool:
        """The guest touched an address where nothing is mapped."""
        try:
            self._map_chunk(address)
        except BaseException as error:
            self._fail(error)
            return False
        return True

    def _map_chunk(self, address: int) -> None:
        if address >= _END or self._piece_at(address):
            return
        chunk = _CHUNK if address < 1 << 32 else _HIGH_CHUNK
        start = address & -chunk
        end = start + chunk
        index = bisect_right(self._starts, address)
        if index:
            start = max(start, self._sorted[index - 1].end)
        if index < len(self._sorted):
            end = min(end, self._starts[index])
        if start not in self._chunks:
            self._engine.map_io(start, end - start, self._read, self._write)
            self._chunks[start] = end - start

    def _piece_at(self, address: int) -> Piece | None:
        index = bisect_right(self._starts, address) - 1
        if index < 0 or address >= self._sorted[index].end:
            return None
        return self._sorted[index]

    def _unmap_chunks(self, start: int, end: int) -> None:
        for at in [at for at, size in self._chunks.items() if at < end and start < at + size]:
            self._engine.unmap(at, self._chunks.pop(at))
