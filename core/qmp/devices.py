"""device_add, device_del."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Any, cast

from ..control.commands import DEVICE_NOT_FOUND, CommandError
from ..description.model import ID
from ..discovery import load, names, nearest
from .cpus import cpu_driver, plug_cpu

if TYPE_CHECKING:
    from ..control.commands import Function
    from ..device import Device
    from ..machine import Machine


class DeviceCommands:
    """Devices that come and go while the machine runs."""

    def __init__(self, machine: Machine) -> None:
        self._machine = machine

    def commands(self) -> dict[str, Function]:
        """By name."""
        return {"device_add": self.device_add, "device_del": self.device_del}

    def device_add(self, driver: str, id: str | None = None, **properties: Any) -> None:
        """Plugs in a device of the type `driver` with these properties; in their names a hyphen is an underscore."""
        machine = self._machine
        if id is None:
            self._add_nameless(driver, properties)
        elif not ID.fullmatch(id):
            raise CommandError("Parameter 'id' expects an identifier")
        elif id in machine.devices or id in machine.cpus.plugged.values():
            raise CommandError(f"Duplicate device ID '{id}'")
        elif driver == cpu_driver(machine):
            plug_cpu(machine, id, properties)
        else:
            type_name = _type(driver)
            values = {name.replace("-", "_"): value for name, value in properties.items()}
            machine.hotplug.add(type_name, id, **self._adapted(driver, type_name, values))

    def device_del(self, id: str) -> None:
        """Asks the guest to let go of a device, by its id or its QOM path, which then goes."""
        machine = self._machine
        name = id
        if id.startswith("/"):
            from ..qom.paths import device_path

            paths = {device_path(machine, device): name for name, device in list(machine.devices.items())}
            name = paths.get(id, "")
        if name not in machine.devices:
            raise CommandError(f"Device '{id}' not found", DEVICE_NOT_FOUND)
        machine.hotplug.request_removal(name)

    def _add_nameless(self, driver: str, properties: dict[str, Any]) -> None:
        machine = self._machine
        nameless = machine.hotplug.nameless
        taken = machine.devices.keys() | machine.cpus.plugged.values()
        id = next(name for number in itertools.count() if (name := f"device{number}") not in taken)
        nameless[id] = max(nameless.values(), default=-1) + 1
        try:
            self.device_add(driver, id, **properties)
        except BaseException:
            del nameless[id]
            raise

    def _adapted(self, driver: str, type_name: str, values: dict[str, Any]) -> dict[str, Any]:
        """The properties as our device of that type has them. Raises CommandError for one that leads nowhere."""
        from ..qemu_system.options.devices import BUSES
        from ..qemu_system.qdev import property_value

        machine = self._machine
        specs = cast("type[Device]", load("devices", type_name)).properties()
        if (bus := values.get("bus")) is not None:
            values["bus"] = BUSES.get(bus, bus) if isinstance(bus, str) else bus
            if values["bus"] not in machine.buses:
                raise CommandError(f"Bus '{bus}' not found")
        for name, value in values.items():
            spec = specs.get(name)
            if spec is None:
                raise CommandError(f"Property '{driver}.{name}' not found")
            if spec.section in machine.backends and value not in machine.backends[spec.section]:
                raise CommandError(f"Property '{driver}.{name}' can't find value '{value}'")
            if isinstance(value, str):
                values[name] = property_value(type_name, name, value)
        return values


def _type(driver: str) -> str:
    from ..qemu_system.qdev import type_of

    found = type_of(driver)
    if found is None:
        raise CommandError(f"'{driver}' is not a valid device model name{nearest(driver, names('devices'))}")
    return found
