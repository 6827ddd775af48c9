"""Pseudo-encodings: rectangles that aren't pixels, but news (RFC 6143, section 7.8; the community version; QEMU's)."""

from __future__ import annotations

import struct

import numpy as np

from ..display.surface import Cursor, Pixels, Rectangle
from .pixels import PixelFormat
from .screen import PointerPicture

DESKTOP_SIZE, EXTENDED_DESKTOP_SIZE = -223, -308
CURSOR, ALPHA_CURSOR = -239, -314
POINTER_MOTION, EXTENDED_KEYS = -257, -258
COMPRESSION = range(-256, -246)
"""Levels 0 to 9."""

BY_SERVER, BY_CLIENT = 0, 1
"""Why there is news of the desktop's size."""
DONE, PROHIBITED = 0, 1
"""What became of a client's wish for another size."""


def header(x: int, y: int, width: int, height: int, encoding: int) -> bytes:
    """A rectangle's."""
    return struct.pack(">HHHHi", x, y, width, height, encoding)


def desktop_size(width: int, height: int) -> bytes:
    """The screen has that size from now on."""
    return header(0, 0, width, height, DESKTOP_SIZE)


def extended_desktop_size(width: int, height: int, reason: int = BY_SERVER, status: int = DONE) -> bytes:
    """Likewise, to a client that also knows of several screens; there is one."""
    screen = struct.pack(">B3xIHHHHI", 1, 0, 0, 0, width, height, 0)
    return header(reason, status, width, height, EXTENDED_DESKTOP_SIZE) + screen


def extended_keys() -> bytes:
    """QEMU's extended key events are understood."""
    return header(0, 0, 0, 0, EXTENDED_KEYS)


def pointer_motion(relative: bool) -> bytes:
    """The pointer is to say where it is, or by how much it moved."""
    return header(0 if relative else 1, 0, 0, 0, POINTER_MOTION)


def cursor(picture: Cursor | None, pixel_format: PixelFormat) -> bytes:
    """The pointer's picture, with a mask of what shows; None: it doesn't show."""
    if picture is None:
        return header(0, 0, 0, 0, CURSOR)
    mask = np.packbits(picture.pixels >> 31 != 0, axis=1)
    start = header(picture.hot_x, picture.hot_y, picture.width, picture.height, CURSOR)
    return start + pixel_format.to_bytes(picture.pixels & np.uint32(0xFF_FFFF)) + mask.tobytes()


def alpha_cursor(picture: Cursor | None) -> bytes:
    """Likewise, with how much of it shows: bytes of red, green and blue, premultiplied, and alpha."""
    if picture is None:
        return header(0, 0, 0, 0, ALPHA_CURSOR) + struct.pack(">i", 0)
    bytes_ = np.ascontiguousarray(picture.pixels, dtype="<u4").view(np.uint8).reshape(-1, 4)
    alpha = bytes_[:, 3:4]
    colours = (bytes_[:, 2::-1].astype(np.uint16) * alpha + 127) // 255
    pixels = np.concatenate([colours.astype(np.uint8), alpha], axis=1)
    start = header(picture.hot_x, picture.hot_y, picture.width, picture.height, ALPHA_CURSOR)
    return start + struct.pack(">i", 0) + pixels.tobytes()


def drawn(pixels: Pixels, part: Rectangle, pointer: PointerPicture | None) -> Pixels:
    """`pixels`, those of `part`, with the pointer over them if it is there: for clients that can't show one."""
    if pointer is None:
        return pixels
    left, top = max(part.x, pointer.x), max(part.y, pointer.y)
    right, bottom = min(part.right, pointer.rectangle.right), min(part.bottom, pointer.rectangle.bottom)
    if left >= right or top >= bottom:
        return pixels
    over = pointer.cursor.pixels[top - pointer.y : bottom - pointer.y, left - pointer.x : right - pointer.x]
    result = pixels.copy()
    inside = result[top - part.y : bottom - part.y, left - part.x : right - part.x]
    alpha = over >> 24
    mixed = np.zeros_like(inside)
    for shift in (0, 8, 16):
        below, above = inside >> shift & 0xFF, over >> shift & 0xFF
        mixed |= ((above * alpha + below * (255 - alpha) + 127) // 255).astype(np.uint32) << shift
    inside[...] = mixed
    return result
