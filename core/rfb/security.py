"""Who may come in: versions, security types and passwords (RFC 6143, sections 7.1 and 7.2; VeNCrypt in the community
version), up to the client's ClientInit.
"""

from __future__ import annotations

import asyncio
import hmac
import os
import re
import ssl
import struct
from dataclasses import dataclass

from . import des
from .pixels import ProtocolError
from .stream import Stream

VERSION = b"RFB 003.008\n"
_VERSION = re.compile(rb"RFB 003\.(\d{3})\n")

NONE, VNC_AUTHENTICATION, VENCRYPT = 1, 2, 19
"""Security types."""
X509_NONE, X509_VNC = 260, 261
"""Subtypes of VeNCrypt: TLS with a certificate, then nothing, or a password."""

CHALLENGE = 16
PENALTY_SECONDS = 1.0
"""Before a wrong password is answered."""


class Refused(Exception):
    """A client that may not come in."""


@dataclass
class Security:
    """A server's: the `password` that clients must know, if any, and TLS, if they must use that.

    Of a password eight characters count; that is the protocol's. An empty one isn't set yet: nobody knows it.
    """

    password: str | None = None
    tls: ssl.SSLContext | None = None

    @property
    def name(self) -> str:
        """In the words of QMP's query-vnc."""
        plain = "none" if self.password is None else "vnc"
        return plain if self.tls is None else f"vencrypt+x509+{plain}"

    async def admit(self, stream: Stream) -> None:
        """Up to SecurityResult. Raises Refused, ProtocolError, and what the stream raises."""
        minor = await _version(stream)
        plain = NONE if self.password is None else VNC_AUTHENTICATION
        kind = plain if self.tls is None else VENCRYPT
        if minor == 3:
            if kind == VENCRYPT:
                reason = b"this server wants TLS, and so a newer protocol"
                await stream.send(struct.pack(">II", 0, len(reason)) + reason)
                raise Refused("it knows no TLS")
            await stream.send(struct.pack(">I", kind))
        else:
            await stream.send(bytes([1, kind]))
            if (chosen := (await stream.read(1))[0]) != kind:
                raise ProtocolError(f"security type {chosen}, which wasn't offered")
        if self.tls is not None:
            await self._encrypt(stream, self.tls)
        if self.password is not None:
            await self._ask(stream, minor)
        if self.password is not None or self.tls is not None or minor == 8:
            await stream.send(struct.pack(">I", 0))

    async def _encrypt(self, stream: Stream, tls: ssl.SSLContext) -> None:
        """VeNCrypt's negotiation, and the handshake."""
        subtype = X509_NONE if self.password is None else X509_VNC
        await stream.send(bytes([0, 2]))
        if await stream.read(2) != bytes([0, 2]):
            await stream.send(b"\xff")
            raise ProtocolError("another version of VeNCrypt")
        await stream.send(struct.pack(">BBI", 0, 1, subtype))
        if (chosen := struct.unpack(">I", await stream.read(4))[0]) != subtype:
            await stream.send(b"\0")
            raise ProtocolError(f"VeNCrypt's type {chosen}, which wasn't offered")
        await stream.send(b"\1")
        await stream.start_tls(tls)

    async def _ask(self, stream: Stream, minor: int) -> None:
        challenge = os.urandom(CHALLENGE)
        await stream.send(challenge)
        answer = await stream.read(CHALLENGE)
        # Looked at only now: it may have been changed meanwhile.
        password = self.password
        if password and hmac.compare_digest(des.answer(password.encode(), challenge), answer):
            return
        await asyncio.sleep(PENALTY_SECONDS)
        reason = b"wrong password"
        await stream.send(struct.pack(">I", 1) + (struct.pack(">I", len(reason)) + reason if minor == 8 else b""))
        raise Refused("wrong password")


async def _version(stream: Stream) -> int:
    """3, 7 or 8. What a client calls itself otherwise is the newest before that, or 3."""
    await stream.send(VERSION)
    found = _VERSION.fullmatch(await stream.read(len(VERSION)))
    if found is None:
        raise ProtocolError("no client of this protocol")
    minor = int(found[1])
    return 8 if minor >= 8 else 7 if minor == 7 else 3
