"""A cache in front of Unicorn's search for the memory region behind an address.

Each store that Unicorn looks at searches its tree of regions twice. On x86-64 hosts a function of machine code takes
the place of the engine's `memory_mapping`; it remembers the page asked for last.
"""

from __future__ import annotations

import ctypes
import mmap
import platform
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from ctypes import Structure, c_uint64
from typing import Any

from southbridge.memory.ram import PAGE_SHIFT

from .thunks_x86_64 import _JNE, _join, _mov_rax

_NO_PAGE = (1 << 64) - 1


class _Last(Structure):
    _fields_ = [("page", c_uint64), ("region", c_uint64)]


class RegionCache:
    """The function in an engine, `uc`, and what it remembers."""

    def __init__(self, uc: Any) -> None:
        self._uc = uc
        self._search: int = uc.memory_mapping
        self._last = _Last(_NO_PAGE, 0)
        self._function = self._search
        if platform.machine() == "x86_64":
            code = _lookup(self._search, ctypes.addressof(self._last))
            self._memory = mmap.mmap(-1, mmap.PAGESIZE, prot=mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC)
            self._memory[: len(code)] = code
            self._function = ctypes.addressof(ctypes.c_uint8.from_buffer(self._memory))
            uc.memory_mapping = self._function

    @contextmanager
    def changing(self) -> Iterator[None]:
        """Regions come and go inside: Unicorn searches for itself, and nothing is remembered afterwards."""
        self._uc.memory_mapping = self._search
        try:
            yield
        finally:
            self._last.page = _NO_PAGE
            self._uc.memory_mapping = self._function


def _lookup(search: int, last: int) -> bytes:
    """`memory_mapping(engine, address)`: RDI, RSI."""
    return _join(
        b"\x48\x89\xf2\x48\xc1\xea" + bytes([PAGE_SHIFT]),  # mov rdx, rsi; shr rdx, 12
        _mov_rax(last),
        b"\x48\x3b\x10",  # cmp rdx, [rax]
        (_JNE, "search"),
        b"\x48\x8b\x40\x08\xc3",  # mov rax, [rax + 8]; ret
        "search",
        b"\x52" + _mov_rax(search) + b"\xff\xd0\x5a",  # push rdx; call rax; pop rdx
        b"\x48\xb9" + struct.pack("<Q", last),  # mov rcx, ...
        b"\x48\x89\x41\x08\x48\x89\x11\xc3",  # mov [rcx + 8], rax; mov [rcx], rdx; ret
    )
