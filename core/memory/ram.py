"""Blocks of host memory that back a guest's RAM and ROM."""

from __future__ import annotations

import ctypes
import mmap
import os
import weakref
from functools import cache, cached_property
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .dirty import DirtyPages

PAGE_SIZE = 4096
PAGE_SHIFT = 12

MAP_NORESERVE = 0x4000
"""Linux's flag, which Python's mmap module has no name for: memory is found when it is touched."""
MAP_FIXED = 0x10
"""Another one: in place of what is mapped there."""

_MOVED_AT_ONCE = 1 << 20


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
        self._descriptor: int | None = None

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

    def share(self) -> int:
        """A descriptor of the host's memory, by which its pages can be mapped a second time. The block closes it.

        The first call moves the contents, once, to memory that can be; its address stays.
        """
        if self._descriptor is None:
            descriptor = os.memfd_create(self.name)
            weakref.finalize(self, os.close, descriptor)
            os.truncate(descriptor, self.size)
            if "buffer" in vars(self):
                self._move_to(descriptor)
            else:
                flags = mmap.MAP_SHARED | MAP_NORESERVE
                self.buffer = mmap.mmap(descriptor, self.size, flags=flags)
            self._descriptor = descriptor
        return self._descriptor

    def _move_to(self, descriptor: int) -> None:
        import numpy as np

        for at in range(0, self.size, _MOVED_AT_ONCE):
            part = self.view[at : at + _MOVED_AT_ONCE]
            if np.frombuffer(part, np.uint64).any():
                os.pwrite(descriptor, part, at)
        map_at(self.host_address, self.size, descriptor, 0)

    def mark_dirty(self, offset: int, length: int) -> None:
        """Tells whoever logs this block that `length` bytes at `offset` changed."""
        for log in self.dirty:
            log.mark(offset, length)

    def mark_dirty_rows(self, offset: int, pitch: int, length: int, rows: int) -> None:
        """The same for `rows` times `length` bytes, the first at `offset`, each `pitch` behind the one before."""
        for log in self.dirty:
            log.mark_rows(offset, pitch, length, rows)


def map_at(address: int, size: int, descriptor: int, offset: int) -> None:
    """The file's memory takes the place of what this process has at `address`, for reading and writing.

    Raises OSError.
    """
    access, flags = mmap.PROT_READ | mmap.PROT_WRITE, mmap.MAP_SHARED | MAP_FIXED | MAP_NORESERVE
    if _libc().mmap(address, size, access, flags, descriptor, offset) != address:
        raise OSError(ctypes.get_errno(), "mmap")


@cache
def _libc() -> ctypes.CDLL:
    libc = ctypes.CDLL(None, use_errno=True)
    libc.mmap.restype = ctypes.c_void_p
    libc.mmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t, *[ctypes.c_int] * 3, ctypes.c_long]
    return libc
