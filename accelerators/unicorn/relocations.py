"""Where a loaded ELF library keeps the addresses of its own functions: its relocations say (System V ABI, chapter 5).

A library that may be interposed reaches an exported function, where it needs its address, through a word that the
dynamic linker fills in. Changing these words changes which function is meant.
"""

from __future__ import annotations

import ctypes
import mmap
import platform
from collections.abc import Collection, Mapping
from ctypes import Structure, c_uint64, c_void_p
from dataclasses import dataclass
from pathlib import Path

_KINDS = {"x86_64": (1, 6), "aarch64": (257, 1025)}
"""Relocations of a word in data (R_X86_64_64, R_AARCH64_ABS64), and of one in the global offset table (GLOB_DAT)."""
_BITS = (mmap.PROT_READ, mmap.PROT_WRITE, mmap.PROT_EXEC)
_DT_SYMTAB, _DT_RELA, _DT_RELASZ, _DT_RELACOUNT = 6, 7, 8, 0x6FFF_FFF9
_RTLD_DI_LINKMAP = 2
_RELA_WORDS = 3
_SYMBOL_WORDS = 3


class _LinkMap(Structure):
    """The dynamic linker's record of a library, as debuggers see it."""

    _fields_ = [("base", c_uint64), ("name", c_uint64), ("dynamic", c_uint64)]


@dataclass(frozen=True)
class Slot:
    """A word that holds a function's address."""

    address: int
    function: int
    in_data: bool
    """In an object of the library's; else in the global offset table."""

    @property
    def value(self) -> int:
        """What it holds."""
        return c_uint64.from_address(self.address).value


def point_at(functions: Mapping[Slot, int]) -> None:
    """Has each slot hold another function, although it may be read-only by now."""
    pages = {slot.address & -mmap.PAGESIZE for slot in functions}
    protections = _protections(pages)
    for page in pages:
        _protect(page, protections[page] | mmap.PROT_WRITE)
    for slot, function in functions.items():
        c_uint64.from_address(slot.address).value = function
    for page in pages:
        _protect(page, protections[page])


def find_slots(library: ctypes.CDLL, functions: Collection[int]) -> list[Slot]:
    """The words of `library` that are relocated to the addresses `functions`; those of calls aren't among them."""
    link_map = c_void_p()
    process = ctypes.CDLL(None, use_errno=True)
    if process.dlinfo(c_void_p(library._handle), _RTLD_DI_LINKMAP, ctypes.byref(link_map)) or not link_map.value:
        return []
    record = _LinkMap.from_address(link_map.value)
    base = record.base
    tags = _dynamic_section(record)
    first = tags.get(_DT_RELACOUNT, 0)  # those before name no symbol
    relocations = _words(tags[_DT_RELA], tags[_DT_RELASZ] // 8)[_RELA_WORDS * first :]
    infos = relocations[1::_RELA_WORDS].tolist()
    symbols = _words(tags[_DT_SYMTAB], (max(infos, default=0) >> 32) * _SYMBOL_WORDS + _SYMBOL_WORDS)
    wanted = {function - base for function in functions}
    found = {number: value for number, value in enumerate(symbols[1::_SYMBOL_WORDS].tolist()) if value in wanted}
    in_data, in_table = _KINDS[platform.machine()]
    slots = []
    for row, info in enumerate(infos):
        kind, symbol = info & 0xFFFF_FFFF, info >> 32
        if symbol in found and kind in (in_data, in_table) and not relocations[_RELA_WORDS * row + 2]:
            slots.append(Slot(base + relocations[_RELA_WORDS * row], base + found[symbol], kind == in_data))
    return slots


def _dynamic_section(record: _LinkMap) -> dict[int, int]:
    """Its tags. Addresses in it are relocated already by some dynamic linkers."""
    tags: dict[int, int] = {}
    at = record.dynamic
    while tag := c_uint64.from_address(at).value:
        tags[tag] = c_uint64.from_address(at + 8).value
        at += 16
    for tag in (_DT_SYMTAB, _DT_RELA):
        if tags[tag] < record.base:
            tags[tag] += record.base
    return tags


def _words(address: int, number: int) -> memoryview:
    return memoryview((c_uint64 * number).from_address(address)).cast("B").cast("Q")


def _protections(pages: Collection[int]) -> dict[int, int]:
    found = {}
    for line in Path("/proc/self/maps").read_text().splitlines():
        span, flags, *_ = line.split(maxsplit=2)
        start, end = (int(part, 16) for part in span.split("-"))
        for page in pages:
            if start <= page < end:
                found[page] = sum(bit for bit, letter in zip(_BITS, flags, strict=False) if letter != "-")
    return found


def _protect(page: int, protection: int) -> None:
    process = ctypes.CDLL(None, use_errno=True)
    if process.mprotect(c_void_p(page), ctypes.c_size_t(mmap.PAGESIZE), protection):
        raise OSError(ctypes.get_errno(), "mprotect")
