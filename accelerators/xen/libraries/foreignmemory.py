"""libxenforeignmemory (xenforeignmemory.h)."""

from __future__ import annotations

import ctypes
import mmap
from collections.abc import Callable, Sequence
from ctypes import POINTER, byref, c_int, c_size_t, c_uint, c_uint32, c_ulong, c_void_p
from typing import Any

from ..hypervisor import PAGE_SIZE
from .binding import DOMAIN_ID, failure, function, load

_ACCESS = mmap.PROT_READ | mmap.PROT_WRITE
_FIXED = 0x10
"""Linux's MAP_FIXED."""
_IOREQ_SERVER = 0
"""XENMEM_resource_ioreq_server; its frame 0 is the buffered ring, frame 1 the synchronous requests."""


class ForeignMemory:
    """See hypervisor.ForeignMemory."""

    def __init__(self, domid: int) -> None:
        library = load(("libxenforeignmemory.so.1",), "libxenforeignmemory1")

        def bind(name: str, result: Any, *arguments: Any) -> Callable[..., Any]:
            return function(library, f"xenforeignmemory_{name}", result, (c_void_p, *arguments))

        frames, errors = POINTER(c_ulong), POINTER(c_int)
        self._map = bind("map", c_void_p, c_uint32, c_int, c_size_t, frames, errors)
        self._map2 = bind("map2", c_void_p, c_uint32, c_void_p, c_int, c_int, c_size_t, frames, errors)
        self._unmap = bind("unmap", c_int, c_void_p, c_size_t)
        self._map_resource = bind(
            "map_resource",
            c_void_p,
            DOMAIN_ID,
            c_uint,
            c_uint,
            c_ulong,
            c_ulong,
            POINTER(c_void_p),
            c_int,
            c_int,
        )
        self._unmap_resource = bind("unmap_resource", c_int, c_void_p)
        self._restrict = bind("restrict", c_int, DOMAIN_ID)
        self._close = bind("close", c_int)
        self._domid = domid
        self._addresses: dict[int, int] = {}
        """Where each mapped view is."""
        self._pages: int | None = None
        self._handle = function(library, "xenforeignmemory_open", c_void_p, (c_void_p, c_uint))(None, 0)

    def map(self, frames: Sequence[int]) -> tuple[memoryview, list[int]]:
        """See hypervisor.ForeignMemory."""
        count = len(frames)
        errors = (c_int * count)()
        address = self._map(self._handle, self._domid, _ACCESS, count, (c_ulong * count)(*frames), errors)
        view = _view(address, count)
        self._addresses[id(view)] = address
        return view, list(errors)

    def unmap(self, view: memoryview) -> None:
        """See hypervisor.ForeignMemory."""
        self._unmap(self._handle, self._addresses.pop(id(view)), len(view) // PAGE_SIZE)

    def map_over(self, frames: Sequence[int], address: int) -> list[int]:
        """See hypervisor.ForeignMemory."""
        count = len(frames)
        errors = (c_int * count)()
        array = (c_ulong * count)(*frames)
        if self._map2(self._handle, self._domid, address, _ACCESS, _FIXED, count, array, errors) != address:
            raise failure("xenforeignmemory_map2")
        return list(errors)

    def map_ioreq_pages(self, server: int) -> tuple[memoryview, memoryview]:
        """See hypervisor.ForeignMemory."""
        address = c_void_p()
        self._pages = self._map_resource(
            self._handle, self._domid, _IOREQ_SERVER, server, 0, 2, byref(address), _ACCESS, 0
        )
        view = _view(address.value or 0, 2)
        return view[PAGE_SIZE:], view[:PAGE_SIZE]

    def unmap_ioreq_pages(self) -> None:
        """See hypervisor.ForeignMemory."""
        if self._pages is not None:
            self._unmap_resource(self._handle, self._pages)
            self._pages = None

    def restrict(self, domid: int) -> None:
        """See hypervisor.ForeignMemory."""
        self._restrict(self._handle, domid)

    def close(self) -> None:
        """Gives the handle back."""
        self._close(self._handle)


def _view(address: int, pages: int) -> memoryview:
    return memoryview((ctypes.c_ubyte * (pages * PAGE_SIZE)).from_address(address)).cast("B")
