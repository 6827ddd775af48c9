"""set-action, watchdog-set-action: what follows if the guest reboots, switches off or panics, or a watchdog expires."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from ..watchdog import WatchdogAction

if TYPE_CHECKING:
    from ..control.commands import Function
    from ..machine import Machine

_PANIC = {"exit-failure": "shutdown"}
"""What pvpanic calls it, where that is another word."""


class ActionCommands:
    """Of devices that have an `action` when they expire, or do something `on_panic`; and of the machine."""

    def __init__(self, machine: Machine) -> None:
        self._machine = machine

    def commands(self) -> dict[str, Function]:
        """By name."""
        return {"set-action": self.set_action, "watchdog-set-action": self.watchdog_set_action}

    def set_action(
        self,
        reboot: Literal["reset", "shutdown"] | None = None,
        shutdown: Literal["poweroff", "pause"] | None = None,
        panic: Literal["pause", "shutdown", "exit-failure", "none"] | None = None,
        watchdog: WatchdogAction | None = None,
    ) -> None:
        """Changes what is given, and leaves the rest."""
        machine = self._machine
        with machine.lock:
            if reboot is not None:
                machine.on_guest_reset = lambda reason: reboot == "reset"
            if shutdown is not None:
                machine.ends_with_guest = shutdown == "poweroff"
            if panic is not None:
                self._set("on_panic", _PANIC.get(panic, panic))
            if watchdog is not None:
                self._set("action", watchdog)

    def watchdog_set_action(self, action: WatchdogAction) -> None:
        """What a watchdog does that expires."""
        self.set_action(watchdog=action)

    def _set(self, name: str, value: str) -> None:
        for device in self._machine.devices.values():
            if name in type(device).properties():
                setattr(device, name, value)
