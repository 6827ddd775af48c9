"""What encoders have in common: pieces of work that are bounded, and zlib's streams."""

from __future__ import annotations

import zlib
from abc import ABC, abstractmethod
from collections.abc import Iterator
from typing import ClassVar

from ...display.surface import Pixels, Rectangle
from ..pixels import PixelFormat

FASTEST, SMALLEST = 1, 9
"""Levels of compression."""


class Level:
    """How much work compression is to be: what the client asked for last."""

    def __init__(self, value: int = FASTEST) -> None:
        self.value = value


class Encoder(ABC):
    """One client's encoder of one encoding."""

    number: ClassVar[int]
    """The encoding's, in SetEncodings and in rectangles."""
    widest: ClassVar[int] = 0xFFFF
    """Rectangle that it takes, in pixels."""

    quick: ClassVar[int] = 1 << 14
    """So many pixels are encoded on the main loop's thread, at most; more of them on another one."""

    def __init__(self, level: Level) -> None:
        self.level = level

    @abstractmethod
    def encode(self, pixels: Pixels, pixel_format: PixelFormat) -> bytes:
        """What follows the rectangle's header."""


class Stream:
    """A stream of zlib's that ends when the client leaves; what it holds of the past is bounded (32 KiB)."""

    def __init__(self, level: Level) -> None:
        self._level = level
        self._used = level.value
        self._stream = zlib.compressobj(self._used)

    @property
    def stale(self) -> bool:
        """The client asked for another level since it began."""
        return self._used != self._level.value

    def compress(self, data: bytes) -> bytes:
        """`data`, all of which the client can tell from what is sent by now."""
        return self._stream.compress(data) + self._stream.flush(zlib.Z_SYNC_FLUSH)


def pieces(rectangle: Rectangle, width: int, area: int) -> Iterator[Rectangle]:
    """`rectangle` in parts that are at most `width` wide and have at most `area` pixels, unless one row has more."""
    for x in range(rectangle.x, rectangle.right, width):
        across = min(width, rectangle.right - x)
        rows = max(area // across, 1)
        for y in range(rectangle.y, rectangle.bottom, rows):
            yield Rectangle(x, y, across, min(rows, rectangle.bottom - y))
