"""What the hypervisor is told of the memory map, the ports and the PCI buses: which accesses are ours to serve."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import TYPE_CHECKING

from southbridge.memory.regions import Section
from southbridge.pci import PciBus, PciDevice

from .hypervisor import DeviceModel, Space

if TYPE_CHECKING:
    from southbridge.machine import Machine

log = logging.getLogger(__name__)


class Ranges:
    """Those of the ioreq server `server`. `offloads`: devices that the hypervisor plays itself. With the lock held."""

    def __init__(self, machine: Machine, model: DeviceModel, server: int, offloads: frozenset[str]) -> None:
        self._machine = machine
        self._model = model
        self._server = server
        self._offloads = offloads
        self._ports = _Ports(self)
        self._mapped: set[tuple[Space, int, int]] = set()
        self._buses: list[tuple[PciBus, Callable[[PciDevice, bool], None]]] = []

    def follow(self) -> None:
        """The ports and PCI buses, and what becomes of them. Memory is told by the hooks."""
        self._machine.ports.add_listener(self._ports)
        for bus in self._machine.buses.values():
            if isinstance(bus, PciBus):
                listener = self._function_changed
                bus.on_hotplug.append(listener)
                self._buses.append((bus, listener))
                for device in bus.devices():
                    self._function_changed(device, True)

    def leave(self) -> None:
        """No longer. What is registered goes with the server."""
        for bus, listener in self._buses:
            bus.on_hotplug.remove(listener)
        self._buses.clear()
        self._mapped.clear()
        self._machine.ports.remove_listener(self._ports)

    def add(self, space: Space, section: Section) -> None:
        """Accesses to `section` are ours, unless the hypervisor plays its device."""
        if self._is_offloaded(section):
            return
        place = space, section.start, section.end - 1
        self._mapped.add(place)
        self._do("map_io_range", *place)

    def remove(self, space: Space, section: Section) -> None:
        """They no longer are."""
        place = space, section.start, section.end - 1
        if place in self._mapped:
            self._mapped.remove(place)
            self._do("unmap_io_range", *place)

    def _is_offloaded(self, section: Section) -> bool:
        return getattr(section.region.owner, "platform", "") in self._offloads

    def _function_changed(self, device: PciDevice, came: bool) -> None:
        self._do("map_pcidev" if came else "unmap_pcidev", 0, device.bus.number, device.slot, device.function)

    def _do(self, what: str, *place: int) -> None:
        try:
            getattr(self._model, what)(self._server, *place)
        except OSError as error:
            log.error("%s: %s", ", ".join(f"{number:#x}" for number in place), error.strerror)


class _Ports:
    """See SpaceListener."""

    def __init__(self, ranges: Ranges) -> None:
        self._ranges = ranges

    def region_added(self, section: Section) -> None:
        """See SpaceListener."""
        self._ranges.add(Space.PORTS, section)

    def region_removed(self, section: Section) -> None:
        """See SpaceListener."""
        self._ranges.remove(Space.PORTS, section)
