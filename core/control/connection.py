"""A client's connection: bytes both ways, and the open files that come along with bytes (unix(7), SCM_RIGHTS).

asyncio's own streams know nothing of such files. Everything here belongs to the main loop's thread.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
from collections import deque
from typing import Protocol

from ..units import KiB

PIECE = 16 * KiB
"""How much is read at once, in bytes."""
MOST_FILES = 16
"""Open files of a client's that wait for a command to take them."""


class ClientConnection(Protocol):
    """A client's connection, whatever it is made of."""

    files: deque[int]
    """Descriptors that came and that nobody took yet, oldest first; those who take one own it."""

    @property
    def unsent(self) -> int:
        """Bytes that wait for the client to take them."""

    async def read(self) -> bytes:
        """What came next, at most PIECE bytes; none once the client has hung up. Raises OSError."""

    def write(self, data: bytes) -> None:
        """Sends `data`, at the latest when the client takes it."""

    async def drain(self) -> None:
        """Returns when all is sent, or never will be."""

    def close(self) -> None:
        """Hangs up once all is sent; files that nobody took are closed."""

    def abort(self) -> None:
        """Hangs up now."""


class Connection:
    """One connected stream socket, which it owns."""

    def __init__(self, peer: socket.socket) -> None:
        peer.setblocking(False)
        self._peer = peer
        self._loop = asyncio.get_running_loop()
        self._unsent = bytearray()
        self._sent = asyncio.Event()
        self._sent.set()
        self._closing = False
        self.files: deque[int] = deque()

    @property
    def unsent(self) -> int:
        """See ClientConnection."""
        return len(self._unsent)

    async def read(self) -> bytes:
        """See ClientConnection."""
        await asyncio.sleep(0)  # however much comes, others have their turns
        while not self._closing:
            try:
                data, files, _, _ = socket.recv_fds(self._peer, PIECE, MOST_FILES)
            except BlockingIOError:
                await self._readable()
                continue
            for file in files:
                os.set_inheritable(file, False)
                self.files.append(file)
            while len(self.files) > MOST_FILES:
                os.close(self.files.popleft())
            return data
        return b""

    async def _readable(self) -> None:
        came: asyncio.Future[None] = self._loop.create_future()
        self._loop.add_reader(self._peer, _set, came)
        try:
            await came
        finally:
            if self._peer.fileno() >= 0:
                self._loop.remove_reader(self._peer)

    def write(self, data: bytes) -> None:
        """See ClientConnection."""
        if self._closing:
            return
        self._unsent += data
        self._send()

    async def drain(self) -> None:
        """See ClientConnection."""
        await self._sent.wait()

    def close(self) -> None:
        """See ClientConnection."""
        if not self._closing:
            self._closing = True
            while self.files:
                os.close(self.files.popleft())
            with contextlib.suppress(OSError):
                self._peer.shutdown(socket.SHUT_RD)  # `read` ends
            if not self._unsent:
                self._end()

    def abort(self) -> None:
        """See ClientConnection."""
        self.close()
        self._end()

    def _send(self) -> None:
        try:
            while self._unsent:
                del self._unsent[: self._peer.send(self._unsent)]
        except BlockingIOError:
            self._sent.clear()
            self._loop.add_writer(self._peer, self._send)
            return
        except OSError:  # it has gone
            self._unsent.clear()
        self._loop.remove_writer(self._peer)
        self._sent.set()
        if self._closing:
            self._end()

    def _end(self) -> None:
        self._unsent.clear()
        self._sent.set()
        if self._peer.fileno() >= 0:
            self._loop.remove_reader(self._peer)
            self._loop.remove_writer(self._peer)
            self._peer.close()


def _set(came: asyncio.Future[None]) -> None:
    if not came.done():
        came.set_result(None)
