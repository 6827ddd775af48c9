"""Sleeping, waking, and the power button.

A *suspended* machine (ACPI's S3) keeps its memory, and its clock goes on, so that an alarm may wake it; its vCPUs
stand still. It wakes as by a reset of CPUs and devices, except for what a device's `wake` keeps: firmware then finds a
note in the real-time clock's memory, and jumps to where the operating system told it to.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

from .errors import SouthbridgeError
from .hookspecs import hookimpl
from .interrupts import Wire
from .life import RunState, WakeReason
from .reset import reset

if TYPE_CHECKING:
    from .machine import Machine

log = logging.getLogger(__name__)


class Power:
    """Of one machine."""

    def __init__(self, machine: Machine) -> None:
        self._machine = machine
        self.suspended = False
        """Whether it sleeps; it may be paused besides."""
        self.facs = 0
        """Where in memory ACPI's FACS is, if the machine put it there itself; 0: that is the firmware's business."""
        self.alarm = Wire("RTC alarm")
        """High while the real-time clock's alarm asks for an interrupt, whoever has its line."""

    # --- requests, from any thread -------------------------------------------------------------------------------

    def request_suspend(self) -> None:
        """Suspends the machine soon. Whoever does that must also wake it."""
        self._machine.post(self._suspend)

    def request_wake(self, reason: WakeReason) -> None:
        """Wakes the machine soon, if it sleeps then."""
        self._machine.post(lambda: self._wake(reason))

    def press_button(self) -> None:
        """Presses the power button. Raises SouthbridgeError if the machine has none."""
        with self._machine.lock:
            if not any(self._machine.hooks.call.machine_powerdown(machine=self._machine)):
                raise SouthbridgeError(f"{self._machine.name} has no power button")

    # --- on the main loop's thread -------------------------------------------------------------------------------

    def _suspend(self) -> None:
        machine = self._machine
        if self.suspended or machine.state not in (RunState.RUNNING, RunState.PAUSED):
            return
        machine.cpus.park()
        self.suspended = True
        if machine.state is RunState.RUNNING:
            machine.state = RunState.SUSPENDED
        log.info("%s: suspended", machine.name)
        with machine.lock:
            machine.hooks.call.machine_suspended(machine=machine)

    def _wake(self, reason: WakeReason) -> None:
        machine = self._machine
        if not self.suspended or machine.state is RunState.SHUTDOWN:
            return
        log.info("%s: woken (%s)", machine.name, reason.value)
        self.suspended = False
        reset(machine, waking=True)
        with machine.lock:
            machine.hooks.call.machine_woken(machine=machine, reason=reason)
        if machine.state is RunState.SUSPENDED:
            machine.state = RunState.RUNNING
            machine.cpus.release()

    # --- its state -----------------------------------------------------------------------------------------------

    def save(self) -> dict[str, Any]:
        """As plain data."""
        return {"suspended": self.suspended, "facs": self.facs}

    def load(self, saved: dict[str, Any]) -> None:
        """Takes over what `save` gave, which fits PowerState."""
        from .machine_state import PowerState

        state = PowerState.model_validate(saved)
        self.suspended, self.facs = state.suspended, state.facs

    # --- commands ------------------------------------------------------------------------------------------------

    @hookimpl
    def register_monitor_commands(self) -> dict[str, Any]:
        """What a control socket offers."""
        return {"system_powerdown": self.system_powerdown, "system_wakeup": self.system_wakeup}

    def system_powerdown(self) -> None:
        """Presses the power button: the guest is asked to shut down."""
        self.press_button()

    def system_wakeup(self) -> None:
        """Wakes a machine that is suspended."""
        if not self.suspended:
            raise SouthbridgeError(f"{self._machine.name} isn't suspended")
        self.request_wake(WakeReason.OTHER)
