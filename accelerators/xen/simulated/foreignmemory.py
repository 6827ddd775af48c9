"""The domain's memory, mapped a second time into this process, page by page: as real as the real hypervisor's.

Every mapping has addresses of its own. What was unmapped, and what couldn't be mapped, is a segmentation fault.
"""

from __future__ import annotations

import ctypes
import errno
import mmap
from collections.abc import Sequence
from typing import Any

from southbridge.memory.ram import MAP_NORESERVE, map_at

from ..hypervisor import PAGE_SHIFT
from .frames import Frames


class ForeignMemory:
    """See hypervisor.ForeignMemory. What is public beside that is for tests: it has mapping fail."""

    def __init__(self, frames: Frames, ioreq_pages: tuple[memoryview, memoryview] | None = None) -> None:
        self._frames = frames
        self._ioreq_pages = ioreq_pages
        self._views: dict[int, int] = {}
        """The address of each view that is mapped."""
        self._libc = _libc()
        self.mapped = 0
        """How many frames are mapped now."""
        self.limit: int | None = None
        """How many frames can be mapped at once."""
        self.refused: set[int] = set()
        """Frames that can't be mapped."""

    def map(self, frames: Sequence[int]) -> tuple[memoryview, list[int]]:
        """See hypervisor.ForeignMemory."""
        count = len(frames)
        if self.limit is not None and self.mapped + count > self.limit:
            raise OSError(errno.ENOMEM, "xenforeignmemory_map: the domain's mappings are limited")
        flags = mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS | MAP_NORESERVE
        address = self._libc.mmap(None, count << PAGE_SHIFT, 0, flags, -1, 0)
        if address in (None, ctypes.c_void_p(-1).value):
            raise OSError(ctypes.get_errno(), "xenforeignmemory_map: no room")
        errors = self.map_over(frames, address)
        view = memoryview((ctypes.c_ubyte * (count << PAGE_SHIFT)).from_address(address)).cast("B")
        self._views[id(view)] = address
        self.mapped += count
        return view, errors

    def unmap(self, view: memoryview) -> None:
        """See hypervisor.ForeignMemory."""
        address = self._views.pop(id(view))
        self._libc.munmap(address, len(view))
        self.mapped -= len(view) >> PAGE_SHIFT

    def map_over(self, frames: Sequence[int], address: int) -> list[int]:
        """See hypervisor.ForeignMemory."""
        errors = [-errno.EINVAL] * len(frames)
        at = 0
        while at < len(frames):
            length = self._run(frames, at)
            if length:
                extent = self._frames.find(frames[at])
                assert extent is not None
                page = extent.page + frames[at] - extent.first
                place = address + (at << PAGE_SHIFT)
                map_at(place, length << PAGE_SHIFT, extent.block.share(), page << PAGE_SHIFT)
                errors[at : at + length] = [0] * length
            at += length or 1
        return errors

    def _run(self, frames: Sequence[int], start: int) -> int:
        """How many of the frames from `start` on are one piece that can be mapped."""
        extent = self._frames.find(frames[start])
        length = 0
        if extent is not None:
            for frame in frames[start:]:
                if frame != frames[start] + length or frame >= extent.end or frame in self.refused:
                    break
                length += 1
        return length

    def map_ioreq_pages(self, server: int) -> tuple[memoryview, memoryview]:
        """See hypervisor.ForeignMemory."""
        assert self._ioreq_pages is not None
        return self._ioreq_pages

    def unmap_ioreq_pages(self) -> None:
        """See hypervisor.ForeignMemory."""

    def restrict(self, domid: int) -> None:
        """See hypervisor.ForeignMemory."""

    def close(self) -> None:
        """What is still mapped goes when its views do."""


def _libc() -> Any:
    libc = ctypes.CDLL(None, use_errno=True)
    libc.mmap.restype = ctypes.c_void_p
    libc.mmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t, *[ctypes.c_int] * 3, ctypes.c_long]
    libc.munmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t]
    return libc
