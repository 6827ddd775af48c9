"""libxenevtchn (xenevtchn.h).

What happens at every request, waiting and unmasking, is done by the descriptor, as the library does it: a port's number
is read from Linux's /dev/xen/evtchn, and written to it. A call through ctypes costs several times as much.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from ctypes import c_int, c_uint, c_uint32, c_void_p
from typing import Any

from .binding import DOMAIN_ID, function, load

_SELF = 0x7FF0
"""DOMID_SELF."""


class EventChannels:
    """See hypervisor.EventChannels.

    A channel whose ends are both ours wakes whoever waits, so that waiting is one system call.
    """

    def __init__(self, domid: int) -> None:
        library = load(("libxenevtchn.so.1",), "libxenevtchn1")

        def bind(name: str, *arguments: Any) -> Callable[..., Any]:
            return function(library, f"xenevtchn_{name}", c_int, (c_void_p, *arguments))

        self._bind = bind("bind_interdomain", c_uint32, c_uint32)
        self._unbind = bind("unbind", c_uint32)
        self._notify = bind("notify", c_uint32)
        self._restrict = bind("restrict", DOMAIN_ID)
        self._close = bind("close")
        self._domid = domid
        self._handle = function(library, "xenevtchn_open", c_void_p, (c_void_p, c_uint))(None, 0)
        self._fd: int = bind("fd")(self._handle)
        self._woken: int = bind("bind_unbound_port", c_uint32)(self._handle, _SELF)
        self._waker: int = self._bind(self._handle, _SELF, self._woken)

    def bind_interdomain(self, remote_port: int) -> int:
        """See hypervisor.EventChannels."""
        port: int = self._bind(self._handle, self._domid, remote_port)
        return port

    def unbind(self, port: int) -> None:
        """See hypervisor.EventChannels."""
        self._unbind(self._handle, port)

    def notify(self, port: int) -> None:
        """See hypervisor.EventChannels."""
        self._notify(self._handle, port)

    def wait(self) -> int | None:
        """See hypervisor.EventChannels."""
        port = int.from_bytes(os.read(self._fd, 4), sys.byteorder)
        if port != self._woken:
            return port
        self.unmask(port)
        return None

    def deliver_to(self, take: Callable[[int], None]) -> None:
        """See hypervisor.EventChannels. Those who signal are in another process."""

    def unmask(self, port: int) -> None:
        """See hypervisor.EventChannels."""
        os.write(self._fd, port.to_bytes(4, sys.byteorder))

    def wake(self) -> None:
        """See hypervisor.EventChannels."""
        self._notify(self._handle, self._waker)

    def restrict(self, domid: int) -> None:
        """See hypervisor.EventChannels."""
        self._restrict(self._handle, domid)

    def close(self) -> None:
        """Gives the handle back."""
        self._close(self._handle)
