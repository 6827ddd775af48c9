"""ZRLE: tiles of 64 by 64 pixels, with palettes where colours are few, compressed (RFC 6143, section 7.7.6).

Runs are left to zlib, which finds them too: of the kinds of tiles there are raw, solid and packed palette ones.
"""

from __future__ import annotations

import struct

from ...display.surface import Pixels
from ..pixels import PixelFormat
from .encoder import Encoder, Level, Stream
from .palette import colours, numbers, packed

TILE = 64
MOST_COLOURS = 16
RAW, SOLID = 0, 1
"""Kinds of tiles; others are the number of colours."""


class Zrle(Encoder):
    """One stream for all rectangles."""

    number = 16

    def __init__(self, level: Level) -> None:
        super().__init__(level)
        self._stream = Stream(level)

    def encode(self, pixels: Pixels, pixel_format: PixelFormat) -> bytes:
        """See Encoder."""
        height, width = pixels.shape
        tiles = [
            _tile(pixels[y : y + TILE, x : x + TILE], pixel_format)
            for y in range(0, height, TILE)
            for x in range(0, width, TILE)
        ]
        data = self._stream.compress(b"".join(tiles))
        return struct.pack(">I", len(data)) + data


def _tile(pixels: Pixels, pixel_format: PixelFormat) -> bytes:
    palette = colours(pixels, MOST_COLOURS)
    if palette is None:
        return bytes([RAW]) + pixel_format.compact(pixels)
    if len(palette) == 1:
        return bytes([SOLID]) + pixel_format.compact(palette)
    bits = 1 if len(palette) == 2 else 2 if len(palette) <= 4 else 4
    return bytes([len(palette)]) + pixel_format.compact(palette) + packed(numbers(pixels, palette), bits)
