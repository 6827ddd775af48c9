"""The command `input-send-event`, as QEMU has it: keys and the pointer, for a machine's devices."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ..errors import SouthbridgeError

if TYPE_CHECKING:
    from ..machine import Machine


class InputCommands:
    """For `machine`."""

    def __init__(self, machine: Machine) -> None:
        self._machine = machine

    def send(self, events: list[Any]) -> None:
        """Puts in what a keyboard and a pointer do; what the pointer does counts as one event."""
        from .input_events import keys, parsed, pointers  # only now: pydantic takes time to import

        valid = parsed(events)
        pressed = keys(valid)
        with self._machine.lock:
            taken = [self._machine.input.key(key, down) for key, down in pressed]
            taken += [self._machine.input.point(pointer) for pointer in pointers(valid)]
        if not all(taken):
            raise SouthbridgeError("the guest uses no device that takes such an event")
