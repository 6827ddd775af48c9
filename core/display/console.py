"""A console: what a graphics device shows, and the views by which displays look at it.

A device makes one while it is realized, and adds it to `machine.consoles`. It says what changed; who looks, asks, at
intervals of its own, what changed since it last asked. Nothing is converted, and nothing recorded, while nobody looks.
All of it is for whoever holds the machine's lock.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from .surface import Cursor, Rectangle, Surface

MOST_RECTANGLES = 32
"""That a view keeps; when there are more, some become one."""

SMALLEST_SIDE, LARGEST_SIDE = 1, 8192
"""Of a surface, in pixels."""


class Damage(NamedTuple):
    """What changed since a view last looked."""

    resized: bool
    """The surface is another one, of another size; the rectangles then cover it."""
    rectangles: list[Rectangle]
    """Parts of the surface that may look different. They may overlap."""
    cursor: bool
    """The pointer's picture, place, or whether it shows."""

    def __bool__(self) -> bool:
        return self.resized or self.cursor or bool(self.rectangles)


class View:
    """One consumer's look at a console; see GraphicConsole.view."""

    def __init__(self, console: GraphicConsole) -> None:
        self.console = console
        self._rectangles: list[Rectangle] = []
        self._resized = True
        self._cursor = True

    def refresh(self) -> Damage:
        """Has the device bring the surface up to date, and gives what changed since the last call; at first all."""
        self.console.update()
        rectangles = [self.console.surface.rectangle] if self._resized else self._rectangles
        damage = Damage(self._resized, rectangles, self._cursor)
        self._rectangles, self._resized, self._cursor = [], False, False
        return damage

    def close(self) -> None:
        """Looks no longer. May be called twice."""
        self.console._closed(self)

    def _changed(self, rectangle: Rectangle) -> None:
        if not self._resized:
            add_rectangle(self._rectangles, rectangle)

    def _was_resized(self) -> None:
        self._resized = True
        self._rectangles.clear()

    def _cursor_changed(self) -> None:
        self._cursor = True


class GraphicConsole:
    """What the graphics device named `name` shows.

    `update` is the device's: it brings the surface up to date, and calls `resize` and `changed` for what it did.
    `watched` is called with True before somebody begins to look where nobody did, and with False when the last one
    stopped: until somebody looks again, and then has it draw everything, it need not know what the guest draws.
    """

    def __init__(
        self,
        name: str,
        update: Callable[[], None],
        watched: Callable[[bool], None] = lambda watched: None,
    ) -> None:
        self.name = name
        self.update = update
        self._surface: Surface | None = None
        self.cursor: Cursor | None = None
        """What the guest had the hardware show as its pointer; None: it draws its own."""
        self.cursor_x = 0
        self.cursor_y = 0
        self.cursor_visible = False
        self._watched = watched
        self._views: list[View] = []

    def __repr__(self) -> str:
        return f"<GraphicConsole {self.name}>"

    @property
    def surface(self) -> Surface:
        """The picture."""
        if self._surface is None:
            self._surface = Surface(640, 480)
        return self._surface

    # --- for displays --------------------------------------------------------------------------------------------

    def view(self) -> View:
        """A look at the console. It costs the device something until it is closed."""
        if not self._views:
            self._watched(True)
        view = View(self)
        self._views.append(view)
        return view

    @property
    def is_watched(self) -> bool:
        """Whether anybody looks."""
        return bool(self._views)

    def _closed(self, view: View) -> None:
        if view in self._views:
            self._views.remove(view)
            if not self._views:
                self._watched(False)

    # --- for the device ------------------------------------------------------------------------------------------

    def resize(self, width: int, height: int) -> None:
        """The picture has that size from now on. The surface is a new, black one, unless that is its size already."""
        width, height = (min(max(side, SMALLEST_SIDE), LARGEST_SIDE) for side in (width, height))
        if (width, height) != (self.surface.width, self.surface.height):
            self._surface = Surface(width, height)
            for view in self._views:
                view._was_resized()

    def changed(self, rectangle: Rectangle) -> None:
        """That part of the surface looks different; what lies outside doesn't matter."""
        inside = rectangle.within(self.surface.width, self.surface.height)
        if inside.area:
            for view in self._views:
                view._changed(inside)

    def define_cursor(self, cursor: Cursor | None) -> None:
        """The pointer's picture; None: the guest has no such pointer."""
        if cursor is not self.cursor:
            self.cursor = cursor
            self._cursor_changed()

    def move_cursor(self, x: int, y: int, visible: bool) -> None:
        """Where the pointer's hot spot is, and whether it shows."""
        if (x, y, visible) != (self.cursor_x, self.cursor_y, self.cursor_visible):
            self.cursor_x, self.cursor_y, self.cursor_visible = x, y, visible
            self._cursor_changed()

    def _cursor_changed(self) -> None:
        for view in self._views:
            view._cursor_changed()


def add_rectangle(rectangles: list[Rectangle], new: Rectangle) -> None:
    """Adds to a list of at most MOST_RECTANGLES. Where nothing is lost by it, two become one."""
    for index, old in enumerate(rectangles):
        union = old.union(new)
        if union.area <= old.area + new.area:
            rectangles[index] = union
            return
    rectangles.append(new)
    if len(rectangles) > MOST_RECTANGLES:
        last = rectangles.pop()
        index = min(range(MOST_RECTANGLES), key=lambda i: rectangles[i].union(last).area - rectangles[i].area)
        rectangles[index] = rectangles[index].union(last)
