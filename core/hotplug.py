"""Devices that come and go while the machine runs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

from .construct import make_device
from .device import Device
from .discovery import load
from .errors import SouthbridgeError
from .hookspecs import hookimpl
from .life import RunState

if TYPE_CHECKING:
    from .machine import Machine


class Hotplug:
    """Of one machine."""

    def __init__(self, machine: Machine) -> None:
        self._machine = machine

    def add(self, type_name: str, id: str, **properties: Any) -> Device:
        """Plugs in a new device of that type, and gives it. Raises SouthbridgeError, with the machine as it was."""
        machine = self._machine
        cls = cast("type[Device]", load("devices", type_name))
        if machine.state is not RunState.PRELAUNCH and not cls.hotpluggable:
            raise SouthbridgeError(f"{id}: a {type_name} can't be plugged into a running machine")
        with machine.lock:
            device = make_device(machine, cls, id, **properties)
            machine.plug(device)
        return device

    def request_removal(self, id: str) -> None:
        """Has the device go: once the guest let go of it, where it is asked, else at once. Raises SouthbridgeError."""
        machine = self._machine
        with machine.lock:
            device = machine.devices.get(id)
            if device is None:
                raise SouthbridgeError(f"there is no device {id!r}")
            if machine.state is not RunState.PRELAUNCH and not device.hotpluggable:
                raise SouthbridgeError(f"{id}: a {type(device).__name__} can't be unplugged from a running machine")
            if not device.ask_to_leave():
                machine.unplug(device)

    # --- commands ------------------------------------------------------------------------------------------------

    @hookimpl
    def register_monitor_commands(self) -> dict[str, Any]:
        """What a control socket offers."""
        return {"device_add": self.device_add, "device_del": self.device_del}

    def device_add(self, driver: str, id: str, bus: str = "", addr: str = "", properties: dict[str, Any] = {}) -> None:  # noqa: B006
        """Plugs in a device of the type `driver`; what isn't its bus or place is in `properties`."""
        places = {name: value for name, value in (("bus", bus), ("addr", addr)) if value}
        self.add(driver, id, **places, **properties)

    def device_del(self, id: str) -> None:
        """Asks the guest to let go of a device, which then goes."""
        self.request_removal(id)
