"""Tight: solid rectangles, palettes, and pixels of three bytes, compressed by streams of their own kind.

(The RFB Protocol, community version, section "Tight Encoding".) There is no lossy compression here: no JPEG.
"""

from __future__ import annotations

from ...display.surface import Pixels
from ..pixels import PixelFormat
from .encoder import Encoder, Level, Stream
from .palette import colours, numbers, packed

FILL = 0x80
EXPLICIT_FILTER = 0x40
PALETTE_FILTER = 1
MOST_COLOURS = 256
UNCOMPRESSED = 12
"""Less than so many bytes are sent as they are."""
FULL, MONOCHROME, INDEXED = range(3)
"""The streams, by what goes into them."""


class Tight(Encoder):
    """Streams begin anew when the client wants another level."""

    number = 7
    widest = 2048

    def __init__(self, level: Level) -> None:
        super().__init__(level)
        self._streams = [Stream(level) for _ in (FULL, MONOCHROME, INDEXED)]

    def encode(self, pixels: Pixels, pixel_format: PixelFormat) -> bytes:
        """See Encoder."""
        palette = colours(pixels, MOST_COLOURS)
        if palette is None or (len(palette) > 2 and pixel_format.size == 1):
            return self._basic(FULL, b"", pixel_format.tight(pixels))
        if len(palette) == 1:
            return bytes([FILL]) + pixel_format.tight(palette)
        header = bytes([PALETTE_FILTER, len(palette) - 1]) + pixel_format.tight(palette)
        indices = numbers(pixels, palette)
        if len(palette) == 2:
            return self._basic(MONOCHROME, header, packed(indices, 1))
        return self._basic(INDEXED, header, indices.tobytes())

    def _basic(self, kind: int, header: bytes, data: bytes) -> bytes:
        """`data` by the stream of `kind`; `header` is the filter and what it needs, if one is used."""
        control = kind << 4 | (EXPLICIT_FILTER if header else 0)
        if len(data) < UNCOMPRESSED:
            return bytes([control]) + header + data
        if self._streams[kind].stale:
            self._streams[kind] = Stream(self.level)
            control |= 1 << kind
        sent = self._streams[kind].compress(data)
        return bytes([control]) + header + _length(len(sent)) + sent


def _length(value: int) -> bytes:
    """A compact length: seven bits in a byte, of which there are at most three."""
    if value < 1 << 7:
        return bytes([value])
    if value < 1 << 14:
        return bytes([0x80 | value & 0x7F, value >> 7])
    return bytes([0x80 | value & 0x7F, 0x80 | value >> 7 & 0x7F, value >> 14])
