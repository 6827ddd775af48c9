"""What a client says once it is in (RFC 6143, section 7.5, and extensions), read from its stream.

Lengths are the client's; nothing longer than a list of encodings is ever held. Cut text is read and dropped: there is
no clipboard to put it into, and so nothing of the client's is inflated (CVE-2022-3165, CVE-2023-3255).
"""

from __future__ import annotations

import struct
from dataclasses import dataclass

from ..units import MiB
from .pixels import SIZE, PixelFormat, ProtocolError
from .stream import Stream, skip

SET_PIXEL_FORMAT, SET_ENCODINGS, UPDATE_REQUEST, KEY, POINTER, CUT_TEXT = 0, 2, 3, 4, 5, 6
SET_DESKTOP_SIZE, QEMU = 251, 255
QEMU_KEY = 0
LONGEST_CUT_TEXT = 1 * MiB
MOST_ENCODINGS = 1024
"""That are looked at; a client may list more."""


@dataclass(frozen=True)
class SetPixelFormat:
    """Pixels are to be so from now on."""

    format: PixelFormat


@dataclass(frozen=True)
class SetEncodings:
    """What the client understands, the best first."""

    numbers: tuple[int, ...]


@dataclass(frozen=True)
class UpdateRequest:
    """It wants to know what changed, or with `incremental` false how all of it looks."""

    incremental: bool
    x: int
    y: int
    width: int
    height: int


@dataclass(frozen=True)
class Key:
    """A key's symbol; `number` is which key it was, if the client knows."""

    down: bool
    keysym: int
    number: int | None = None


@dataclass(frozen=True)
class PointerMove:
    """Which buttons are down, and where, or by how much it moved."""

    mask: int
    x: int
    y: int


@dataclass(frozen=True)
class CutText:
    """Something was copied: `length` bytes, which are gone."""

    length: int


@dataclass(frozen=True)
class SetDesktopSize:
    """It would like the screen to have that size."""

    width: int
    height: int


Message = SetPixelFormat | SetEncodings | UpdateRequest | Key | PointerMove | CutText | SetDesktopSize


async def read_message(stream: Stream) -> Message:
    """The next one. Raises ProtocolError, and what the stream raises."""
    kind = (await stream.read(1))[0]
    if kind == SET_PIXEL_FORMAT:
        return SetPixelFormat(PixelFormat.parse((await stream.read(3 + SIZE))[3:]))
    if kind == SET_ENCODINGS:
        return await _encodings(stream)
    if kind == UPDATE_REQUEST:
        incremental, x, y, width, height = struct.unpack(">BHHHH", await stream.read(9))
        return UpdateRequest(bool(incremental), x, y, width, height)
    if kind == KEY:
        down, keysym = struct.unpack(">B2xI", await stream.read(7))
        return Key(bool(down), keysym)
    if kind == POINTER:
        return PointerMove(*struct.unpack(">BHH", await stream.read(5)))
    if kind == CUT_TEXT:
        return await _cut_text(stream)
    if kind == SET_DESKTOP_SIZE:
        width, height, screens = struct.unpack(">xHHBx", await stream.read(7))
        await skip(stream, 16 * screens)
        return SetDesktopSize(width, height)
    if kind == QEMU:
        return await _qemu(stream)
    raise ProtocolError(f"a message of type {kind}")


async def _encodings(stream: Stream) -> SetEncodings:
    (count,) = struct.unpack(">xH", await stream.read(3))
    kept = min(count, MOST_ENCODINGS)
    data = await stream.read(4 * kept)
    await skip(stream, 4 * (count - kept))
    return SetEncodings(struct.unpack(f">{kept}i", data))


async def _cut_text(stream: Stream) -> CutText:
    (length,) = struct.unpack(">3xi", await stream.read(7))
    if length < 0:
        raise ProtocolError("an extended clipboard's message, which nobody offered to take")
    if length > LONGEST_CUT_TEXT:
        raise ProtocolError(f"cut text of {length:,} bytes")
    await skip(stream, length)
    return CutText(length)


async def _qemu(stream: Stream) -> Key:
    kind = (await stream.read(1))[0]
    if kind != QEMU_KEY:
        raise ProtocolError(f"a message of QEMU's of type {kind}")
    down, keysym, number = struct.unpack(">HII", await stream.read(10))
    return Key(bool(down), keysym, number)
