"""What is told of a migration, at either end: QEMU's words."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from ..qmp.events import MigrationStatus

if TYPE_CHECKING:
    from ..machine import Machine
    from .channel import Channel

UNDER_WAY: tuple[MigrationStatus, ...] = ("setup", "active", "device", "cancelling")


class Migration:
    """A machine's. `done` and `total` are bytes of its memory, the times in seconds."""

    def __init__(self, machine: Machine) -> None:
        self._machine = machine
        self.status: MigrationStatus = "none"
        self.problem = ""
        self.tells = False
        """The capability `events`."""
        self.done = self.total = 0
        self.began = self.stood_still = self.ended = 0.0
        self.channel: Channel | None = None

    @property
    def under_way(self) -> bool:
        """Whether it has begun, and not ended."""
        return self.status in UNDER_WAY

    def begin(self) -> None:
        """Another one begins."""
        self.problem = ""
        self.done = self.total = 0
        self.began, self.stood_still, self.ended = time.monotonic(), 0.0, 0.0
        self.turn("setup")

    def turn(self, status: MigrationStatus) -> None:
        """Its status is another one. On the main loop's thread."""
        self.status = status
        if status in ("completed", "failed", "cancelled"):
            self.ended = time.monotonic()
        if self.tells:
            self._tell("MIGRATION", {"status": status})

    def fail(self, problem: str) -> None:
        """It failed."""
        self.problem = problem
        self.turn("failed")

    def passed(self) -> None:
        """Memory is gone through for the first time, and the last."""
        if self.tells:
            self._tell("MIGRATION_PASS", {"pass": 1})

    def _tell(self, name: str, data: dict[str, object]) -> None:
        self._machine.hooks.call.machine_event(machine=self._machine, name=name, data=data)


def migration_of(machine: Machine) -> Migration:
    """The machine's."""
    if machine.migration is None:
        machine.migration = Migration(machine)
    return machine.migration
