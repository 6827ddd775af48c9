"""Drawing text: characters with attributes become pixels. Only the cells that changed since the last time are drawn."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import numpy.typing as npt

from ..display.surface import Pixels, Rectangle

if TYPE_CHECKING:
    from .draw import Bytes
    from .modes import Mode
    from .registers import Vga

GLYPH_SIZE = 32
"""Bytes of a font for a character, however high it is."""
FONT_SIZE = 256 * GLYPH_SIZE
BRIGHT, BLINK = 0x08, 0x80
LINE_GRAPHICS = (0xC0, 0xDF)
COLORS, UNDERLINED = 0x77, 0x01
"""A monochrome adapter's attribute: bits that choose, and their value where it underlines."""


class TextCursor(NamedTuple):
    """The text cursor: an address (as of the CRT controller, without the start's) and the lines of the cell."""

    address: int
    first: int
    last: int

    @classmethod
    def of(cls, vga: Vga, height: int) -> TextCursor:
        """As the registers say; nowhere, if it is off. It doesn't blink here."""
        address = vga.CR0E.value << 8 | vga.CR0F.value
        first, last = vga.CR0A.LINE, min(vga.CR0B.LINE, height - 1)
        return cls(-1, 0, 0) if vga.CR0A.OFF or first > last else cls(address, first, last)


class TextScreen:
    """What is on a surface, as text."""

    def __init__(self) -> None:
        self._cells: npt.NDArray[np.uint16] | None = None
        self._fonts: Bytes = np.zeros(0, np.uint8)
        self._cursor = TextCursor(-1, 0, 0)
        self._cursor_cell = -1

    def forget(self) -> None:
        """Nothing of it is there any more."""
        self._cells = None

    def draw(self, mode: Mode, memory: Bytes, palette: Pixels, cursor: TextCursor, out: Pixels) -> list[Rectangle]:
        """Draws what changed. Gives where."""
        cells = _cells(mode, memory)
        fonts = _fonts(mode, memory)
        cursor_cell = self._place(mode, cursor)
        before = self._cells
        comparable = before is not None and before.shape == cells.shape and np.array_equal(fonts, self._fonts)
        changed = np.ones(cells.shape, np.bool_)
        if comparable:
            changed = cells != before
            if (cursor, cursor_cell) != (self._cursor, self._cursor_cell):
                for cell in (cursor_cell, self._cursor_cell):
                    if cell >= 0:
                        changed.flat[cell] = True
        self._cells, self._fonts, self._cursor, self._cursor_cell = cells, fonts, cursor, cursor_cell
        rectangles = []
        for row in np.flatnonzero(changed.any(axis=1)):
            places = np.flatnonzero(changed[row])
            first, last = int(places[0]), int(places[-1]) + 1
            rectangles.append(self._draw_row(mode, int(row), first, last, palette, out))
        return rectangles

    def _place(self, mode: Mode, cursor: TextCursor) -> int:
        """The number of the cell that has the cursor; -1: none."""
        if cursor.address < 0 or mode.pitch == 0:
            return -1
        row, rest = divmod(4 * cursor.address - mode.start, mode.pitch)
        column = rest // 4
        return row * mode.columns + column if 0 <= row < mode.rows and column < mode.columns else -1

    def _draw_row(self, mode: Mode, row: int, first: int, last: int, palette: Pixels, out: Pixels) -> Rectangle:
        """Draws cells `first` to before `last` of a row."""
        assert self._cells is not None
        cells = self._cells[row, first:last]
        codes, attributes = cells & 0xFF, cells >> 8
        width, height = mode.cell
        chosen = self._fonts[(attributes & BRIGHT != 0).astype(np.intp), codes][:, :height]
        lit = np.unpackbits(chosen[:, :, None], axis=2).view(np.bool_)
        if width == 9:
            ninth = lit[:, :, 7:8] & (_is_line_graphics(codes) & mode.flags[0])[:, None, None]
            lit = np.concatenate((lit, ninth), axis=2)
        elif width == 16:
            lit = np.repeat(lit, 2, axis=2)
        if 0 <= mode.underline < height:
            lit[attributes & COLORS == UNDERLINED, mode.underline] = True
        cursor = self._cursor_cell - row * mode.columns - first
        if 0 <= cursor < last - first:
            lit[cursor, self._cursor.first : self._cursor.last + 1] = True
        behind = attributes >> 4 & (7 if mode.flags[1] else 15)
        pixels = np.where(lit, palette[attributes & 15][:, None, None], palette[behind][:, None, None])
        count = last - first
        place = Rectangle(first * width, row * height, count * width, height)
        drawn = pixels.transpose(1, 0, 2).reshape(height, count * width)
        out[place.y : place.bottom, place.x : place.right] = drawn
        return place


def _is_line_graphics(codes: npt.NDArray[Any]) -> npt.NDArray[np.bool_]:
    return (codes >= LINE_GRAPHICS[0]) & (codes <= LINE_GRAPHICS[1])


def _cells(mode: Mode, memory: Bytes) -> npt.NDArray[np.uint16]:
    """Each cell's character, and above it the attribute: planes 0 and 1."""
    tops = np.arange(mode.rows) * mode.cell[1]
    below = np.flatnonzero(tops > mode.split)
    starts = mode.start + np.arange(mode.rows) * mode.pitch
    if len(below):
        starts[below] = np.arange(len(below)) * mode.pitch
    words = memory.view("<u4")
    found: npt.NDArray[Any] = words[(starts[:, None] // 4 + np.arange(mode.columns)) % len(words)]
    return found.astype(np.uint16)


def _fonts(mode: Mode, memory: Bytes) -> Bytes:
    """The two fonts: by character, and by line of it."""
    fonts = [memory[2::4][start : start + FONT_SIZE].reshape(256, GLYPH_SIZE) for start in mode.fonts]
    return np.array(fonts)
