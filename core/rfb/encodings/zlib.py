"""Zlib: raw pixels, compressed (The RFB Protocol, community version, section "Zlib Encoding")."""

from __future__ import annotations

import struct

from ...display.surface import Pixels
from ..pixels import PixelFormat
from .encoder import Encoder, Level, Stream


class Zlib(Encoder):
    """One stream for all rectangles."""

    number = 6

    def __init__(self, level: Level) -> None:
        super().__init__(level)
        self._stream = Stream(level)

    def encode(self, pixels: Pixels, pixel_format: PixelFormat) -> bytes:
        """See Encoder."""
        data = self._stream.compress(pixel_format.to_bytes(pixels))
        return struct.pack(">I", len(data)) + data
