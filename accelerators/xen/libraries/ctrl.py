"""libxenctrl (xenctrl.h), which changes with every release of Xen: all that we use of it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from ctypes import POINTER, byref, c_int, c_uint, c_uint32, c_uint64, c_ulong, c_void_p
from typing import Any

from .binding import function, load

VERSIONS = tuple(f"libxenctrl.so.4.{minor}" for minor in range(22, 10, -1))
"""Its name has Xen's release in it."""


class Control:
    """See hypervisor.Control."""

    def __init__(self, domid: int) -> None:
        library = load(VERSIONS, "libxenmisc4.17 (of the release of Xen that runs)")

        def bind(name: str, *arguments: Any) -> Callable[..., Any]:
            return function(library, f"xc_{name}", c_int, (c_void_p, c_uint32, *arguments))

        frames = POINTER(c_ulong)
        self._maximum_gpfn = bind("domain_maximum_gpfn", frames)
        self._populate = bind("domain_populate_physmap_exact", c_ulong, c_uint, c_uint, frames)
        self._decrease = bind("domain_decrease_reservation_exact", c_ulong, c_uint, frames)
        self._param_get = bind("hvm_param_get", c_uint32, POINTER(c_uint64))
        self._param_set = bind("hvm_param_set", c_uint32, c_uint64)
        self._close = function(library, "xc_interface_close", c_int, (c_void_p,))
        self._domid = domid
        self._handle = function(library, "xc_interface_open", c_void_p, (c_void_p, c_void_p, c_uint))(None, None, 0)

    def maximum_frame(self) -> int:
        """See hypervisor.Control."""
        frame = c_ulong()
        self._maximum_gpfn(self._handle, self._domid, byref(frame))
        return frame.value

    def populate(self, frames: Sequence[int]) -> None:
        """See hypervisor.Control."""
        self._populate(self._handle, self._domid, len(frames), 0, 0, (c_ulong * len(frames))(*frames))

    def depopulate(self, frames: Sequence[int]) -> None:
        """See hypervisor.Control."""
        self._decrease(self._handle, self._domid, len(frames), 0, (c_ulong * len(frames))(*frames))

    def parameter(self, number: int) -> int:
        """See hypervisor.Control."""
        value = c_uint64()
        self._param_get(self._handle, self._domid, number, byref(value))
        return value.value

    def set_parameter(self, number: int, value: int) -> None:
        """See hypervisor.Control."""
        self._param_set(self._handle, self._domid, number, value)

    def close(self) -> None:
        """Gives the handle back."""
        self._close(self._handle)
