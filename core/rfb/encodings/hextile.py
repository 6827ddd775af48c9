"""Hextile: tiles of 16 by 16 pixels, as a background with runs of other colours on it (RFC 6143, section 7.7.4)."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from ...display.surface import Pixels
from ..pixels import PixelFormat, Words
from .encoder import Encoder
from .palette import colours

TILE = 16
RAW, BACKGROUND, FOREGROUND, SUBRECTANGLES, COLOURED = (1 << bit for bit in range(5))
MOST = 255
"""Subrectangles in a tile."""


class Hextile(Encoder):
    """Each tile says its own colours, so that none depends on the one before."""

    number = 5

    def encode(self, pixels: Pixels, pixel_format: PixelFormat) -> bytes:
        """See Encoder."""
        height, width = pixels.shape
        tiles: list[bytes] = []
        for y in range(0, height, TILE):
            row = pixels[y : y + TILE]
            words = pixel_format.convert(row)
            solid = _solid(row)
            for number, x in enumerate(range(0, width, TILE)):
                tile = words[:, x : x + TILE]
                if solid[number]:
                    tiles.append(b"\x02" + tile[0, :1].tobytes())
                else:
                    tiles.append(_tile(row[:, x : x + TILE], tile))
        return b"".join(tiles)


def _solid(row: Pixels) -> list[bool]:
    """Of each tile of a row of them, whether it has one colour only."""
    firsts = np.arange(row.shape[1]) // TILE * TILE
    same = (row == row[0, firsts]).all(axis=0)
    return [bool(every) for every in np.logical_and.reduceat(same, np.arange(0, row.shape[1], TILE))]


def _tile(pixels: Pixels, words: Words) -> bytes:
    """A tile of several colours: runs on a background, or raw where that is shorter."""
    palette = colours(pixels, 2)
    background = _background(pixels, palette)
    starts, lengths = _runs(pixels, background)
    size = words.dtype.itemsize
    each = 2 if palette is not None else 2 + size
    if len(starts[0]) > MOST or each * len(lengths) >= pixels.size * size:
        return bytes([RAW]) + words.tobytes()
    rows, columns = starts
    shape = np.empty((len(lengths), each), dtype=np.uint8)
    shape[:, -2] = columns << 4 | rows
    shape[:, -1] = lengths - 1 << 4
    plain: Words = words[pixels == background][:1]
    kind, foreground = BACKGROUND | SUBRECTANGLES, b""
    if palette is not None:
        kind, foreground = kind | FOREGROUND, words[rows[:1], columns[:1]].tobytes()
    else:
        kind |= COLOURED
        shape[:, :size] = words[rows, columns].view(np.uint8).reshape(-1, size)
    return bytes([kind]) + plain.tobytes() + foreground + bytes([len(lengths)]) + shape.tobytes()


def _background(pixels: Pixels, palette: Pixels | None) -> np.uint32:
    """The colour of most pixels, if there are two; of the first pixel, if there are more."""
    if palette is None:
        return np.uint32(pixels[0, 0])
    first = np.count_nonzero(pixels == palette[0])
    return np.uint32(palette[0 if 2 * first >= pixels.size else 1])


def _runs(
    pixels: Pixels, background: np.uint32
) -> tuple[tuple[npt.NDArray[np.intp], npt.NDArray[np.intp]], npt.NDArray[np.intp]]:
    """Where runs of one colour that isn't the background begin, by rows and columns, and how long they are."""
    height, width = pixels.shape
    change = np.ones((height, width + 1), dtype=bool)
    change[:, 1:width] = pixels[:, 1:] != pixels[:, :-1]
    rows, columns = np.nonzero(change)
    lengths = np.diff(columns, append=0)
    begins = columns < width
    rows, columns, lengths = rows[begins], columns[begins], lengths[begins]
    wanted = pixels[rows, columns] != background
    return (rows[wanted], columns[wanted]), lengths[wanted]
