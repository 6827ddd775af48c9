"""Consoles: what views are told."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from southbridge.display import Cursor, GraphicConsole, Rectangle, Surface
from southbridge.display.console import MOST_RECTANGLES, add_rectangle


class Card:
    """A graphics device that does what the test tells it."""

    def __init__(self) -> None:
        self.updates = 0
        self.pending: list[Rectangle] = []
        self.watched: list[bool] = []
        self.console = GraphicConsole("card", self.update, self.watched.append)

    def update(self) -> None:
        """Says what changed."""
        self.updates += 1
        for rectangle in self.pending:
            self.console.changed(rectangle)
        self.pending = []


@pytest.fixture
def card() -> Card:
    return Card()


def test_a_view_begins_with_everything(card: Card) -> None:
    view = card.console.view()
    damage = view.refresh()
    assert damage.resized and damage.cursor
    assert damage.rectangles == [card.console.surface.rectangle]
    assert not view.refresh()


def test_each_view_has_its_own_damage(card: Card) -> None:
    first, second = card.console.view(), card.console.view()
    first.refresh()
    second.refresh()
    card.pending = [Rectangle(1, 2, 3, 4)]
    assert first.refresh().rectangles == [Rectangle(1, 2, 3, 4)]
    assert first.refresh().rectangles == []
    assert second.refresh().rectangles == [Rectangle(1, 2, 3, 4)]
    assert card.updates == 5


def test_another_size_is_all_that_matters(card: Card) -> None:
    view = card.console.view()
    view.refresh()
    card.console.changed(Rectangle(0, 0, 5, 5))
    card.console.resize(800, 600)
    card.console.changed(Rectangle(0, 0, 5, 5))
    damage = view.refresh()
    assert damage.resized
    assert damage.rectangles == [Rectangle(0, 0, 800, 600)]
    card.console.resize(800, 600)
    assert not view.refresh()


def test_sizes_have_bounds(card: Card) -> None:
    card.console.resize(0, 1 << 20)
    assert (card.console.surface.width, card.console.surface.height) == (1, 8192)


def test_what_lies_outside_does_not_count(card: Card) -> None:
    view = card.console.view()
    view.refresh()
    card.console.changed(Rectangle(-5, 470, 10, 100))
    card.console.changed(Rectangle(640, 0, 10, 10))
    card.console.changed(Rectangle(-20, 0, 10, 10))
    assert view.refresh().rectangles == [Rectangle(0, 470, 5, 10)]


def test_the_cursor_is_told_of_once(card: Card) -> None:
    view = card.console.view()
    view.refresh()
    cursor = Cursor(1, 1, 0, 0, Surface(1, 1).pixels)
    card.console.define_cursor(cursor)
    card.console.move_cursor(3, 4, True)
    assert view.refresh() == (False, [], True)
    card.console.define_cursor(cursor)
    card.console.move_cursor(3, 4, True)
    assert not view.refresh()
    card.console.define_cursor(None)
    assert view.refresh().cursor


def test_the_device_knows_whether_anybody_looks(card: Card) -> None:
    first, second = card.console.view(), card.console.view()
    first.close()
    first.close()
    assert card.console.is_watched
    second.close()
    assert not card.console.is_watched
    assert card.watched == [True, False]
    card.console.changed(Rectangle(0, 0, 1, 1))
    card.console.resize(100, 100)
    assert card.console.view().refresh().rectangles == [Rectangle(0, 0, 100, 100)]


@given(
    st.lists(
        st.builds(Rectangle, st.integers(0, 90), st.integers(0, 90), st.integers(1, 10), st.integers(1, 10)),
        max_size=100,
    )
)
def test_few_rectangles_hold_all(changes: list[Rectangle]) -> None:
    kept: list[Rectangle] = []
    for change in changes:
        add_rectangle(kept, change)
        assert len(kept) <= MOST_RECTANGLES
    pixels = Surface(100, 100)
    for rectangle in kept:
        pixels.part(rectangle)[:] = 1
    assert all(pixels.part(change).all() for change in changes)


def test_rows_that_follow_each_other_are_one_rectangle() -> None:
    kept: list[Rectangle] = []
    for row in range(100):
        add_rectangle(kept, Rectangle(0, row, 640, 1))
    assert kept == [Rectangle(0, 0, 640, 100)]


def test_a_surface_has_pixels() -> None:
    with pytest.raises(ValueError, match="0 by 5"):
        Surface(0, 5)
