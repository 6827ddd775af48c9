"""migrate, migrate-incoming, migrate_cancel, query-migrate and the capabilities: a machine goes to another process."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Literal, NotRequired, TypedDict

from ..control.commands import CommandError
from ..errors import SouthbridgeError
from ..memory.ram import PAGE_SIZE
from .events import MigrationStatus

if TYPE_CHECKING:
    from ..control.commands import Function
    from ..machine import Machine
    from ..migration.status import Migration

Capability = Literal[
    "xbzrle", "rdma-pin-all", "auto-converge", "zero-blocks", "compress", "events", "postcopy-ram", "x-colo",
    "release-ram", "block", "return-path", "pause-before-switchover", "multifd", "dirty-bitmaps", "postcopy-blocktime",
    "late-block-activate", "x-ignore-shared", "validate-uuid", "background-snapshot", "zero-copy-send",
    "postcopy-preempt",
]  # fmt: skip
CAPABILITIES: tuple[Capability, ...] = Capability.__args__  # type: ignore[attr-defined]


class CapabilityStatus(TypedDict):
    """Something that migrations can do, and whether they are to."""

    capability: Capability
    state: bool


RamStats = TypedDict(
    "RamStats",
    {
        "transferred": int,
        "remaining": int,
        "total": int,
        "duplicate": int,
        "skipped": int,
        "normal": int,
        "normal-bytes": int,
        "dirty-pages-rate": int,
        "mbps": float,
        "dirty-sync-count": int,
        "dirty-sync-missed-zero-copy": int,
        "postcopy-requests": int,
        "page-size": int,
        "multifd-bytes": int,
        "pages-per-second": int,
        "precopy-bytes": int,
        "downtime-bytes": int,
        "postcopy-bytes": int,
    },
)
"""How far memory is, in bytes; all of it goes while the machine stands still."""
MigrationInfo = TypedDict(
    "MigrationInfo",
    {
        "status": NotRequired[MigrationStatus],
        "ram": NotRequired[RamStats],
        "total-time": NotRequired[int],
        "downtime": NotRequired[int],
        "setup-time": NotRequired[int],
        "error-desc": NotRequired[str],
    },
)
"""How far it is; times in ms."""


class MigrationCommands:
    """One at a time."""

    def __init__(self, machine: Machine) -> None:
        self._machine = machine
        self._tasks: set[asyncio.Task[None]] = set()

    def commands(self) -> dict[str, Function]:
        """By name."""
        return {
            "migrate": self.migrate,
            "migrate_cancel": self.migrate_cancel,
            "migrate-incoming": self.migrate_incoming,
            "query-migrate": self.query_migrate,
            "migrate-set-capabilities": self.migrate_set_capabilities,
            "query-migrate-capabilities": self.query_migrate_capabilities,
        }

    @property
    def _migration(self) -> Migration:
        from ..migration.status import migration_of

        return migration_of(self._machine)

    def migrate(self, uri: str, detach: bool | None = None) -> None:
        """The machine goes to `uri`; query-migrate says how far it is."""
        from ..migration.channel import check, descriptor_named
        from ..migration.outgoing import POSTMIGRATE, migrate

        machine, migration = self._machine, self._migration
        if machine.incoming is not None and machine.incoming.waiting:
            raise CommandError("Guest is waiting for an incoming migration")
        if migration.under_way:
            raise CommandError("There's a migration process in progress")
        if machine.paused_for == POSTMIGRATE and migration.status == "completed" and not self._runs():
            raise CommandError("Can't migrate the vm that was paused due to previous migration")
        kind, where = check(uri, "Parameter 'uri' expects a valid migration protocol")
        migration.begin()
        try:
            descriptor = descriptor_named(where) if kind == "fd" else None
        except SouthbridgeError as error:
            migration.fail(str(error))
            raise
        task = asyncio.get_running_loop().create_task(migrate(machine, migration, kind, where, descriptor))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def _runs(self) -> bool:
        from ..life import RunState

        return self._machine.state is not RunState.PAUSED

    def migrate_cancel(self) -> None:
        """The machine stays, if it hasn't gone yet."""
        migration = self._migration
        if migration.under_way and migration.status != "cancelling":
            migration.turn("cancelling")
            if migration.channel is not None:
                migration.channel.cancel()

    def migrate_incoming(self, uri: str) -> None:
        """The machine, which was started with `-incoming defer`, comes from `uri`."""
        incoming = self._machine.incoming
        if incoming is None:
            raise CommandError("'-incoming' was not specified on the command line")
        if incoming.uri != "defer" or not incoming.waiting or not incoming.deferred:
            raise CommandError("The incoming migration has already been started")
        incoming.begin(uri)

    def query_migrate(self) -> MigrationInfo:
        """How far the last one is; nothing, if there was none."""
        migration = self._machine.migration
        if migration is None or migration.status == "none":
            return {}
        info: MigrationInfo = {"status": migration.status}
        if migration.problem:
            info["error-desc"] = migration.problem
        if migration.stood_still:
            now = migration.ended or time.monotonic()
            seconds = now - migration.began
            info["total-time"] = int(1000 * seconds)
            info["setup-time"] = int(1000 * (migration.stood_still - migration.began))
            info["ram"] = _ram(migration, seconds)
            if migration.status == "completed":
                info["downtime"] = int(1000 * (now - migration.stood_still))
        return info

    def migrate_set_capabilities(self, capabilities: list[CapabilityStatus]) -> None:
        """What a migration is to do; of all that QEMU's can, ours can tell of itself (`events`)."""
        migration = self._migration
        if migration.under_way:
            raise CommandError("There's a migration process in progress")
        for each in capabilities:
            if each["state"] and each["capability"] != "events":
                raise CommandError(f"Migration capability '{each['capability']}' is not supported")
        for each in capabilities:
            if each["capability"] == "events":
                migration.tells = each["state"]

    def query_migrate_capabilities(self) -> list[CapabilityStatus]:
        """What it is to do."""
        migration = self._machine.migration
        tells = migration is not None and migration.tells
        return [{"capability": name, "state": name == "events" and tells} for name in CAPABILITIES]


def _ram(migration: Migration, seconds: float) -> RamStats:
    done = migration.total if migration.status == "completed" else migration.done
    return {
        "transferred": done,
        "remaining": migration.total - done,
        "total": migration.total,
        "duplicate": 0,
        "skipped": 0,
        "normal": done // PAGE_SIZE,
        "normal-bytes": done,
        "dirty-pages-rate": 0,
        "mbps": 8 * done / seconds / 1e6 if seconds else 0.0,
        "dirty-sync-count": 1,
        "dirty-sync-missed-zero-copy": 0,
        "postcopy-requests": 0,
        "page-size": PAGE_SIZE,
        "multifd-bytes": 0,
        "pages-per-second": int(done / PAGE_SIZE / seconds) if seconds else 0,
        "precopy-bytes": 0,
        "downtime-bytes": done,
        "postcopy-bytes": 0,
    }
