"""What the device model asks of the domain: ranges, interrupts, memory."""

from __future__ import annotations

import errno
from typing import TYPE_CHECKING

from southbridge.errors import GuestMemoryError

from ..hypervisor import PAGE_SHIFT, MemoryType, ShutdownCode, Space
from .dirty import DirtyFrames
from .frames import Extent, Frames
from .requests import BUFFERED_CHANNEL, Requests

if TYPE_CHECKING:
    from collections.abc import Callable

    from .platform import Inner, Platform

SERVER = 1


class DeviceModel:
    """See hypervisor.DeviceModel. There is one ioreq server at most."""

    def __init__(self, inner: Inner, platform: Platform, frames: Frames, requests: Requests) -> None:
        self._inner = inner
        self._platform = platform
        self._frames = frames
        self._requests = requests
        self._dirty = DirtyFrames(inner, frames)
        self.on_shutdown: Callable[[ShutdownCode], None] = lambda reason: None
        """Called when the device model ends the domain."""

    # --- the ioreq server ----------------------------------------------------------------------------------------

    def create_ioreq_server(self) -> int:
        """See hypervisor.DeviceModel."""
        return SERVER

    def destroy_ioreq_server(self, server: int) -> None:
        """See hypervisor.DeviceModel."""
        self._requests.enable(False)

    def buffered_port(self, server: int) -> int:
        """See hypervisor.DeviceModel."""
        return BUFFERED_CHANNEL

    def set_ioreq_server_state(self, server: int, enabled: bool) -> None:
        """See hypervisor.DeviceModel."""
        self._requests.enable(enabled)

    def map_io_range(self, server: int, space: Space, first: int, last: int) -> None:
        """See hypervisor.DeviceModel."""
        ranges = self._requests.ranges[space]
        if ranges.meets(first, last):
            raise OSError(errno.EEXIST, "xendevicemodel_map_io_range_to_ioreq_server: File exists")
        ranges.add(first, last)

    def unmap_io_range(self, server: int, space: Space, first: int, last: int) -> None:
        """See hypervisor.DeviceModel."""
        self._requests.ranges[space].remove(first, last)

    def map_pcidev(self, server: int, segment: int, bus: int, slot: int, function: int) -> None:
        """See hypervisor.DeviceModel."""
        self._requests.functions.add((bus, slot, function))

    def unmap_pcidev(self, server: int, segment: int, bus: int, slot: int, function: int) -> None:
        """See hypervisor.DeviceModel."""
        self._requests.functions.discard((bus, slot, function))

    # --- interrupts ----------------------------------------------------------------------------------------------

    def set_isa_irq_level(self, line: int, level: bool) -> None:
        """See hypervisor.DeviceModel."""
        with self._inner.lock:
            self._platform.set_isa_line(line, level)

    def set_pci_intx_level(self, segment: int, bus: int, slot: int, pin: int, level: bool) -> None:
        """See hypervisor.DeviceModel."""
        with self._inner.lock:
            self._platform.set_slot_pin(bus, slot, pin, level)

    def set_pci_link_route(self, link: int, line: int) -> None:
        """See hypervisor.DeviceModel."""
        with self._inner.lock:
            self._platform.set_link_route(link, line)

    def inject_msi(self, address: int, data: int) -> None:
        """See hypervisor.DeviceModel."""
        with self._inner.lock:
            self._inner.hooks.msi_send(address, data)

    # --- memory --------------------------------------------------------------------------------------------------

    def track_dirty_vram(self, first: int, count: int) -> bytes:
        """See hypervisor.DeviceModel."""
        try:
            with self._inner.lock:
                return self._dirty.take(first, count)
        except LookupError:
            raise OSError(errno.EINVAL, "xendevicemodel_track_dirty_vram: Invalid argument") from None

    def modified_memory(self, first: int, count: int) -> None:
        """See hypervisor.DeviceModel. The CPUs' accelerator learns of it: it may have translated what was there."""
        hooks = self._inner.hooks
        with self._inner.lock:
            for extent in self._frames.inside(first, count):
                address, end = extent.first << PAGE_SHIFT, extent.end << PAGE_SHIFT
                while address < end and not extent.readonly:
                    try:
                        mapping = hooks.memory_map(address, end - address, True)
                    except GuestMemoryError:  # one of the hypervisor's devices is there
                        break
                    address += len(mapping)
                    hooks.memory_unmap(mapping, len(mapping))

    def set_memory_type(self, kind: MemoryType, first: int, count: int) -> None:
        """See hypervisor.DeviceModel."""
        with self._inner.lock:
            self._frames.change(first, count, kind is MemoryType.ROM)

    def relocate_memory(self, source: int, target: int, count: int) -> None:
        """See hypervisor.DeviceModel."""
        with self._inner.lock:
            if self._frames.inside(target, count):
                raise OSError(errno.EINVAL, "xendevicemodel_relocate_memory: Invalid argument")
            moved: list[Extent] = [
                extent._replace(first=extent.first - source + target) for extent in self._frames.take(source, count)
            ]
            self._frames.put(moved)

    # --- the domain ----------------------------------------------------------------------------------------------

    def vcpus(self) -> int:
        """See hypervisor.DeviceModel."""
        return self._inner.cpus.max

    def shutdown(self, reason: ShutdownCode) -> None:
        """See hypervisor.DeviceModel."""
        self.on_shutdown(reason)

    def restrict(self, domid: int) -> None:
        """See hypervisor.DeviceModel."""
