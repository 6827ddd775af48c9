"""What a machine is doing, why it is reset and why it ends, in QMP's words."""

from __future__ import annotations

import enum
from typing import NamedTuple, Protocol


class RunState(enum.Enum):
    """What a machine is doing, in QMP's words."""

    PRELAUNCH = "prelaunch"
    RUNNING = "running"
    PAUSED = "paused"
    SUSPENDED = "suspended"
    """Asleep (ACPI's S3): memory is kept and time passes, but no CPU runs until something wakes the machine."""
    SAVE_VM = "save-vm"
    """Paused while its state is saved."""
    SHUTDOWN = "shutdown"


class Service(Protocol):
    """Something that serves others while a machine runs, on its main loop: a control socket, a monitor, a display."""

    async def start(self) -> None:
        """Begins. What it raises, the machine doesn't run for."""

    async def stop(self) -> None:
        """Ends, soon; also after a `start` that failed, or that never came."""


class ResetReason(enum.Enum):
    """Who asked for a reset, in QMP's words; all but the last are the guest's doing."""

    GUEST = "guest-reset"
    TRIPLE_FAULT = "guest-reset: triple fault"
    KEYBOARD = "guest-reset: keyboard controller"
    WATCHDOG = "guest-reset: watchdog"
    HOST = "host-qmp-system-reset"


class ShutdownReason(enum.Enum):
    """Why a machine ended, in QMP's words."""

    GUEST_SHUTDOWN = "guest-shutdown"
    GUEST_RESET = "guest-reset"
    """The guest reset itself, and the machine was told not to."""
    GUEST_PANIC = "guest-panic"
    GUEST_HIBERNATE = "guest-suspend-disk"
    """It switched itself off with its memory on a disk (ACPI's S4)."""
    HOST_QUIT = "host-qmp-quit"
    HOST_SIGNAL = "host-signal"
    HOST_UI = "host-ui"
    HOST_ERROR = "host-error"


class WakeReason(enum.Enum):
    """What woke a suspended machine."""

    RTC = "rtc"
    """The real-time clock's alarm."""
    BUTTON = "power-button"
    NETWORK = "network"
    """A card, which was to wait for a packet or a cable."""
    OTHER = "other"
    """The host said so."""


class Outcome(NamedTuple):
    """How a run ended. `status` is an exit status that the guest chose (isa-debug-exit), else 0."""

    reason: ShutdownReason
    status: int = 0


SWITCHED_OFF = (ShutdownReason.GUEST_SHUTDOWN, ShutdownReason.GUEST_HIBERNATE)
"""The guest switched the machine off."""

PAUSED, HELD, OFF = RunState.PAUSED.value, RunState.SAVE_VM.value, "shutdown"
"""Why a machine is paused, in QMP's words: somebody said so; while it is saved; its guest switched it off."""
