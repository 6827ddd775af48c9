"""The command `input-send-event`, as QEMU has it: keys and the pointer, for a machine's devices."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..errors import SouthbridgeError
from .input_events import Event, keys, pointers

if TYPE_CHECKING:
    from ..machine import Machine


class InputCommands:
    """For `machine`."""

    def __init__(self, machine: Machine) -> None:
        self._machine = machine

    def send(self, events: list[Event]) -> None:
        """Puts in what a keyboard and a pointer do; what the pointer does counts as one event."""
        pressed, pointed = keys(events), pointers(events)
        with self._machine.lock:
            taken = [self._machine.input.key(key, down) for key, down in pressed]
            taken += [self._machine.input.point(pointer) for pointer in pointed]
        if not all(taken):
            raise SouthbridgeError("the guest uses no device that takes such an event")
