"""ZRLE: tiles of 64 by 64 pixels, as runs or as numbers of colours where that is shorter, compressed (RFC 6143, 7.7.6).

Runs end at the end of a row, so that each has a length of one byte; zlib makes little of what that costs.
"""

from __future__ import annotations

import struct

import numpy as np
import numpy.typing as npt

from ...display.surface import Pixels
from ..pixels import PixelFormat
from .encoder import Encoder, Level, Stream
from .palette import colours, numbers, packed

TILE = 64
MOST_PACKED, MOST_COLOURS = 16, 127
"""Colours in a palette: of pixels, of runs."""
RAW, SOLID, RUNS = 0, 1, 128
"""Kinds of tiles. Packed pixels are the number of colours; runs of numbers that and 128."""
LONGER = 0x80
"""A run of more than one pixel, beside its colour's number."""

FEW = 256
"""A tile with no more runs is sent as these, without a look for what is shorter: it is about 1 KiB at most."""

Numbers = npt.NDArray[np.intp]
Begins = npt.NDArray[np.bool_]
"""Whether a run begins at a pixel."""
Place = tuple[slice, slice]
"""Of a tile: rows, columns."""


class Zrle(Encoder):
    """One stream for all rectangles."""

    number = 16
    quick = 1 << 17

    def __init__(self, level: Level) -> None:
        super().__init__(level)
        self._stream = Stream(level)

    def encode(self, pixels: Pixels, pixel_format: PixelFormat) -> bytes:
        """See Encoder."""
        height, width = pixels.shape
        begins = np.empty((height, width), dtype=bool)
        np.not_equal(pixels[:, 1:], pixels[:, :-1], out=begins[:, 1:])
        begins[:, ::TILE] = True
        places = _places(height, width)
        if np.count_nonzero(begins) <= FEW * len(places):
            tiles = _smooth(pixels, begins, places, pixel_format)
        else:
            tiles = [_tile(pixels[place], begins[place], pixel_format) for place in places]
        data = self._stream.compress(b"".join(tiles))
        return struct.pack(">I", len(data)) + data


def _places(height: int, width: int) -> list[Place]:
    """Where the tiles are."""
    across = [slice(x, x + TILE) for x in range(0, width, TILE)]
    return [(slice(y, y + TILE), columns) for y in range(0, height, TILE) for columns in across]


def _smooth(pixels: Pixels, begins: Begins, places: list[Place], pixel_format: PixelFormat) -> list[bytes]:
    """All tiles of a rectangle that has few runs: most of them are made at once."""
    width = pixels.shape[1]
    begin = begins.ravel().nonzero()[0]
    rows, columns = np.divmod(begin, width)
    tiles = (rows // TILE * -(-width // TILE) + columns // TILE).astype(np.uint16)
    order = tiles.argsort(kind="stable")
    values = pixels[rows, columns][order]
    counts = np.bincount(tiles)
    ends = counts.cumsum()
    starts = ends - counts
    solid = np.minimum.reduceat(values, starts) == np.maximum.reduceat(values, starts)
    size = pixel_format.compact_size
    runs = _plain_runs(values, np.diff(begin, append=pixels.size)[order], pixel_format)
    made = []
    each = zip(places, solid.tolist(), starts.tolist(), ends.tolist(), strict=True)
    for place, is_solid, start, end in each:
        at = (size + 1) * start
        if is_solid:
            made.append(b"\x01" + runs[at : at + size])
        elif end - start <= FEW:
            made.append(b"\x80" + runs[at : (size + 1) * end])
        else:
            made.append(_tile(pixels[place], begins[place], pixel_format))
    return made


def _tile(pixels: Pixels, begins: Begins, pixel_format: PixelFormat) -> bytes:
    size = pixel_format.compact_size
    count = np.count_nonzero(begins)
    if 2 * count > pixels.size:
        return _pixels(pixels, pixel_format)
    runs = pixels[begins]
    palette = colours(runs, MOST_COLOURS)
    if palette is None:
        if count * (size + 1) < pixels.size * size:
            return bytes([RUNS]) + _plain_runs(runs, _lengths(begins), pixel_format)
        return bytes([RAW]) + pixel_format.compact(pixels)
    if len(palette) == 1 or (len(palette) <= MOST_PACKED and 2 * count > pixels.size * _bits(palette) // 8):
        return _packed(pixels, palette, pixel_format)
    return _numbered_runs(numbers(runs, palette), _lengths(begins), palette, pixel_format)


def _lengths(begins: Begins) -> Numbers:
    return np.diff(np.flatnonzero(begins), append=begins.size)


def _pixels(pixels: Pixels, pixel_format: PixelFormat) -> bytes:
    palette = colours(pixels, MOST_PACKED)
    if palette is None:
        return bytes([RAW]) + pixel_format.compact(pixels)
    return _packed(pixels, palette, pixel_format)


def _bits(palette: Pixels) -> int:
    """Of a packed pixel."""
    return 1 if len(palette) == 2 else 2 if len(palette) <= 4 else 4


def _packed(pixels: Pixels, palette: Pixels, pixel_format: PixelFormat) -> bytes:
    start = bytes([len(palette)]) + pixel_format.compact(palette)
    if len(palette) == SOLID:
        return start
    return start + packed(numbers(pixels, palette), _bits(palette))


def _plain_runs(runs: Pixels, lengths: Numbers, pixel_format: PixelFormat) -> bytes:
    size = pixel_format.compact_size
    joined = np.empty((len(runs), size + 1), dtype=np.uint8)
    joined[:, :size] = np.frombuffer(pixel_format.compact(runs), dtype=np.uint8).reshape(-1, size)
    joined[:, size] = lengths - 1
    return joined.tobytes()


def _numbered_runs(
    indices: npt.NDArray[np.uint8], lengths: Numbers, palette: Pixels, pixel_format: PixelFormat
) -> bytes:
    longer = lengths > 1
    joined = np.empty((len(indices), 2), dtype=np.uint8)
    joined[:, 0] = np.where(longer, indices | LONGER, indices)
    joined[:, 1] = lengths - 1
    there = np.ones((len(indices), 2), dtype=bool)
    there[:, 1] = longer
    return bytes([RUNS + len(palette)]) + pixel_format.compact(palette) + joined[there].tobytes()
