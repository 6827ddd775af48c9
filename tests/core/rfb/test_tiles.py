"""Copies of surfaces, and the tiles that changed, against naive ones."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from southbridge.display import Rectangle, Surface
from southbridge.rfb.tiles import TILE, Copy

sides = st.integers(1, 100)
rectangles = st.builds(Rectangle, st.integers(0, 90), st.integers(0, 90), sides, sides)


@given(sides, sides, st.lists(st.tuples(rectangles, st.integers(0, 2)), max_size=6))
def test_the_copy_and_its_changes(width: int, height: int, drawn: list[tuple[Rectangle, int]]) -> None:
    copy, surface = Copy(width, height), Surface(width, height)
    for _ in range(2):
        said = []
        for rectangle, colour in drawn:
            inside = rectangle.within(width, height)
            surface.part(inside)[::3, ::5] = colour
            said.append(rectangle)
        before = copy.pixels.copy()
        tiles = copy.update(surface, said)
        assert (copy.pixels == surface.pixels).all()
        differ = {(y // TILE, x // TILE) for y, x in np.argwhere(before != surface.pixels).tolist()}
        assert {
            tuple(place) for place in np.argwhere(tiles if tiles is not None else copy.no_tiles()).tolist()
        } == differ
        assert (tiles is None) == (not differ)
        drawn = [(rectangle, colour + 1) for rectangle, colour in drawn[:1]]


def test_what_the_device_does_not_say_is_not_looked_at() -> None:
    copy, surface = Copy(64, 64), Surface(64, 64)
    surface.pixels[:] = 7
    tiles = copy.update(surface, [Rectangle(20, 20, 5, 5)])
    assert tiles is not None
    assert np.argwhere(tiles).tolist() == [[1, 1]]
    assert np.count_nonzero(copy.pixels) == TILE * TILE


@given(sides, sides, st.integers(0, 1 << 30), st.sampled_from([0.1, 0.5, 0.9]))
def test_rectangles_are_just_those_tiles(width: int, height: int, seed: int, share: float) -> None:
    copy = Copy(width, height)
    tiles = np.random.default_rng(seed).random(copy.no_tiles().shape) < share
    covered = np.zeros((height, width), dtype=int)
    for rectangle in copy.rectangles(tiles):
        assert rectangle == rectangle.within(width, height)
        assert rectangle.area
        covered[rectangle.y : rectangle.bottom, rectangle.x : rectangle.right] += 1
    wanted = tiles.repeat(TILE, axis=0).repeat(TILE, axis=1)[:height, :width]
    assert (covered == wanted).all()


def test_a_full_screen_is_one_rectangle() -> None:
    copy = Copy(1024, 768)
    assert copy.rectangles(~copy.no_tiles()) == [Rectangle(0, 0, 1024, 768)]


@given(sides, sides, rectangles)
def test_tiles_of_a_rectangle(width: int, height: int, rectangle: Rectangle) -> None:
    copy = Copy(width, height)
    tiles = copy.no_tiles()
    tiles[copy.tiles_of(rectangle)] = True
    touched = {
        (y // TILE, x // TILE)
        for y in range(rectangle.y, min(rectangle.bottom, height))
        for x in range(rectangle.x, min(rectangle.right, width))
    }
    assert {tuple(place) for place in np.argwhere(tiles).tolist()} == touched
