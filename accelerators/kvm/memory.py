"""Guest memory as KVM has it: slots over the host's memory (api.rst, KVM_SET_USER_MEMORY_REGION).

RAM and ROM are slots, ROM read-only ones: a store to it, and any access where no slot is, leaves the guest.

KVM doesn't know the A20 gate. While it is closed, the odd megabytes get slots that show the memory of the even ones.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from heapq import heapify, heappop, heappush

from southbridge.errors import SouthbridgeError
from southbridge.memory.pieces import Piece, pieces
from southbridge.memory.ram import RamBlock
from southbridge.memory.regions import Section

from . import ioctls as k
from .structures import UserspaceMemoryRegion
from .vm import Vm

MEGABYTE = 1 << 20
A20 = 1 << 20


class Slots:
    """The memory slots of a virtual machine. Used with the machine's lock held."""

    def __init__(self, vm: Vm, physical_bits: int) -> None:
        self._vm = vm
        self._end = 1 << physical_bits
        self._numbers: dict[Piece, int] = {}
        self._limit = vm.check(k.CAP_NR_MEMSLOTS) or 32
        self._free: list[int] = list(range(self._limit))
        heapify(self._free)
        self._logged: dict[RamBlock, int] = {}
        """How many ask for the stores to each block."""
        self.on_remove: Callable[[Piece, int], None] = lambda piece, number: None
        """Called before a slot is deleted."""

    def follow(self, sections: Iterable[Section], a20: bool = True) -> None:
        """Makes the slots what `sections` say. Raises SouthbridgeError for what KVM can't do."""
        found: Iterable[Piece] = pieces(sections, self._end)
        wanted = dict.fromkeys(found if a20 else _without_a20(list(found)))
        for piece in [piece for piece in self._numbers if piece not in wanted]:
            self._remove(piece)
        for piece in wanted:
            if piece not in self._numbers:
                self._add(piece)

    def slots_of(self, block: RamBlock) -> Iterator[tuple[Piece, int]]:
        """The slots that show parts of `block`, with their numbers."""
        return ((piece, number) for piece, number in self._numbers.items() if piece.block is block)

    def log(self, block: RamBlock) -> None:
        """KVM records the guest's stores to `block` from now on."""
        self._logged[block] = self._logged.get(block, 0) + 1
        if self._logged[block] == 1:
            self._set_flags(block)

    def stop_log(self, block: RamBlock) -> None:
        """One fewer asks for that."""
        self._logged[block] -= 1
        if not self._logged[block]:
            del self._logged[block]
            self._set_flags(block)

    def _set_flags(self, block: RamBlock) -> None:
        for piece, number in self.slots_of(block):
            self._set(piece, number, piece.size)

    def _add(self, piece: Piece) -> None:
        if not self._free:
            raise SouthbridgeError(f"KVM has no more than {self._limit} memory slots")
        number = heappop(self._free)
        self._set(piece, number, piece.size)
        self._numbers[piece] = number

    def _remove(self, piece: Piece) -> None:
        number = self._numbers[piece]
        self.on_remove(piece, number)
        del self._numbers[piece]
        self._set(piece, number, 0)
        heappush(self._free, number)

    def _set(self, piece: Piece, number: int, size: int) -> None:
        flags = k.MEM_READONLY if piece.readonly else 0
        if piece.block in self._logged and not piece.readonly:
            flags |= k.MEM_LOG_DIRTY_PAGES
        host = piece.block.host_address + piece.offset
        try:
            self._vm.set(k.KVM_SET_USER_MEMORY_REGION, UserspaceMemoryRegion(number, flags, piece.start, size, host))
        except OSError as error:
            what = f"{piece.block.name} at {piece.start:#x}"
            raise SouthbridgeError(f"KVM refuses the memory slot for {what}: {error.strerror}") from error


def _without_a20(found: list[Piece]) -> Iterator[Piece]:
    """`found`, as the CPU sees it while bit 20 of its addresses reads as zero."""
    for piece in found:
        for part in _megabytes(piece):
            if not part.start & A20:
                yield part
                yield replace(part, start=part.start | A20)


def _megabytes(piece: Piece) -> Iterator[Piece]:
    """`piece`, cut at each megabyte."""
    start = piece.start
    while start < piece.end:
        stop = min(piece.end, (start | MEGABYTE - 1) + 1)
        yield replace(piece, start=start, size=stop - start, offset=piece.offset + start - piece.start)
        start = stop
