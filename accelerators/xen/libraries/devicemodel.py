"""libxendevicemodel (xendevicemodel.h)."""

from __future__ import annotations

import ctypes
import errno
from collections.abc import Callable
from ctypes import POINTER, byref, c_int, c_uint8, c_uint16, c_uint32, c_uint64, c_ulong, c_void_p
from typing import Any

from ..hypervisor import MemoryType, ShutdownCode, Space
from .binding import DOMAIN_ID, function, load

_ATOMIC = 2
"""HVM_IOREQSRV_BUFIOREQ_ATOMIC."""
_WORD_BITS = 8 * ctypes.sizeof(c_ulong)


class DeviceModel:
    """See hypervisor.DeviceModel."""

    def __init__(self, domid: int) -> None:
        library = load(("libxendevicemodel.so.1",), "libxendevicemodel1")

        def bind(name: str, *arguments: Any) -> Callable[..., Any]:
            return function(library, f"xendevicemodel_{name}", c_int, (c_void_p, DOMAIN_ID, *arguments))

        server, address = c_uint16, c_uint64
        self._create = bind("create_ioreq_server", c_int, POINTER(server))
        self._destroy = bind("destroy_ioreq_server", server)
        self._info = bind("get_ioreq_server_info", server, POINTER(address), POINTER(address), POINTER(c_uint32))
        self._map_range = bind("map_io_range_to_ioreq_server", server, c_int, address, address)
        self._unmap_range = bind("unmap_io_range_from_ioreq_server", server, c_int, address, address)
        self._map_pcidev = bind("map_pcidev_to_ioreq_server", server, c_uint16, c_uint8, c_uint8, c_uint8)
        self._unmap_pcidev = bind("unmap_pcidev_from_ioreq_server", server, c_uint16, c_uint8, c_uint8, c_uint8)
        self._set_state = bind("set_ioreq_server_state", server, c_int)
        self._set_isa_irq_level = bind("set_isa_irq_level", c_uint8, c_uint32)
        self._set_pci_intx_level = bind("set_pci_intx_level", c_uint16, c_uint8, c_uint8, c_uint8, c_uint32)
        self._set_pci_link_route = bind("set_pci_link_route", c_uint8, c_uint8)
        self._inject_msi = bind("inject_msi", c_uint64, c_uint32)
        self._track = bind("track_dirty_vram", c_uint64, c_uint32, POINTER(c_ulong))
        self._modified = bind("modified_memory", c_uint64, c_uint32)
        self._set_mem_type = bind("set_mem_type", c_int, c_uint64, c_uint32)
        self._relocate = bind("relocate_memory", c_uint32, c_uint64, c_uint64)
        self._vcpus = bind("nr_vcpus", POINTER(c_uint32)) if hasattr(library, "xendevicemodel_nr_vcpus") else None
        self._shutdown = bind("shutdown", c_uint32)
        self._restrict = bind("restrict")
        self._close = function(library, "xendevicemodel_close", c_int, (c_void_p,))
        self._domid = domid
        self._handle = function(library, "xendevicemodel_open", c_void_p, (c_void_p, c_uint32))(None, 0)

    def create_ioreq_server(self) -> int:
        """See hypervisor.DeviceModel."""
        server = c_uint16()
        self._create(self._handle, self._domid, _ATOMIC, byref(server))
        return server.value

    def destroy_ioreq_server(self, server: int) -> None:
        """See hypervisor.DeviceModel."""
        self._destroy(self._handle, self._domid, server)

    def buffered_port(self, server: int) -> int:
        """See hypervisor.DeviceModel."""
        port = c_uint32()
        self._info(self._handle, self._domid, server, None, None, byref(port))
        return port.value

    def set_ioreq_server_state(self, server: int, enabled: bool) -> None:
        """See hypervisor.DeviceModel."""
        self._set_state(self._handle, self._domid, server, enabled)

    def map_io_range(self, server: int, space: Space, first: int, last: int) -> None:
        """See hypervisor.DeviceModel."""
        self._map_range(self._handle, self._domid, server, space, first, last)

    def unmap_io_range(self, server: int, space: Space, first: int, last: int) -> None:
        """See hypervisor.DeviceModel."""
        self._unmap_range(self._handle, self._domid, server, space, first, last)

    def map_pcidev(self, server: int, segment: int, bus: int, slot: int, function: int) -> None:
        """See hypervisor.DeviceModel."""
        self._map_pcidev(self._handle, self._domid, server, segment, bus, slot, function)

    def unmap_pcidev(self, server: int, segment: int, bus: int, slot: int, function: int) -> None:
        """See hypervisor.DeviceModel."""
        self._unmap_pcidev(self._handle, self._domid, server, segment, bus, slot, function)

    def set_isa_irq_level(self, line: int, level: bool) -> None:
        """See hypervisor.DeviceModel."""
        self._set_isa_irq_level(self._handle, self._domid, line, level)

    def set_pci_intx_level(self, segment: int, bus: int, slot: int, pin: int, level: bool) -> None:
        """See hypervisor.DeviceModel."""
        self._set_pci_intx_level(self._handle, self._domid, segment, bus, slot, pin, level)

    def set_pci_link_route(self, link: int, line: int) -> None:
        """See hypervisor.DeviceModel."""
        self._set_pci_link_route(self._handle, self._domid, link, line)

    def inject_msi(self, address: int, data: int) -> None:
        """See hypervisor.DeviceModel."""
        self._inject_msi(self._handle, self._domid, address, data)

    def track_dirty_vram(self, first: int, count: int) -> bytes:
        """See hypervisor.DeviceModel."""
        bitmap = (c_ulong * max(-(-count // _WORD_BITS), 1))()
        self._track(self._handle, self._domid, first, count, bitmap)
        return bytes(bitmap)[: -(-count // 8)]

    def modified_memory(self, first: int, count: int) -> None:
        """See hypervisor.DeviceModel."""
        self._modified(self._handle, self._domid, first, count)

    def set_memory_type(self, kind: MemoryType, first: int, count: int) -> None:
        """See hypervisor.DeviceModel."""
        self._set_mem_type(self._handle, self._domid, kind, first, count)

    def relocate_memory(self, source: int, target: int, count: int) -> None:
        """See hypervisor.DeviceModel."""
        self._relocate(self._handle, self._domid, count, source, target)

    def vcpus(self) -> int:
        """See hypervisor.DeviceModel."""
        number = c_uint32()
        if self._vcpus is None:
            raise OSError(errno.ENOSYS, "xendevicemodel_nr_vcpus: this library doesn't have it")
        self._vcpus(self._handle, self._domid, byref(number))
        return number.value

    def shutdown(self, reason: ShutdownCode) -> None:
        """See hypervisor.DeviceModel."""
        self._shutdown(self._handle, self._domid, reason)

    def restrict(self, domid: int) -> None:
        """See hypervisor.DeviceModel."""
        self._restrict(self._handle, domid)

    def close(self) -> None:
        """Gives the handle back."""
        self._close(self._handle)
