"""The hardware cursor: a picture from the memory's end, of two colours, above what else is shown."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from southbridge.display.surface import RGB_MASK, Pixels

from .registers import CirrusRegisters

PICTURES = 16 << 10
"""Bytes at the memory's end that hold pictures."""
SMALL, LARGE = 32, 64


class Placed(NamedTuple):
    """What shows, and where."""

    x: int
    y: int
    size: int
    colors: tuple[int, int]
    picture: bytes


def placed(vga: CirrusRegisters, memory: npt.NDArray[np.uint8]) -> Placed | None:
    """The cursor, if it shows."""
    if not vga.SR12.SHOW:
        return None
    size = LARGE if vga.SR12.LARGE else SMALL
    number = vga.SR13.PICTURE & (~3 if vga.SR12.LARGE else ~0)
    start = len(memory) - PICTURES + 256 * number
    picture = memory[start : start + size * size // 4].tobytes()
    parts = vga.hidden_colors
    return Placed(vga.cursor_x, vga.cursor_y, size, (_color(parts, 0, vga), _color(parts, 15, vga)), picture)


def _color(parts: bytes, index: int, vga: CirrusRegisters) -> int:
    red, green, blue = (part << 2 | (part & 1) * 3 for part in parts[3 * index : 3 * index + 3])
    return red << 16 | green << 8 | blue


def draw_cursor(cursor: Placed, out: Pixels, lines: npt.NDArray[np.bool_]) -> None:
    """Draws it onto those lines of `out`. By a pixel's two bits: nothing, the inverse, the first, the second colour."""
    size = cursor.size
    bottom, right = min(cursor.y + size, out.shape[0]), min(cursor.x + size, out.shape[1])
    rows, columns = bottom - cursor.y, right - cursor.x
    if rows <= 0 or columns <= 0:
        return
    data = np.frombuffer(cursor.picture, np.uint8)
    planes = data.reshape(2, size, size // 8) if size == SMALL else data.reshape(size, 2, size // 8).transpose(1, 0, 2)
    first, second = np.unpackbits(planes, axis=2).view(np.bool_)[:, :rows, :columns]
    chosen = lines[cursor.y : bottom, None]
    there = out[cursor.y : bottom, cursor.x : right]
    there[chosen & first & ~second] ^= RGB_MASK
    there[chosen & ~first & second] = cursor.colors[0]
    there[chosen & first & second] = cursor.colors[1]
