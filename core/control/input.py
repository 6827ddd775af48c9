"""The commands `input-send-event` and `send-key`, as QEMU has them: keys and the pointer, for a machine's devices."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from typing import TYPE_CHECKING

from ..errors import SouthbridgeError
from .input_events import Event, Key, key_name, keys, pointers

if TYPE_CHECKING:
    from ..machine import Machine


HOLD_MS = 100
NOBODY = "the guest uses no device that takes such an event"


class InputCommands:
    """For `machine`."""

    def __init__(self, machine: Machine) -> None:
        self._machine = machine

    async def send_key(self, keys: list[Key], hold_time: int | None = None) -> None:
        """Presses `keys` one after the other; `hold_time` ms later (100) lets go of them, the last one first."""
        names = [key_name(key) for key in keys]
        self._move(names, True)
        try:
            await asyncio.sleep(HOLD_MS / 1000 if hold_time is None else max(0, hold_time) / 1000)
        finally:
            self._move(reversed(names), False)

    def _move(self, names: Iterable[str], down: bool) -> None:
        with self._machine.lock:
            taken = [self._machine.input.key(name, down) for name in names]
        if not all(taken):
            raise SouthbridgeError(NOBODY)

    def send(self, events: list[Event]) -> None:
        """Puts in what a keyboard and a pointer do; what the pointer does counts as one event."""
        pressed, pointed = keys(events), pointers(events)
        with self._machine.lock:
            taken = [self._machine.input.key(key, down) for key, down in pressed]
            taken += [self._machine.input.point(pointer) for pointer in pointed]
        if not all(taken):
            raise SouthbridgeError(NOBODY)
