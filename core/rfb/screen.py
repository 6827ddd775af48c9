"""A console as its clients see it: a copy that is brought up to date when one of them asks for news, and not else.

The interval between looks grows while nothing changes; what a user types or points at makes it short again.
"""

from __future__ import annotations

import asyncio
import logging
import threading
from typing import NamedTuple, Protocol

from ..display.console import GraphicConsole, View
from ..display.surface import Cursor, Rectangle
from .tiles import Copy, TileMap

SHORTEST, STEP, LONGEST = 0.033, 0.05, 0.5
"""Seconds between two looks: at first, what is added when nothing changed for a while, at most."""
A_WHILE = 3
"""Looks in vain: what moves 10 times a second is seen each time that it does."""

log = logging.getLogger(__name__)


class PointerPicture(NamedTuple):
    """The guest's pointer as the hardware shows it: the picture, and where its left upper corner is."""

    cursor: Cursor
    x: int
    y: int

    @property
    def rectangle(self) -> Rectangle:
        """What it covers, also outside of the screen."""
        return Rectangle(self.x, self.y, self.cursor.width, self.cursor.height)


class Watcher(Protocol):
    """A client, as its screen sees it. It is told on the main loop's thread, without the machine's lock."""

    waits: bool
    """It wants to know what changes, and knows all that did so far."""

    def changed(self, tiles: TileMap) -> None:
        """These look different; not to be written to."""

    def resized(self) -> None:
        """There is another copy, of another size."""

    def pointer_changed(self) -> None:
        """Another picture, or place, of the pointer."""


class Screen:
    """One console's, or that of a machine without one, which stays black. All is called on the main loop's thread."""

    def __init__(self, lock: threading.RLock, console: GraphicConsole | None) -> None:
        self._lock = lock
        self.console = console
        self.copy = Copy(640, 480)
        self.pointer: PointerPicture | None = None
        self._view: View | None = None
        self._watchers: list[Watcher] = []
        self._timer: asyncio.TimerHandle | None = None
        self._interval = SHORTEST
        self._in_vain = 0
        self._looked = 0.0

    def add(self, watcher: Watcher) -> None:
        """Somebody begins to look; the copy is up to date."""
        self._watchers.append(watcher)
        if self._view is None and self.console is not None:
            with self._lock:
                self._view = self.console.view()
            self.look()

    def remove(self, watcher: Watcher) -> None:
        """Somebody looks no longer. The last one leaves nothing that costs anything."""
        if watcher in self._watchers:
            self._watchers.remove(watcher)
        if not self._watchers:
            self._cancel()
            if self._view is not None:
                with self._lock:
                    self._view.close()
                self._view = None
                self.copy = Copy(1, 1)
                self._interval = SHORTEST

    def look(self) -> None:
        """Brings the copy up to date."""
        if self._view is not None:
            try:
                self._look()
            except Exception as error:  # a device's code may raise anything
                log.error("%s can't be looked at", self.console, exc_info=error)

    def look_again(self) -> None:
        """Likewise, unless that is just done."""
        if asyncio.get_running_loop().time() >= self._looked + SHORTEST:
            self.look()

    def want(self) -> None:
        """A client waits for news."""
        if self._timer is None and self._view is not None:
            loop = asyncio.get_running_loop()
            self._timer = loop.call_at(max(self._looked + self._interval, loop.time()), self._expired)

    def soon(self) -> None:
        """Something was done that may change what there is to see."""
        if self._interval > SHORTEST:
            self._interval = SHORTEST
            if self._timer is not None:
                self._cancel()
                self.want()

    def _cancel(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _expired(self) -> None:
        self._timer = None
        self.look()
        if any(watcher.waits for watcher in self._watchers):
            self.want()

    def _look(self) -> None:
        assert self._view is not None and self.console is not None
        self._looked = asyncio.get_running_loop().time()
        self._in_vain += 1
        if self._in_vain > A_WHILE:
            self._interval = min(self._interval + STEP, LONGEST)
        with self._lock:
            damage = self._view.refresh()
            surface = self.console.surface
            resized = (surface.width, surface.height) != (self.copy.width, self.copy.height)
            if resized:
                self.copy = Copy(surface.width, surface.height)
            tiles = self.copy.update(surface, damage.rectangles)
            pointer = self._pointer(self.console)
        moved, self.pointer = pointer != self.pointer, pointer
        for watcher in self._watchers:
            if resized:
                watcher.resized()
            elif tiles is not None:
                watcher.changed(tiles)
            if moved:
                watcher.pointer_changed()
        if resized or moved or tiles is not None:
            self._interval = SHORTEST
            self._in_vain = 0

    def _pointer(self, console: GraphicConsole) -> PointerPicture | None:
        cursor = console.cursor
        if cursor is None or not console.cursor_visible:
            return None
        return PointerPicture(cursor, console.cursor_x - cursor.hot_x, console.cursor_y - cursor.hot_y)
