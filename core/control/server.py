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
from ..hookspecs import hookimpl
from ..units import KiB
from .builtin import MachineCommands
from .commands import CommandError
from .session import Message, Session, Splitter, event, refusal, render

if TYPE_CHECKING:
    from ..device import Device
    from ..life import ShutdownReason
    from ..machine import Machine

PIECE = 16 * KiB
"""How much is read at once, in bytes."""
OUTPUT_LIMIT = 256 * KiB
"""What may wait for a client, in bytes, when an event comes."""
MOST_CLIENTS = 64
FAREWELL_SECONDS = 1.0
"""How long a client has, at the machine's end, to take what is sent already."""

log = logging.getLogger(__name__)


class ControlServer:
    """Serves clients of a listening socket while its machine runs; one of `Machine.services`."""

    def __init__(self, machine: Machine, listener: socket.socket) -> None:
        self._machine = machine
        self._listener = listener
        self._server: asyncio.Server | None = None
        self._clients: dict[asyncio.Task[None], tuple[Session, asyncio.StreamWriter]] = {}

    async def start(self) -> None:
        """Begins to serve. Called on the main loop."""
        self._commands = MachineCommands(self._machine, self.emit).commands
        for extra in self._machine.hooks.call.register_monitor_commands(machine=self._machine):
            for name, function in (extra or {}).items():
                try:
                    self._commands.add(name, function)
                except SouthbridgeError as error:
                    log.warning("left out: %s", error)
        self._machine.hooks.register(self, "control")
        self._server = await asyncio.start_unix_server(self._accepted, sock=self._listener, limit=PIECE)

    async def stop(self) -> None:
        """Ends all conversations, once the clients have what was sent to them, if they take it soon."""
        if self._server is None:
            return
        self._server.close()
        self._machine.hooks.unregister("control")
        clients = list(self._clients.items())
        for task, (_, writer) in clients:
            task.cancel()
            writer.close()
        if clients:
            waits = [asyncio.ensure_future(_closed(writer)) for _, (_, writer) in clients]
            await asyncio.wait([*waits, *(task for task, _ in clients)], timeout=FAREWELL_SECONDS)
        for _, (_, writer) in clients:
            writer.transport.abort()

    def emit(self, name: str, data: Message | None = None) -> None:
        """Sends an event to every client. Called on the main loop's thread."""
        line = render(event(name, data))
        for session, writer in self._clients.values():
            if not session.ready:
                continue
            if writer.transport.get_write_buffer_size() > OUTPUT_LIMIT:
                log.warning("a control client doesn't listen, and is dropped")
                writer.transport.abort()
            else:
                writer.write(line)

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
    def machine_stopped(self, reason: ShutdownReason) -> None:
        """See the hook."""
        self.emit("SHUTDOWN", {"guest": reason.value.startswith("guest"), "reason": reason.value})

    @hookimpl
    def machine_event(self, name: str, data: Message) -> None:
        """See the hook."""
        self.emit(name, data)

    # --- clients -------------------------------------------------------------------------------------------------

    async def _accepted(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        session = Session(self._commands)
        try:
            if len(self._clients) >= MOST_CLIENTS:
                return
            self._clients[task] = (session, writer)
            with contextlib.suppress(OSError):  # it has gone
                await self._converse(session, reader, writer)
        except asyncio.CancelledError:
            pass  # the machine has ended
        finally:
            self._clients.pop(task, None)
            writer.close()

    async def _converse(self, session: Session, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(render(session.greeting()))
        splitter = Splitter()
        while data := await reader.read(PIECE):
            try:
                for text in splitter.feed(data):
                    writer.write(render(await session.answer(text)))
                    await writer.drain()
            except CommandError as error:
                writer.write(render(refusal(error)))
                return


async def _closed(writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(OSError):
        await writer.wait_closed()
