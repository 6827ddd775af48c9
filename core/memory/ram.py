"""Blocks of host memory that back a guest's RAM and ROM."""

from __future__ import annotations

import ctypes
import mmap
from functools import cached_property
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .dirty import DirtyPages

PAGE_SIZE = 4096
PAGE_SHIFT = 12

MAP_NORESERVE = 0x4000
"""Linux's flag, which Python's mmap module has no name for: memory is found when it is touched."""


class RamBlock:
    """A named piece of guest memory: RAM, ROM or video memory, of `size` bytes, a multiple of 4 KiB.

    The host's memory behind it is allocated when it is first looked at: never, where the hypervisor owns guest
    memory. It is the same for every accelerator, so that exchanging one copies nothing.
    """

    def __init__(self, name: str, size: int) -> None:
        if size <= 0 or size % PAGE_SIZE:
            raise ValueError(f"{name}: a RAM block's size is a multiple of 4 KiB, not {size:#x}")
        self.name = name
        self.size = size
        self.dirty: list[DirtyPages] = []
        """Who wants to know of writes; empty almost always."""

    def __repr__(self) -> str:
        return f"<RamBlock {self.name} {self.size:#x}>"

    @cached_property
    def buffer(self) -> mmap.mmap:
        """The host's memory, zeroed, page-aligned."""
        return mmap.mmap(-1, self.size, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS | MAP_NORESERVE)

    @cached_property
    def view(self) -> memoryview:
        """The host's memory as writable bytes."""
        return memoryview(self.buffer)

    @cached_property
    def host_address(self) -> int:
        """The host's virtual address of the first byte."""
        return ctypes.addressof(ctypes.c_char.from_buffer(self.buffer))

    def mark_dirty(self, offset: int, length: int) -> None:
        """Tells whoever logs this block that `length` bytes at `offset` changed."""
        for log in self.dirty:
            log.mark(offset, length)
