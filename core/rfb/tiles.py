"""What clients have seen of a console: a copy of its surface, and which tiles changed since each client was sent them.

A device says which parts may look different; the copy tells which do. A client's tiles are read from the copy, without
the machine's lock. All sizes follow from the copy's (CVE-2015-5225): a surface of another size is another copy.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
import numpy.typing as npt

from ..display.surface import Pixels, Rectangle, Surface

TILE = 16
"""A tile's sides, in pixels."""

TileMap = npt.NDArray[np.bool_]
"""Rows of tiles."""


class Copy:
    """A copy of a surface, at first all black."""

    def __init__(self, width: int, height: int) -> None:
        self.width = width
        self.height = height
        self.rows, self.columns = -(-height // TILE), -(-width // TILE)
        self.pixels: Pixels = np.zeros((height, width), dtype=np.uint32)
        lanes = 1 if width % 2 else 2
        self._unit = np.dtype(f"u{4 * lanes}")
        """What is compared at once: two pixels, where rows have whole ones."""
        self._differs = np.zeros((self.rows * TILE, self.columns * TILE // lanes), dtype=bool)
        self._words = self._differs.view(np.uint64).reshape(self.rows, TILE, self.columns, 2 // lanes)
        """The same by tile: eight truth values are one number. Beyond the surface's edges nothing differs."""

    def no_tiles(self) -> TileMap:
        """A map with none of its tiles."""
        return np.zeros((self.rows, self.columns), dtype=bool)

    def update(self, surface: Surface, rectangles: Iterable[Rectangle]) -> TileMap | None:
        """Copies the tiles that `rectangles` of `surface`, which has the same size, touch. Gives those that differ, or
        None.
        """
        changed: TileMap | None = None
        for rectangle in rectangles:
            place = self.tiles_of(rectangle)
            if place[0].stop and (found := self._update(surface, *place)) is not None:
                changed = self.no_tiles() if changed is None else changed
                changed[place] |= found
        return changed

    def _update(self, surface: Surface, rows: slice, columns: slice) -> TileMap | None:
        """Which of those tiles differ."""
        new, old = self._part(surface.pixels, rows, columns), self._part(self.pixels, rows, columns)
        old_units, new_units = old.view(self._unit), new.view(self._unit)
        height, width = new_units.shape
        differs = self._part(self._differs, rows, columns, self._unit.itemsize // 4)[:height, :width]
        np.not_equal(new_units, old_units, out=differs)
        tiles: TileMap = np.bitwise_or.reduce(self._words[rows, :, columns], axis=(1, 3)) != 0
        if not tiles.any():
            return None
        down, across = tiles.nonzero()
        rows, columns = slice(down[0], down[-1] + 1), slice(across.min(), across.max() + 1)
        np.copyto(self._part(old, rows, columns), self._part(new, rows, columns))
        return tiles

    @staticmethod
    def _part(array: npt.NDArray[Any], rows: slice, columns: slice, lanes: int = 1) -> npt.NDArray[Any]:
        """Those tiles of an array of pixels, or of `lanes` pixels each."""
        side = TILE // lanes
        return array[rows.start * TILE : rows.stop * TILE, columns.start * side : columns.stop * side]

    def tiles_of(self, rectangle: Rectangle) -> tuple[slice, slice]:
        """The tiles that a rectangle touches, as an index of a map."""
        inside = rectangle.within(self.width, self.height)
        if not inside.area:
            return slice(0), slice(0)
        return (
            slice(inside.y // TILE, -(-inside.bottom // TILE)),
            slice(inside.x // TILE, -(-inside.right // TILE)),
        )

    def rectangles(self, tiles: TileMap) -> list[Rectangle]:
        """Rectangles that are just those tiles; each has tiles of as many rows as look the same in its columns."""
        found: list[Rectangle] = []
        open_: dict[tuple[int, int], int] = {}
        data, empty = tiles.tobytes(), bytes(self.columns)
        before, runs = empty, list[tuple[int, int]]()
        first = data.find(1) // self.columns
        for number in range(max(first, 0), data.rfind(1) // self.columns + 2):
            row = data[number * self.columns : (number + 1) * self.columns] or empty
            if row == before:
                continue
            before, runs = row, _runs(row)
            for run in [run for run in open_ if run not in runs]:
                found.append(self._rectangle(run, open_.pop(run), number))
            for run in runs:
                open_.setdefault(run, number)
        return found

    def _rectangle(self, run: tuple[int, int], top: int, bottom: int) -> Rectangle:
        x, y = run[0] * TILE, top * TILE
        return Rectangle(x, y, min(run[1] * TILE, self.width) - x, min(bottom * TILE, self.height) - y)


def _runs(row: bytes) -> list[tuple[int, int]]:
    """The columns at which neighbouring tiles begin and end."""
    found = []
    start = row.find(1)
    while start >= 0:
        end = row.find(0, start)
        if end < 0:
            end = len(row)
        found.append((start, end))
        start = row.find(1, end)
    return found
