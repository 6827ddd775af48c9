"""Devices that come and go while the machine runs, by the control socket's commands and QEMU's words.

The machine's description keeps up with them, so that it says what a snapshot of the machine is of.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, cast

from .construct import make_device
from .description.model import ID, LONGEST_ID, Part
from .device import Device
from .discovery import load
from .errors import Location, SouthbridgeError
from .exchange import add_cpu
from .hookspecs import hookimpl
from .life import RunState
from .pci import PciDevice
from .sharing import can_be_shared

if TYPE_CHECKING:
    from .machine import Machine

BACKENDS = ("blockdevs", "chardevs", "netdevs")

log = logging.getLogger(__name__)


class Hotplug:
    """Of one machine."""

    def __init__(self, machine: Machine) -> None:
        self._machine = machine
        self.came_later: set[str] = set()
        """The ids of devices that were plugged in while the machine ran."""
        self.nameless: dict[str, int] = {}
        """The ids of what its user added without one, and which of these each is."""

    def add(self, type_name: str, id: str, **properties: Any) -> Device:
        """Plugs in a new device of that type, and gives it. Raises SouthbridgeError, with the machine as it was."""
        machine = self._machine
        self._check_state()
        if not ID.fullmatch(id) or len(id) > LONGEST_ID:
            raise SouthbridgeError(f"{id!r} isn't a device's id: expected letters, digits, '.', '_' and '-'")
        cls = cast("type[Device]", load("devices", type_name))
        if machine.state is not RunState.PRELAUNCH and not cls.hotpluggable:
            raise SouthbridgeError(f"{id}: a {type_name} can't be plugged into a running machine")
        with machine.lock:
            device = make_device(machine, cls, id, **properties)
            self._check_use(device)
            machine.plug(device)
            self._describe(device, type_name, properties)
            self.came_later.add(id)
        log.info("%s: %s was plugged in", machine.name, id)
        return device

    def plug_cpu(self, index: int, id: str = "") -> None:
        """CPU number `index`, one of those that there may be, comes, and waits to be started; it is called `id`.

        From any thread that doesn't hold the lock. Raises SouthbridgeError, with the machine as it was, if there is no
        such place, or the accelerator can't have one more.
        """
        self._machine.call(lambda: self._plug_cpu(index, id))

    def _plug_cpu(self, index: int, id: str) -> None:
        machine = self._machine
        self._check_state()
        if not 0 <= index < machine.cpus.max:
            raise SouthbridgeError(
                f"{machine.name} has no place for CPU {index}: its CPUs are 0 to {machine.cpus.max - 1}"
            )
        if index in machine.cpus.plugged:
            raise SouthbridgeError(f"CPU {index} is there already")
        with machine.standing_still():
            if machine.cpus.threads:
                add_cpu(machine, index, id)
            else:  # it begins with the others
                machine.cpus.plugged[index] = id
            machine.hooks.call.cpu_plugged(machine=machine, cpu=index)
        log.info("%s: CPU %d was plugged in", machine.name, index)

    def request_removal(self, id: str) -> None:
        """Has the device go: once the guest let go of it, where it is asked, else at once. Raises SouthbridgeError."""
        machine = self._machine
        self._check_state()
        with machine.lock:
            device = machine.devices.get(id)
            if device is None:
                raise SouthbridgeError(f"there is no device {id!r}")
            if machine.state is not RunState.PRELAUNCH and not device.hotpluggable:
                raise SouthbridgeError(f"{id}: a {type(device).__name__} can't be unplugged from a running machine")
            if not device.ask_to_leave():
                machine.unplug(device)

    def _check_state(self) -> None:
        if self._machine.state is RunState.SAVE_VM:
            raise SouthbridgeError(f"{self._machine.name} is being saved: devices stay as they are until that is done")

    def _check_use(self, device: Device) -> None:
        """Raises SouthbridgeError if `device` wants a back end that another one has for itself."""
        for name, value in _backends_of(device).items():
            if can_be_shared(value):
                continue
            for other in self._machine.devices.values():
                if any(used is value for used in _backends_of(other).values()):
                    raise SouthbridgeError(f"{device.id}: {name}: {other.id} uses it already, and it can't be shared")

    # --- the description -----------------------------------------------------------------------------------------

    def _describe(self, device: Device, type_name: str, properties: Mapping[str, Any]) -> None:
        description = self._machine.description
        if description is not None:
            nowhere = Location(str(description.file), 0, 0)
            part = Part("devices", device.id, type_name, type(device), dict(properties), nowhere, {})
            self._describe_all({**description.sections["devices"], device.id: part})

    @hookimpl(trylast=True)
    def device_removed(self, device: Device) -> None:
        """The description has it no more."""
        log.info("%s: %s was unplugged", self._machine.name, device.id)
        self.came_later.discard(device.id)
        self.nameless.pop(device.id, None)
        description = self._machine.description
        if description is not None:
            self._describe_all({id: part for id, part in description.sections["devices"].items() if id != device.id})

    def described(self, id: str, changes: Mapping[str, Any]) -> None:
        """Properties of the device `id` have changed: the description says so."""
        description = self._machine.description
        part = self._machine.part("devices", id)
        if description is not None and part is not None:
            part = part._replace(values={**part.values, **changes})
            self._describe_all({**description.sections["devices"], id: part})

    def _describe_all(self, parts: Mapping[str, Part]) -> None:
        """These are the devices; the place of each on its bus is said, since the first free one may be another now."""
        machine = self._machine
        assert machine.description is not None
        placed = {id: _placed(part, machine.devices.get(id)) for id, part in parts.items()}
        machine.description = machine.description._replace(sections={**machine.description.sections, "devices": placed})


def _backends_of(device: Device) -> dict[str, Any]:
    links = {name for name, spec in type(device).properties().items() if spec.section in BACKENDS}
    return {name: value for name in links if (value := getattr(device, name)) is not None}


def _placed(part: Part, device: Device | None) -> Part:
    """With its slot on a PCI bus, or its port of a USB bus."""
    if isinstance(device, PciDevice) and "addr" in part.cls.properties():
        return part._replace(values={**part.values, "addr": f"{device.slot:02x}.{device.function}"})
    if "port" not in part.cls.properties():
        return part
    from .usb import UsbDevice  # only for machines that have some

    if isinstance(device, UsbDevice):
        return part._replace(values={**part.values, "port": device.port_number})
    return part
