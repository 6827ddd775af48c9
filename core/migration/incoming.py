"""The end that a machine comes to: -incoming. What came is read to its end and verified before any of it is taken."""

from __future__ import annotations

import asyncio
import logging
import tempfile
from typing import IO, TYPE_CHECKING

from ..errors import SouthbridgeError
from ..life import PAUSED, RunState
from ..units import MiB
from .channel import Cancelled, Channel, Listener, check, descriptor_named
from .status import migration_of

if TYPE_CHECKING:
    from ..machine import Machine

DEFER = "defer"

log = logging.getLogger(__name__)


class Incoming:
    """A machine that waits for another one's state; one of `Machine.services`. `runs` says whether it then runs."""

    def __init__(self, machine: Machine, uri: str, *, runs: bool) -> None:
        """`uri` is where it comes from; `defer`: a client says that. Raises SouthbridgeError."""
        self._machine = machine
        self.uri = uri
        self.runs = runs
        self.waiting = True
        """Nothing came yet."""
        self._listener: Listener | None = None
        self._channel: Channel | None = None
        self._task: asyncio.Task[None] | None = None
        if uri != DEFER:
            self._open(uri)

    @property
    def deferred(self) -> bool:
        """Whether a client is still to say where it comes from."""
        return self._listener is None and self._channel is None and self._task is None

    def begin(self, uri: str) -> None:
        """It comes from there. Raises SouthbridgeError."""
        self._open(uri)
        self._task = asyncio.get_running_loop().create_task(self._take())

    async def start(self) -> None:
        """See Service."""
        if not self.deferred:
            self._task = asyncio.get_running_loop().create_task(self._take())

    async def stop(self) -> None:
        """See Service."""
        if self._listener is not None:
            self._listener.close()
        if self._channel is not None:
            self._channel.cancel()
        if self._task is not None:
            await self._task

    def _open(self, uri: str) -> None:
        kind, where = check(uri, f"unknown migration protocol: {uri}")
        migration_of(self._machine).begin()
        try:
            if kind == "fd":
                self._channel = Channel(descriptor_named(where))
            else:
                self._listener = Listener(kind, where)
                log.info("%s waits at %s", self._machine.name, self._listener.address or uri)
        except SouthbridgeError as error:
            migration_of(self._machine).fail(str(error))
            raise

    async def _take(self) -> None:
        migration = migration_of(self._machine)
        try:
            if self._listener is not None:
                self._channel = await asyncio.to_thread(self._listener.accept)
                self._listener.close()
            assert self._channel is not None
            migration.turn("active")
            await self._load(self._channel)
        except Cancelled:
            return
        except Exception as error:
            if not isinstance(error, SouthbridgeError):
                log.exception("the migration failed")
            log.error("%s: load of migration failed: %s", self._machine.name, error)
            migration.fail(" ".join(str(error).split()))
            return
        self.waiting = False
        migration.turn("completed")
        self._machine.state, self._machine.paused_for = RunState.PAUSED, PAUSED
        if self.runs:
            self._machine.resume()

    async def _load(self, channel: Channel) -> None:
        from ..snapshot.restoring import load_into  # only now: numpy and zstandard take time to import

        with tempfile.NamedTemporaryFile(prefix="southbridge-") as file:
            try:
                await asyncio.to_thread(self._receive, channel, file)
            finally:
                self._channel = None
                await asyncio.to_thread(channel.close)
            load_into(self._machine, file.name)

    def _receive(self, channel: Channel, file: IO[bytes]) -> None:
        """Everything that comes, into `file`; not more than such a machine can be."""
        machine = self._machine
        disks = sum(disk.size for disk in machine.backends["blockdevs"].values())
        left = 2 * (machine.ram.size + disks) + 256 * MiB
        try:
            while data := channel.read():
                left -= len(data)
                if left < 0:
                    raise SouthbridgeError("more comes than such a machine can be")
                file.write(data)
            file.flush()
        except OSError as error:
            raise SouthbridgeError(f"{file.name}: {error.strerror}") from None
