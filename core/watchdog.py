"""What a machine does when a watchdog has run out, in the words of QEMU's `-watchdog-action`."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Literal

from .errors import SouthbridgeError
from .life import ResetReason, ShutdownReason

if TYPE_CHECKING:
    from .device import Device

WatchdogAction = Literal["reset", "shutdown", "poweroff", "inject-nmi", "pause", "debug", "none"]
"""reset, or press the power button, or switch off; an NMI for each CPU; pause; say so in the log; or nothing."""

ACTION_DOC = (
    "What happens when it runs out: reset, shutdown, poweroff, inject-nmi, pause, debug (a line in the log), none."
)

log = logging.getLogger(__name__)


def watchdog_expired(device: Device, action: WatchdogAction) -> None:
    """The watchdog `device` has run out: does what its user chose, and has the event WATCHDOG say so."""
    machine = device.machine
    log.warning("%s: the watchdog has run out (%s)", device.id, action)
    machine.announce("WATCHDOG", action=action)
    if action == "reset":
        machine.request_reset(ResetReason.WATCHDOG)
    elif action == "shutdown":
        try:
            machine.request_powerdown()
        except SouthbridgeError as error:
            log.error("%s: %s", device.id, error)
    elif action == "poweroff":
        machine.request_shutdown(ShutdownReason.GUEST_SHUTDOWN)
    elif action == "inject-nmi":
        machine.cpus.inject_nmi()
    elif action == "pause":
        machine.request_pause("watchdog")
