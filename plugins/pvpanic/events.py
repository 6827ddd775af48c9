"""What a guest says by its one register, and the machine's answers (QEMU's docs/specs/pvpanic)."""

from __future__ import annotations

import logging
from typing import Literal

from southbridge.device import Device
from southbridge.life import ShutdownReason

PANICKED, CRASH_LOADED, SHUTDOWN = 1, 2, 4
"""It has panicked; it has, and deals with it itself, as by writing its memory to a disk; it has shut down."""
USUAL = PANICKED | CRASH_LOADED

PanicAction = Literal["shutdown", "pause", "none"]
ACTION_DOC = "When the guest has panicked: the machine ends (shutdown), pauses, or goes on (none)."
EVENTS_DOC = "What the guest may say, as bits: 1 panicked, 2 panicked and deals with it, 4 has shut down."

QMP_ACTION = {"shutdown": "poweroff", "pause": "pause", "none": "run"}

log = logging.getLogger(__name__)


def happened(device: Device, said: int, on_panic: PanicAction) -> None:
    """The guest said these of the bits that it may say."""
    machine = device.machine
    if said & PANICKED:
        log.warning("%s: the guest has panicked", device.id)
        machine.announce("GUEST_PANICKED", action=QMP_ACTION[on_panic])
        if on_panic == "shutdown":
            machine.request_shutdown(ShutdownReason.GUEST_PANIC)
        elif on_panic == "pause":
            machine.request_pause("guest-panicked")
    if said & CRASH_LOADED:
        log.warning("%s: the guest has panicked, and deals with it itself", device.id)
        machine.announce("GUEST_CRASHLOADED", action="run")
    if said & SHUTDOWN:
        machine.announce("GUEST_PVSHUTDOWN")
        machine.request_shutdown(ShutdownReason.GUEST_SHUTDOWN)
