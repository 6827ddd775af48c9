"""The machine's end of the control socket: many clients, none of which can hold up the guest or make us hoard.

A client's next message is read once it has taken the answer to the one before. One that lets events pile up is dropped.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import socket
from typing import TYPE_CHECKING

from ..errors import SouthbridgeError
from ..fdsets import FD_SETS
from ..hookspecs import hookimpl
from ..units import KiB
from .builtin import MachineCommands
from .commands import CommandError
from .connection import Connection
from .session import Message, Session, Splitter, event, refusal, render

if TYPE_CHECKING:
    from ..device import Device
    from ..life import ShutdownReason
    from ..machine import Machine

OUTPUT_LIMIT = 256 * KiB
"""What may wait for a client, in bytes, when an event comes."""
MOST_CLIENTS = 64
FAREWELL_SECONDS = 1.0
"""How long a client has, at the machine's end, to take what is sent already."""

log = logging.getLogger(__name__)


class ControlServer:
    """Serves clients of a listening socket while its machine runs; one of `Machine.services`."""

    def __init__(self, machine: Machine, listener: socket.socket, name: str = "control") -> None:
        """`name` tells it from a machine's other servers. The listener stays the caller's."""
        self._machine = machine
        self._plugin = name
        self._listener = listener
        self._serving = False
        self._clients: dict[asyncio.Task[None], tuple[Session, Connection]] = {}

    @property
    def busy(self) -> bool:
        """Whether a client is there."""
        return bool(self._clients)

    async def start(self) -> None:
        """Begins to serve. Called on the main loop."""
        self._commands = MachineCommands(self._machine, self.emit).commands
        for extra in self._machine.hooks.call.register_monitor_commands(machine=self._machine):
            for name, function in (extra or {}).items():
                try:
                    self._commands.add(name, function)
                except SouthbridgeError as error:
                    log.warning("left out: %s", error)
        self._machine.hooks.register(self, self._plugin)
        self._listener.setblocking(False)
        asyncio.get_running_loop().add_reader(self._listener, self._accept)
        self._serving = True

    async def stop(self) -> None:
        """Ends all conversations, once the clients have what was sent to them, if they take it soon."""
        if not self._serving:
            return
        self._serving = False
        asyncio.get_running_loop().remove_reader(self._listener)
        self._machine.hooks.unregister(self._plugin)
        clients = list(self._clients.items())
        for task, (_, connection) in clients:
            task.cancel()
            connection.close()
        if clients:
            waits = [asyncio.ensure_future(connection.drain()) for _, (_, connection) in clients]
            await asyncio.wait([*waits, *(task for task, _ in clients)], timeout=FAREWELL_SECONDS)
        for _, (_, connection) in clients:
            connection.abort()

    def emit(self, name: str, data: Message | None = None) -> None:
        """Sends an event to every client. Called on the main loop's thread."""
        line = render(event(name, data))
        for session, connection in self._clients.values():
            if not session.ready:
                continue
            if connection.unsent > OUTPUT_LIMIT:
                log.warning("a control client doesn't listen, and is dropped")
                connection.abort()
            else:
                connection.write(line)

    # --- the machine's life, as events ---------------------------------------------------------------------------

    @hookimpl
    def machine_paused(self) -> None:
        """See the hook."""
        self.emit("STOP")

    @hookimpl
    def machine_resumed(self) -> None:
        """See the hook."""
        self.emit("RESUME")

    @hookimpl
    def machine_reset(self) -> None:
        """See the hook."""
        self.emit("RESET")

    @hookimpl
    def machine_suspended(self) -> None:
        """See the hook."""
        self.emit("SUSPEND")

    @hookimpl
    def machine_woken(self) -> None:
        """See the hook."""
        self.emit("WAKEUP")

    @hookimpl
    def machine_powerdown(self) -> None:
        """See the hook."""
        self._machine.post(lambda: self.emit("POWERDOWN"))

    @hookimpl
    def device_removed(self, device: Device) -> None:
        """See the hook."""
        gone = {"device": device.id, "path": f"/machine/peripheral/{device.id}"}
        self._machine.post(lambda: self.emit("DEVICE_DELETED", gone))

    @hookimpl
    def machine_switched_off(self, reason: ShutdownReason) -> None:
        """See the hook."""
        self.emit("SHUTDOWN", {"guest": True, "reason": reason.value})

    @hookimpl
    def machine_stopped(self, reason: ShutdownReason) -> None:
        """See the hook."""
        self.emit("SHUTDOWN", {"guest": reason.value.startswith("guest"), "reason": reason.value})

    @hookimpl
    def machine_event(self, name: str, data: Message) -> None:
        """See the hook."""
        self.emit(name, data)

    # --- clients -------------------------------------------------------------------------------------------------

    def _accept(self) -> None:
        try:
            peer, _ = self._listener.accept()
        except OSError:
            return  # it has left again, or there are no descriptors
        if len(self._clients) >= MOST_CLIENTS:
            peer.close()
            return
        connection, session = Connection(peer), Session(self._commands)
        session.caller.files = connection.files
        task = asyncio.get_running_loop().create_task(self._serve(session, connection))
        self._clients[task] = (session, connection)
        FD_SETS.client_came()
        task.add_done_callback(self._left)

    async def _serve(self, session: Session, connection: Connection) -> None:
        try:
            with contextlib.suppress(OSError):  # it has gone
                await self._converse(session, connection)
        except asyncio.CancelledError:
            pass  # the machine has ended
        finally:
            connection.close()

    def _left(self, task: asyncio.Task[None]) -> None:
        self._clients.pop(task, None)
        FD_SETS.client_left()
        if not task.cancelled() and (error := task.exception()) is not None:
            log.error("a control client's conversation failed", exc_info=error)

    async def _converse(self, session: Session, connection: Connection) -> None:
        connection.write(render(session.greeting()))
        splitter = Splitter()
        while data := await connection.read():
            try:
                for text in splitter.feed(data):
                    connection.write(render(await session.answer(text)))
                    await connection.drain()
            except CommandError as error:
                connection.write(render(refusal(error)))
                return
