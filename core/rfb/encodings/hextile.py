"""Hextile: tiles of 16 by 16 pixels, as a background with runs of other colours on it (RFC 6143, section 7.7.4).

Each tile says its own colours, so that none depends on the one before, and all whole tiles are made at once. Those at
the right and lower edge that aren't whole are sent as they are.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from ...display.surface import Pixels
from ..pixels import PixelFormat, Words
from .encoder import Encoder

TILE = 16
AREA = TILE * TILE
RAW, BACKGROUND, FOREGROUND, SUBRECTANGLES, COLOURED = (1 << bit for bit in range(5))
MOST = 255
"""Subrectangles in a tile."""

Tiles = npt.NDArray[np.uint32]
"""Their pixels: by tile, row and column."""
Flags = npt.NDArray[np.bool_]
"""One for each tile."""


class _Colours(NamedTuple):
    """Of each tile."""

    background: Pixels
    foreground: Pixels
    """The other one, if there are two."""
    solid: Flags
    two: Flags


class Hextile(Encoder):
    """Nothing goes on from one rectangle to the next."""

    number = 5

    def encode(self, pixels: Pixels, pixel_format: PixelFormat) -> bytes:
        """See Encoder."""
        height, width = pixels.shape
        if height % TILE == 0 and width % TILE == 0:
            return b"".join(_tiles(pixels, pixel_format))
        parts: list[bytes] = []
        for y in range(0, height, TILE):
            row = pixels[y : y + TILE]
            whole = width // TILE * TILE if len(row) == TILE else 0
            if whole:
                parts.extend(_tiles(row[:, :whole], pixel_format))
            parts.extend(_edge(row[:, x : x + TILE], pixel_format) for x in range(whole, width, TILE))
        return b"".join(parts)


def _edge(pixels: Pixels, pixel_format: PixelFormat) -> bytes:
    """A tile that isn't whole."""
    if (pixels == pixels[0, 0]).all():
        return bytes([BACKGROUND]) + pixel_format.to_bytes(pixels[0, :1])
    return bytes([RAW]) + pixel_format.to_bytes(pixels)


def _tiles(pixels: Pixels, pixel_format: PixelFormat) -> Iterator[bytes]:
    """All tiles of what has whole ones only."""
    height, width = pixels.shape
    tiles: Tiles = pixels.reshape(height // TILE, TILE, width // TILE, TILE).swapaxes(1, 2).reshape(-1, TILE, TILE)
    colours = _colours(tiles.reshape(-1, AREA))
    size = pixel_format.size
    by_runs = ~colours.solid & _worthwhile(tiles, colours, size)
    counts, shapes, places = _runs(tiles, colours.background, by_runs)
    by_runs &= counts <= MOST
    raw = memoryview(pixel_format.to_bytes(tiles))
    background = memoryview(pixel_format.to_bytes(colours.background))
    foreground = memoryview(pixel_format.to_bytes(colours.foreground))
    plain = memoryview(shapes.tobytes())
    coloured = memoryview(_with_colours(shapes, pixel_format.convert(places)))
    ends = np.cumsum(counts).tolist()
    rows = zip(counts.tolist(), ends, colours.solid.tolist(), by_runs.tolist(), colours.two.tolist(), strict=True)
    for number, (count, end, solid, runs, two) in enumerate(rows):
        colour = background[number * size : (number + 1) * size]
        if solid:
            yield b"\x02" + colour
        elif not runs:
            yield b"\x01" + raw[number * AREA * size : (number + 1) * AREA * size]
        elif two:
            other = foreground[number * size : (number + 1) * size]
            yield b"\x0e" + colour + other + bytes([count]) + plain[2 * (end - count) : 2 * end]
        else:
            yield b"\x1a" + colour + bytes([count]) + coloured[(2 + size) * (end - count) : (2 + size) * end]


def _colours(flat: Pixels) -> _Colours:
    first = flat[:, 0]
    differs = flat != first[:, None]
    count = np.count_nonzero(differs, axis=1)
    second = flat[np.arange(len(flat)), differs.argmax(axis=1)]
    two = (count > 0) & ~(differs & (flat != second[:, None])).any(axis=1)
    swapped = two & (2 * count > AREA)
    return _Colours(np.where(swapped, second, first), np.where(swapped, first, second), count == 0, two)


def _worthwhile(tiles: Tiles, colours: _Colours, size: int) -> Flags:
    """Whether there are so few runs that they are shorter than the pixels, even if none is of the background."""
    changes = np.count_nonzero(tiles[:, :, 1:] != tiles[:, :, :-1], axis=(1, 2))
    each = np.where(colours.two, 2, 2 + size)
    found: Flags = (changes + TILE) * each < AREA * size
    return found


def _runs(
    tiles: Tiles, background: Pixels, wanted: Flags
) -> tuple[npt.NDArray[np.intp], npt.NDArray[np.uint8], Pixels]:
    """Runs of one colour that isn't the background: of each tile how many, of each run its shape and its colour."""
    change = np.zeros((len(tiles), TILE, TILE + 1), dtype=bool)
    change[wanted, :, 0] = change[wanted, :, TILE] = True
    np.not_equal(tiles[:, :, 1:], tiles[:, :, :-1], out=change[:, :, 1:TILE], where=wanted[:, None, None])
    numbers, rows, columns = np.nonzero(change)
    lengths = np.diff(columns, append=0)
    begins = columns < TILE  # what begins there is the end of the row
    begins[begins] = tiles[numbers[begins], rows[begins], columns[begins]] != background[numbers[begins]]
    numbers, rows, columns, lengths = (values[begins] for values in (numbers, rows, columns, lengths))
    shapes = np.stack([columns << 4 | rows, lengths - 1 << 4], axis=1).astype(np.uint8)
    return np.bincount(numbers, minlength=len(tiles)), shapes, tiles[numbers, rows, columns]


def _with_colours(shapes: npt.NDArray[np.uint8], words: Words) -> bytes:
    size = words.dtype.itemsize
    joined = np.empty((len(shapes), size + 2), dtype=np.uint8)
    joined[:, :size] = np.ascontiguousarray(words).view(np.uint8).reshape(-1, size)
    joined[:, size:] = shapes
    return joined.tobytes()
