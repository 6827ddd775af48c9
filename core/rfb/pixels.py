"""Pixel formats: how a client wants pixels written (RFC 6143, sections 7.4 and 7.5.1), and surfaces' pixels so written.

A client chooses sizes, widths and shifts as it likes. What makes no sense is refused (CVE-2014-7815).
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from ..display.surface import Pixels

Bytes = npt.NDArray[np.uint8]
Words = npt.NDArray[Any]

_FORMAT = struct.Struct(">BBBBHHHBBB3x")
SIZE = _FORMAT.size
RED, GREEN, BLUE = 16, 8, 0
"""Where a surface's pixels have their colours, eight bits each."""


class ProtocolError(Exception):
    """A client that says what makes no sense; it is hung up on."""


@dataclass(frozen=True)
class Channel:
    """A colour: its largest value, 2^bits - 1, and its place."""

    max: int
    shift: int

    @property
    def bits(self) -> int:
        """How many it has."""
        return self.max.bit_length()

    def of(self, pixels: Pixels, source: int) -> Words:
        """This colour, which surfaces have at `source`, in its place."""
        down = source + 8 - self.bits
        value = pixels >> down if down >= 0 else pixels << -down
        if self.bits > 8:  # eight bits are all there is: repeated, so that white stays white
            value |= (pixels >> source & 0xFF) >> (16 - self.bits)
        value &= self.max
        value <<= self.shift
        return value


@dataclass(frozen=True)
class PixelFormat:
    """PIXEL_FORMAT. Without `true_colour` pixels are numbers of colours, which `colour_map` tells the client."""

    bits: int
    depth: int
    big_endian: bool
    true_colour: bool
    red: Channel
    green: Channel
    blue: Channel

    @staticmethod
    def parse(data: bytes) -> PixelFormat:
        """What a client sent. Raises ProtocolError."""
        bits, depth, big, true, red_max, green_max, blue_max, red, green, blue = _FORMAT.unpack(data)
        if bits not in (8, 16, 32):
            raise ProtocolError(f"pixels of {bits} bits")
        if not true:
            if bits != 8:
                raise ProtocolError(f"a colour map for pixels of {bits} bits")
            return COLOUR_MAPPED
        if not 1 <= depth <= bits:
            raise ProtocolError(f"a depth of {depth} in pixels of {bits} bits")
        channels = Channel(red_max, red), Channel(green_max, green), Channel(blue_max, blue)
        for channel in channels:
            if not channel.max or channel.max & (channel.max + 1):
                raise ProtocolError(f"{channel.max} as the largest value of a colour")
            if channel.shift + channel.bits > bits:
                raise ProtocolError(f"a colour at bit {channel.shift} in pixels of {bits} bits")
        return PixelFormat(bits, depth, bool(big), True, *channels)

    def pack(self) -> bytes:
        """As the server says it."""
        channels = (self.red, self.green, self.blue)
        return _FORMAT.pack(
            self.bits,
            self.depth,
            self.big_endian,
            self.true_colour,
            *(channel.max for channel in channels),
            *(channel.shift for channel in channels),
        )

    @property
    def size(self) -> int:
        """Of a pixel, in bytes."""
        return self.bits // 8

    @cached_property
    def dtype(self) -> np.dtype[Any]:
        """NumPy's type of a pixel."""
        return np.dtype(f"{'>' if self.big_endian else '<'}u{self.size}")

    @cached_property
    def _native(self) -> bool:
        same = (Channel(255, RED), Channel(255, GREEN), Channel(255, BLUE))
        return (self.red, self.green, self.blue) == same and self.bits == 32

    def convert(self, pixels: Pixels) -> Words:
        """`pixels`, written so; the surface's own where nothing differs."""
        if self._native:
            return pixels.astype(self.dtype, copy=False)
        value = self.red.of(pixels, RED)
        value |= self.green.of(pixels, GREEN)
        value |= self.blue.of(pixels, BLUE)
        return value.astype(self.dtype, copy=False)

    def to_bytes(self, pixels: Pixels) -> bytes:
        """PIXELs, row by row."""
        return self.convert(pixels).tobytes()

    @cached_property
    def _compact(self) -> tuple[int, int] | None:
        """Which three bytes of a pixel of four are all that matters, if it is so (section 7.7.5)."""
        if self.bits != 32 or self.depth > 24:
            return None
        used = 0
        for channel in (self.red, self.green, self.blue):
            used |= channel.max << channel.shift
        if used < 1 << 24:
            return (1, 4) if self.big_endian else (0, 3)
        if not used & 0xFF:
            return (0, 3) if self.big_endian else (1, 4)
        return None

    @property
    def compact_size(self) -> int:
        """Of a CPIXEL, in bytes."""
        return self.size if self._compact is None else 3

    def compact(self, pixels: Pixels) -> bytes:
        """CPIXELs, as ZRLE has them: without a byte that is always 0."""
        return self.compact_words(self.convert(pixels))

    def compact_words(self, words: Words) -> bytes:
        """Likewise, of pixels that `convert` gave."""
        if self._compact is None:
            return words.tobytes()
        first, end = self._compact
        bytes_ = np.ascontiguousarray(words).view(np.uint8).reshape(-1, 4)
        return bytes_[:, first:end].tobytes()

    @cached_property
    def is_tight(self) -> bool:
        """Tight encoding's pixels are three bytes: red, green, blue."""
        full = all(channel.max == 255 for channel in (self.red, self.green, self.blue))
        return full and self.bits == 32 and self.depth == 24

    def tight(self, pixels: Pixels) -> bytes:
        """TPIXELs, as the tight encoding has them."""
        if not self.is_tight:
            return self.to_bytes(pixels)
        bytes_ = np.ascontiguousarray(pixels, dtype="<u4").view(np.uint8).reshape(-1, 4)
        return bytes_[:, 2::-1].tobytes()

    def colour_map(self) -> bytes:
        """SetColourMapEntries (section 7.6.2): what the numbers of colours mean."""
        numbers = np.arange(256)
        parts = [
            (numbers >> channel.shift & channel.max) * 0xFFFF // channel.max
            for channel in (self.red, self.green, self.blue)
        ]
        return struct.pack(">BxHH", 1, 0, 256) + np.stack(parts, axis=1).astype(">u2").tobytes()


NATIVE = PixelFormat(32, 24, False, True, Channel(255, RED), Channel(255, GREEN), Channel(255, BLUE))
"""A surface's."""
COLOUR_MAPPED = PixelFormat(8, 8, False, False, Channel(7, 0), Channel(7, 3), Channel(3, 6))
