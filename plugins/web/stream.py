"""A client of the remote framebuffer protocol that comes by a WebSocket (RFC 6455), as noVNC does."""

from __future__ import annotations

import ssl

from aiohttp import WSMsgType, web
from southbridge.units import MiB

LONGEST_MESSAGE = 1 * MiB


class WebSocketStream:
    """A Stream (southbridge.rfb.stream) of the binary messages of a WebSocket that is open."""

    def __init__(self, socket: web.WebSocketResponse, request: web.Request) -> None:
        self._socket = socket
        self._request = request
        self._unread = bytearray()
        name = request.transport.get_extra_info("peername") if request.transport is not None else None
        self.peer = f"{name[0]}:{name[1]}" if name else "a browser"

    async def read(self, length: int) -> bytes:
        """See Stream."""
        while len(self._unread) < length:
            message = await self._socket.receive()
            if message.type is not WSMsgType.BINARY:
                raise EOFError
            self._unread += message.data
        data = bytes(self._unread[:length])
        del self._unread[:length]
        return data

    async def send(self, data: bytes) -> None:
        """See Stream."""
        await self._socket.send_bytes(data)

    async def start_tls(self, context: ssl.SSLContext) -> None:
        """See Stream; never asked for here."""
        raise ConnectionError("a WebSocket is encrypted from its beginning, or not at all")

    def close(self) -> None:
        """See Stream: whoever opened it closes it, once the conversation has ended."""

    def abort(self) -> None:
        """See Stream."""
        if self._request.transport is not None:
            self._request.transport.abort()
