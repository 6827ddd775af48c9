"""A client's bytes, whatever they come by: a socket, with TLS or without, or a WebSocket."""

from __future__ import annotations

import asyncio
import socket
import ssl
from typing import Protocol

from ..units import KiB

PIECE = 16 * KiB
"""How much of what nobody wants is held at once, in bytes."""
UNSENT = 64 * KiB
"""What may wait for a client that doesn't take it, in bytes, before its next message is made."""


class Stream(Protocol):
    """One client's. What fails raises OSError or EOFError: the client has gone."""

    async def read(self, length: int) -> bytes:
        """The next `length` bytes."""

    async def send(self, data: bytes) -> None:
        """Sends `data`; returns once the client has taken most of it."""

    async def start_tls(self, context: ssl.SSLContext) -> None:
        """From now on all is encrypted."""

    def close(self) -> None:
        """Hangs up, once all is sent."""

    def abort(self) -> None:
        """Hangs up now."""

    @property
    def peer(self) -> str:
        """Who it is, for the log."""


async def skip(stream: Stream, length: int) -> None:
    """Reads what nobody wants."""
    while length:
        length -= len(await stream.read(min(length, PIECE)))


class SocketStream:
    """A Stream on a pair of asyncio's, which the main loop's thread serves."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer
        self._prepare()

    def _prepare(self) -> None:
        self._writer.transport.set_write_buffer_limits(high=UNSENT)

    async def read(self, length: int) -> bytes:
        """See Stream."""
        return await self._reader.readexactly(length)

    async def send(self, data: bytes) -> None:
        """See Stream."""
        self._writer.write(data)
        await self._writer.drain()

    async def start_tls(self, context: ssl.SSLContext) -> None:
        """See Stream."""
        await self._writer.start_tls(context)
        self._prepare()

    def close(self) -> None:
        """See Stream."""
        self._writer.close()

    def abort(self) -> None:
        """See Stream."""
        self._writer.transport.abort()

    @property
    def peer(self) -> str:
        """See Stream."""
        connection: socket.socket | None = self._writer.get_extra_info("socket")
        if connection is not None and connection.family == socket.AF_UNIX:
            return "a local client"
        name = self._writer.get_extra_info("peername")
        return f"{name[0]}:{name[1]}" if name else "a client"
