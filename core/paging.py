"""From a virtual address to a physical one, as the CPU's page tables have it (SDM volume 3A, chapter 4)."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from .errors import GuestMemoryError
from .x86 import MSR_EFER

if TYPE_CHECKING:
    from .machine import Machine
    from .x86 import X86State

CR0_PG = 1 << 31
CR4_PSE, CR4_PAE, CR4_LA57 = 1 << 4, 1 << 5, 1 << 12
EFER_LMA = 1 << 10
PRESENT, PAGE_SIZE = 1 << 0, 1 << 7
_FRAME = 0x000F_FFFF_FFFF_F000
_U32 = 0xFFFF_FFFF

Read = Callable[[int, int], bytes]
"""Reads physical memory: an address, a length. Raises GuestMemoryError."""


def physical(state: X86State, address: int, read: Read) -> int | None:
    """Where the CPU in `state` finds `address`; None if it is not mapped. Access rights count for nothing."""
    if not state.cr0 & CR0_PG:
        return address & _U32
    try:
        if state.msrs.get(MSR_EFER, 0) & EFER_LMA:
            return _walk(state.cr3 & _FRAME, address, 5 if state.cr4 & CR4_LA57 else 4, 8, read, large=True)
        address &= _U32
        if state.cr4 & CR4_PAE:
            return _walk_pae(state.cr3 & 0xFFFF_FFE0, address, read)
        return _walk(state.cr3 & 0xFFFF_F000, address, 2, 4, read, large=bool(state.cr4 & CR4_PSE))
    except GuestMemoryError:
        return None


def _walk_pae(table: int, address: int, read: Read) -> int | None:
    entry = _entry(table, address >> 30, 8, read)
    return _walk(entry & _FRAME, address, 2, 8, read, large=True) if entry & PRESENT else None


def _walk(table: int, address: int, levels: int, size: int, read: Read, *, large: bool) -> int | None:
    """Through `levels` levels of tables with entries of `size` bytes."""
    index_bits = 9 if size == 8 else 10
    for level in reversed(range(levels)):
        shift = 12 + index_bits * level
        entry = _entry(table, address >> shift & (1 << index_bits) - 1, size, read)
        if not entry & PRESENT:
            return None
        if level and large and entry & PAGE_SIZE:
            low = (1 << shift) - 1
            high = (entry >> 13 & 0xFF) << 32 if size == 4 else 0  # PSE-36
            return high | entry & _FRAME & ~low & (_U32 if size == 4 else -1) | address & low
        table = entry & _FRAME
    return table | address & 0xFFF


def _entry(table: int, index: int, size: int, read: Read) -> int:
    return int.from_bytes(read(table + index * size, size), "little")


def read_virtual(machine: Machine, state: X86State, address: int, length: int) -> bytes:
    """`length` bytes from the virtual `address` on. Raises GuestMemoryError for what isn't mapped, or no memory."""
    found = bytearray()
    while len(found) < length:
        at = address + len(found)
        part = min(length - len(found), 0x1000 - (at & 0xFFF))
        place = physical(state, at, machine.hooks.memory_read)
        if place is None:
            raise GuestMemoryError(at, "not mapped")
        found += machine.hooks.memory_read(place, part)
    return bytes(found)
