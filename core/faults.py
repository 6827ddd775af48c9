"""What happens when a device's code raises: that device is broken, and the machine goes on; or ends, if strict."""

from __future__ import annotations

import logging
import traceback
from collections.abc import Callable
from typing import TYPE_CHECKING

from .clock import Timer
from .component import Component
from .memory.regions import Io

if TYPE_CHECKING:
    from .device import Device
    from .machine import Machine

log = logging.getLogger(__name__)


class Faults:
    """The faults of one machine's devices. Called with its lock held."""

    def __init__(self, machine: Machine) -> None:
        self._machine = machine

    def device_failed(self, device: Device, what: str, error: Exception) -> None:
        """`error` came up in code that `device` runs, or called: whoever's code it is is broken from now on."""
        machine = self._machine
        if machine.strict:
            raise error
        culprit = _culprit(error) or device
        details = "".join(traceback.format_exception(error))
        log.error("%s is broken, and reads as ones from now on: %s: %s\n%s", culprit.id, what, error, details)
        culprit.broken = True
        for component in culprit.components():
            for name in component.timer_specs:
                getattr(component, name).cancel()
        for region in culprit.regions():
            region.broken = True
        culprit.broke()
        machine.memory.unlink()
        machine.ports.unlink()

    def guarded(self, device: Device, call: Callable[[], None]) -> None:
        """Calls a method of `device`."""
        try:
            call()
        except Exception as error:  # a device's code may raise anything
            self.device_failed(device, getattr(call, "__name__", "call"), error)

    def access_failed(self, region: Io, offset: int, error: Exception) -> None:
        """An access to `region` raised `error`."""
        device = next((device for device in self._machine.devices.values() if region.owner is device), None)
        if device is None:
            raise error
        self.device_failed(device, f"access to {region.name} at {offset:#x}", error)

    def timer_failed(self, timer: Timer, error: Exception) -> None:
        """A timer raised `error`."""
        component = getattr(timer.call, "__self__", None)
        if component is None:
            raise error
        self.device_failed(component.device, f"timer {getattr(timer.call, '__name__', '')}", error)


def _culprit(error: Exception) -> Device | None:
    """The device whose method was the innermost: one may call another, as an IDE adapter does its drives."""
    found = None
    for frame, _ in traceback.walk_tb(error.__traceback__):
        owner = frame.f_locals.get("self")
        if isinstance(owner, Component):
            found = owner.device
    return found
