"""Keeps a console's surface like a card's memory, converting only what changed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from ..display import Rectangle
from ..display.surface import Pixels
from ..memory.ram import PAGE_SHIFT
from ..memory.stores import StoreLog
from .draw import Addresses, Bytes, draw, draw_rows, regular_rows
from .modes import Kind, Mode
from .text import TextCursor, TextScreen

if TYPE_CHECKING:
    from .registers import Vga
    from .screen import Screen

Lines = npt.NDArray[np.bool_]


class Picture:
    """What `screen`'s card shows, drawn on its console."""

    def __init__(self, screen: Screen) -> None:
        vram = screen.vram
        self.console = screen.console
        self._screen = screen
        self._vga = screen.vga
        self._vram = vram
        self._memory: Bytes = np.frombuffer(vram.block.view, np.uint8)[vram.offset : vram.offset + vram.size]
        self._find_mode = screen.find_mode
        self._log: StoreLog | None = None
        self._mode = Mode(Kind.BLANK, 640, 480)
        self._palette: Pixels = np.zeros(256, np.uint32)
        self._cursor = TextCursor(-1, 0, 0)
        self._text = TextScreen()
        self._addresses: Addresses = np.zeros(1, np.int64)
        self._rows: Bytes | None = None
        """The picture's memory, if its rows are equally far apart."""
        self._first_pages: Addresses = self._addresses
        self._end_pages: Addresses = self._addresses
        self._span = slice(0, 1)
        """The pages of which something shows; beyond the memory's end, if lines wrap there."""
        self._registers_changed = True
        self._all = True
        self._stale: Lines = np.zeros(480, np.bool_)
        """Lines to be drawn anew, whether their memory changed or not."""
        self._has_stale = False

    def touch(self) -> None:
        """The registers changed: the mode or the palette may be others."""
        self._registers_changed = True

    def redraw(self) -> None:
        """Nothing that is on the surface counts any more."""
        self._all = self._registers_changed = True

    def redraw_lines(self, first: int, end: int) -> None:
        """What lies above lines `first` to before `end` changed."""
        self._stale[max(first, 0) : max(end, 0)] = True
        self._has_stale = True

    def watched(self, watched: bool) -> None:
        """Somebody looks, or nobody does any more."""
        if self._log is not None:
            self._log.close()
            self._log = None
        if watched:
            self._log = StoreLog(self._screen.device.machine, self._vram)
            self.redraw()

    # --- bringing the surface up to date -----------------------------------------------------------------------------

    def update(self) -> None:
        """Makes the surface what the card shows now."""
        if self._log is None:
            return
        pages = self._log.take()
        if self._registers_changed:
            self._registers_changed = False
            self._follow_registers()
        if self._screen.prepare is not None:
            self._screen.prepare()
        if self._mode.kind is Kind.TEXT:
            self._draw_text(pages)
        elif self._mode.kind is Kind.BLANK:
            self._draw_blank()
        else:
            self._draw_graphics(pages)
        self._all = False

    def _follow_registers(self) -> None:
        mode = self._find_mode()
        palette = palette_of(self._vga, mode.kind)
        if mode.kind is Kind.TEXT:
            cursor = TextCursor.of(self._vga, mode.cell[1])
            if cursor != self._cursor:
                self._cursor = cursor
                self._has_stale = True
        if mode != self._mode:
            self._enter(mode)
        elif not np.array_equal(palette, self._palette):
            self._all = True
        self._palette = palette

    def _enter(self, mode: Mode) -> None:
        self._all = True
        self._mode = mode
        if mode.kind is not Kind.BLANK:
            self.console.resize(mode.width, mode.height)
        self._stale = np.zeros(self.console.surface.height, np.bool_)
        if mode.kind not in (Kind.TEXT, Kind.BLANK):
            self._addresses = mode.lines()[: self.console.surface.height] % len(self._memory)
            size = mode.stored_bytes
            self._rows = regular_rows(self._memory, self._addresses, size)
            self._first_pages = self._addresses >> PAGE_SHIFT
            self._end_pages = (self._addresses + size - 1 >> PAGE_SHIFT) + 1
            self._span = slice(int(self._first_pages.min()), int(self._end_pages.max()))

    def _draw_blank(self) -> None:
        if self._all:
            self.console.surface.pixels[:] = 0
            self.console.changed(self.console.surface.rectangle)

    def _draw_text(self, pages: Lines) -> None:
        if self._all:
            self._text.forget()
        elif not self._has_stale and not pages.any():
            return
        self._has_stale = False
        pixels = self.console.surface.pixels
        for place in self._text.draw(self._mode, self._memory, self._palette, self._cursor, pixels):
            self.console.changed(place)

    def _draw_graphics(self, pages: Lines) -> None:
        if self._all:
            lines = np.ones(len(self._addresses), np.bool_)
        elif pages.any():
            lines = self._lines_of(pages)
            lines |= self._stale
        elif self._has_stale:
            lines = self._stale.copy()
        else:
            return
        if self._has_stale or self._all:
            self._has_stale = False
            self._stale[:] = False
        surface = self.console.surface
        runs = _runs(lines)
        for first, end in runs:
            out = surface.pixels[first:end]
            if self._rows is None:
                draw(self._mode, self._memory, self._addresses[first:end], self._palette, out)
            else:
                draw_rows(self._mode, self._rows[first:end], self._palette, out)
        if self._screen.overlay is not None:
            self._screen.overlay(lines)
        for first, end in runs:
            self.console.changed(Rectangle(0, first, surface.width, end - first))

    def _lines_of(self, pages: Lines) -> Lines:
        """The lines of which something is on one of the pages."""
        count = len(pages)
        first, end, start = self._first_pages, self._end_pages, self._span.start
        shown = pages[self._span]
        before = np.zeros(len(shown) + 1, np.int32)
        np.cumsum(shown, out=before[1:])
        found: Lines
        if self._span.stop <= count:
            found = before[end - start] != before[first - start]
            return found
        # Lines that wrap around at the memory's end.
        found = before[np.minimum(end, count) - start] != before[first - start]
        over = np.where(end > count, np.minimum(end - count, count), 0)
        whole = np.zeros(count + 1, np.int32)
        np.cumsum(pages, out=whole[1:])
        found |= whole[over] != 0
        return found


