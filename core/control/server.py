"""The machine's end of the control socket, and of every other QMP monitor: its commands, its events, its clients."""

from __future__ import annotations

import logging
import socket
from functools import cached_property
from typing import TYPE_CHECKING

from ..errors import SouthbridgeError
from .connection import ClientConnection
from .events import Events
from .listening import SocketClients

if TYPE_CHECKING:
    from ..machine import Machine
    from .commands import Commands
    from .conversation import Conversation
    from .session import Message

log = logging.getLogger(__name__)


class QmpService:
    """What clients can say to a machine, and what they hear. `name` tells it from a machine's other ones.

    Commands, and all that a conversation takes, are imported once a client comes: a machine's start is sooner by them.
    """

    def __init__(self, machine: Machine, name: str, *, pretty: bool = False) -> None:
        self._machine = machine
        self._pretty = pretty
        self._events = Events(machine, name, self._tell, self._render)
        self._conversations: list[Conversation] = []

    @cached_property
    def _commands(self) -> Commands:
        return all_commands(self._machine)

    def start(self) -> None:
        """Begins. Called on the main loop."""
        self._events.start()

    def stop(self) -> None:
        """No more events come; conversations end by themselves."""
        self._events.stop()

    async def serve(self, connection: ClientConnection) -> None:
        """Converses with a client until it has gone. Raises OSError."""
        from .conversation import Conversation

        conversation = Conversation(self._commands, connection, self._render)
        self._conversations.append(conversation)
        try:
            await conversation.run()
        finally:
            self._conversations.remove(conversation)

    def _render(self, message: Message) -> bytes:
        from .session import render, render_pretty

        return render_pretty(message) if self._pretty else render(message)

    def _tell(self, line: bytes) -> None:
        for conversation in self._conversations:
            conversation.tell(line)


class ControlServer:
    """Serves clients while its machine runs; one of `Machine.services`."""

    def __init__(
        self, machine: Machine, listener: socket.socket | None, name: str = "control", *, pretty: bool = False
    ) -> None:
        """`name` tells it from a machine's other servers. Clients come by the listener, which stays the caller's.

        `pretty`: what it says is on several lines.
        """
        self._service = QmpService(machine, name, pretty=pretty)
        self._clients = SocketClients(listener, self._service.serve)
        self._serving = False

    @property
    def busy(self) -> bool:
        """Whether a client is there."""
        return self._clients.busy

    async def start(self) -> None:
        """Begins to serve. Called on the main loop."""
        self._service.start()
        self._clients.start()
        self._serving = True

    def welcome(self, peer: socket.socket) -> None:
        """Serves a client that came some other way. Called on the main loop."""
        self._clients.welcome(peer)

    async def stop(self) -> None:
        """Ends all conversations, once the clients have what was sent to them, if they take it soon."""
        if self._serving:
            self._serving = False
            self._service.stop()
            await self._clients.stop()


def all_commands(machine: Machine) -> Commands:
    """Every command of `machine`'s, plugins' included."""
    from .builtin import MachineCommands

    commands = MachineCommands(machine).commands
    for extra in machine.hooks.call.register_monitor_commands(machine=machine):
        for name, function in (extra or {}).items():
            try:
                commands.add(name, function)
            except SouthbridgeError as error:
                log.warning("left out: %s", error)
    return commands
