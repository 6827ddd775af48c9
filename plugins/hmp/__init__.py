"""The monitor for people: see README.md."""

from __future__ import annotations

import asyncio
import contextlib
from typing import Any

from southbridge.chardev import CharBackend
from southbridge.control.connection import ClientConnection
from southbridge.control.listening import SocketClients
from southbridge.control.server import all_commands
from southbridge.errors import SouthbridgeError
from southbridge.properties import Link
from southbridge.socket_monitor import SocketMonitor


class Hmp(SocketMonitor):
    """QEMU's monitor for people: at a socket, or on a character back end, such as a serial port's terminal."""

    places = (*SocketMonitor.places, "chardev")

    chardev: CharBackend | None = Link(
        "chardevs", None, doc="Where it is; with a `stdio` that a serial port has, Ctrl-A C changes between them."
    )

    _clients: SocketClients | None = None
    _talk: asyncio.Task[None] | None = None

    @property
    def where(self) -> str:
        """See Monitor."""
        busy = self.chardev is not None or (self._clients is not None and self._clients.busy)
        return f"{'' if busy else 'disconnected:'}{self.place}"

    @property
    def place(self) -> str:
        """See SocketMonitor."""
        return super().place if self.chardev is None else self.chardev.where

    def reach(self) -> None:
        """See SocketMonitor."""
        if self.chardev is None:
            super().reach()

    async def start(self) -> None:
        """See Monitor."""
        commands = self._commands = all_commands(self.machine)
        if self.chardev is None:
            self._clients = SocketClients(self.listener, self._serve)
            self._clients.start()
            if (peer := self.take_peer()) is not None:
                self._clients.welcome(peer)
            return
        from southbridge.hmp.chardev import CharConnection
        from southbridge.hmp.conversation import HumanConversation

        connection = CharConnection(self.chardev, self.machine.lock)
        conversation = HumanConversation(self.machine, commands, connection)
        connection.chosen = conversation.show
        shared = self.chardev.frontend is not None
        attach: Any = getattr(self.chardev, "attach_monitor", self.chardev.attach)
        with self.machine.lock:
            attach(connection)
        if not shared:
            conversation.show()
        self._talk = asyncio.get_running_loop().create_task(conversation.run())

    async def _serve(self, connection: ClientConnection) -> None:
        from southbridge.hmp.conversation import HumanConversation  # only now: most machines run unwatched

        conversation = HumanConversation(self.machine, self._commands, connection)
        conversation.show()
        await conversation.run()

    async def stop(self) -> None:
        """See Monitor."""
        if self._clients is not None:
            await self._clients.stop()
        if self._talk is not None:
            self._talk.cancel()
            with contextlib.suppress(asyncio.CancelledError, OSError, SouthbridgeError):
                await self._talk