def _runs(lines: Lines) -> list[tuple[int, int]]:
    """Where neighbouring lines that are True begin and end."""
    bounds = ((lines[1:] != lines[:-1]).nonzero()[0] + 1).tolist()
    if lines[0]:
        bounds.insert(0, 0)
    if lines[-1]:
        bounds.append(len(lines))
    return list(zip(bounds[0::2], bounds[1::2], strict=True))


def palette_of(vga: Vga, kind: Kind) -> Pixels:
    """The colours of pixels: of 256 for BYTES and PALETTE, else of 16, by way of the attribute controller."""
    parts: npt.NDArray[Any] = np.frombuffer(vga.dac, np.uint8).reshape(256, 3).astype(np.uint32)
    if vga.dac_bits == 6:
        parts = parts << 2 | (parts & 1) * 3
    colors: npt.NDArray[Any] = parts[:, 0] << 16 | parts[:, 1] << 8 | parts[:, 2]
    return colors[_indices(vga, kind)].astype(np.uint32)


def _indices(vga: Vga, kind: Kind) -> list[int]:
    """Which colours of the DAC those are."""
    if kind in (Kind.BYTES, Kind.PALETTE):
        return [pixel & vga.PEL_MASK.value for pixel in range(256)]
    chosen = []
    enabled = 15 if kind is Kind.TEXT else vga.AR12.PLANES
    palette = vga.attribute_palette()
    for pixel in range(16):
        color = palette[pixel & enabled]
        low, high = (4, vga.AR14.value) if vga.AR10.COLORS else (6, vga.AR14.BITS_7_6)
        color = (high << low | color & (1 << low) - 1) & 0xFF
        chosen.append(color & vga.PEL_MASK.value)
    return chosen
