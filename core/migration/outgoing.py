"""The end that a machine leaves: it stands still, and all that it remembers is sent; then its images are given up."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from functools import partial
from typing import TYPE_CHECKING

from ..errors import SouthbridgeError
from ..life import RunState
from .channel import Cancelled, Channel, connect
from .status import Migration

if TYPE_CHECKING:
    from ..machine import Machine

POSTMIGRATE = "postmigrate"
PRELAUNCH = "prelaunch"
"""Why the machine is paused, in QMP's words."""
FINISHING = "finish-migrate"

log = logging.getLogger(__name__)


async def migrate(machine: Machine, migration: Migration, kind: str, where: str, descriptor: int | None) -> None:
    """Sends `machine`; `migration`, which has begun, says how far it is. It goes on here if that fails."""
    was = machine.state
    why = machine.paused_for
    try:
        channel = Channel(descriptor) if descriptor is not None else await asyncio.to_thread(connect, kind, where)
        migration.channel = channel
        try:
            if migration.status == "cancelling":
                raise Cancelled("cancelled")
            await _send(machine, migration, channel)
        finally:
            migration.channel = None
            with contextlib.suppress(Cancelled):
                await asyncio.to_thread(channel.close)
    except Exception as error:
        if was is RunState.RUNNING and machine.state is RunState.PAUSED:
            for disk in machine.backends["blockdevs"].values():
                disk.take_back()
            machine.resume()
        elif machine.state is RunState.PAUSED:
            machine.paused_for = why
        if isinstance(error, Cancelled):
            migration.turn("cancelled")
        else:
            if not isinstance(error, SouthbridgeError):
                log.exception("the migration failed")
            migration.fail(" ".join(str(error).split()))
        return
    machine.paused_for = POSTMIGRATE
    migration.turn("completed")


async def _send(machine: Machine, migration: Migration, channel: Channel) -> None:
    from ..snapshot.saving import send  # only now: numpy and zstandard take time to import

    loop = asyncio.get_running_loop()

    def tell(done: int, total: int) -> None:
        loop.call_soon_threadsafe(partial(_progress, migration, done, total))

    migration.passed()
    migration.turn("active")
    migration.stood_still = time.monotonic()
    if machine.state is RunState.PRELAUNCH:
        machine.state, machine.paused_for = RunState.PAUSED, PRELAUNCH
    else:
        machine.pause()
        machine.paused_for = FINISHING
    await send(machine, channel.write, tell)
    migration.turn("device")
    for disk in machine.backends["blockdevs"].values():
        await asyncio.to_thread(disk.flush)
        await asyncio.to_thread(disk.give_up)


def _progress(migration: Migration, done: int, total: int) -> None:
    migration.done, migration.total = done, total
