"""add_client: a connection that a client of the monitor's made, for a display or a chardev."""

from __future__ import annotations

import asyncio
import os
import socket
from typing import TYPE_CHECKING

from ..control.commands import CommandError
from ..errors import SouthbridgeError
from ..fdsets import FD_SETS

if TYPE_CHECKING:
    from ..control.commands import Function
    from ..machine import Machine

VNC = "vnc"


class ClientCommands:
    """Who comes in by the monitor."""

    def __init__(self, machine: Machine) -> None:
        self._machine = machine

    def commands(self) -> dict[str, Function]:
        """By name."""
        return {"add_client": self.add_client}

    async def add_client(
        self, protocol: str, fdname: str, skipauth: bool | None = None, tls: bool | None = None
    ) -> None:
        """The connection that getfd took as `fdname` is a viewer's (`vnc`), or the other end of a chardev.

        A viewer says who it is as any other (`skipauth` and `tls` are SPICE's).
        """
        connection = _socket(FD_SETS.take(fdname))
        try:
            if protocol == VNC:
                await self._view(connection)
            else:
                self._join(protocol, connection)
        except BaseException:
            connection.close()
            raise

    async def _view(self, connection: socket.socket) -> None:
        displays = self._machine.backends.get("displays", {})
        servers = [server for one in displays.values() if (server := getattr(one, "server", None)) is not None]
        if not servers:
            raise CommandError("VNC is not in use")
        from ..rfb.stream import SocketStream  # only now: a machine without a screen needs no arrays

        connection.setblocking(False)
        servers[0].serve(SocketStream(*await asyncio.open_connection(sock=connection)))

    def _join(self, id: str, connection: socket.socket) -> None:
        chardev = self._machine.backends["chardevs"].get(id)
        if chardev is None:
            raise CommandError(f"protocol '{id}' is invalid")
        if not hasattr(chardev, "welcome"):
            raise CommandError("failed to add client")
        try:
            chardev.welcome(connection)
        except SouthbridgeError as error:
            raise CommandError(f"failed to add client: {error}") from None


def _socket(descriptor: int) -> socket.socket:
    try:
        return socket.socket(fileno=descriptor)
    except OSError as error:
        os.close(descriptor)
        raise CommandError(f"parameter @fdname must name a socket: {error.strerror}") from None
