"""Clients of a listening socket, each served by a task of its own; none can hold up the guest, or its like."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import socket
from collections.abc import Awaitable, Callable

from .connection import ClientConnection, Connection

MOST_CLIENTS = 64
FAREWELL_SECONDS = 1.0
"""How long a client has, at the machine's end, to take what is sent already."""

log = logging.getLogger(__name__)

Serve = Callable[[ClientConnection], Awaitable[None]]
"""Serves one client, until it has gone."""


class Clients:
    """Those that are served now. On the main loop's thread."""

    def __init__(self, serve: Serve) -> None:
        self._serve = serve
        self._there: dict[asyncio.Task[None], ClientConnection] = {}

    def __len__(self) -> int:
        return len(self._there)

    def welcome(self, connection: ClientConnection) -> None:
        """A client came."""
        task = asyncio.get_running_loop().create_task(self._care(connection))
        self._there[task] = connection
        task.add_done_callback(self._left)

    async def dismiss(self) -> None:
        """Ends all conversations, once the clients have what was sent to them, if they take it soon."""
        there = list(self._there.items())
        for task, connection in there:
            task.cancel()
            connection.close()
        if there:
            waits = [asyncio.ensure_future(connection.drain()) for _, connection in there]
            await asyncio.wait([*waits, *(task for task, _ in there)], timeout=FAREWELL_SECONDS)
        for _, connection in there:
            connection.abort()

    async def _care(self, connection: ClientConnection) -> None:
        try:
            with contextlib.suppress(OSError):  # it has gone
                await self._serve(connection)
        except asyncio.CancelledError:
            pass  # the machine has ended
        finally:
            connection.close()

    def _left(self, task: asyncio.Task[None]) -> None:
        self._there.pop(task, None)
        if not task.cancelled() and (error := task.exception()) is not None:
            log.error("a control client's conversation failed", exc_info=error)


class SocketClients:
    """Clients of `listener`, if there is one; it stays the caller's."""

    def __init__(self, listener: socket.socket | None, serve: Serve) -> None:
        self._listener = listener
        self._clients = Clients(serve)
        self._serving = False

    @property
    def busy(self) -> bool:
        """Whether a client is there."""
        return len(self._clients) > 0

    def start(self) -> None:
        """Begins to serve."""
        if self._listener is not None:
            self._listener.setblocking(False)
            asyncio.get_running_loop().add_reader(self._listener, self._accept, self._listener)
        self._serving = True

    async def stop(self) -> None:
        """Ends all conversations; see Clients."""
        if self._serving:
            self._serving = False
            if self._listener is not None:
                asyncio.get_running_loop().remove_reader(self._listener)
            await self._clients.dismiss()

    def welcome(self, peer: socket.socket) -> None:
        """Serves a client that came some other way."""
        self._clients.welcome(Connection(peer))

    def _accept(self, listener: socket.socket) -> None:
        try:
            peer, _ = listener.accept()
        except OSError:
            return  # it has left again, or there are no descriptors
        if len(self._clients) >= MOST_CLIENTS:
            peer.close()
        else:
            self.welcome(peer)
