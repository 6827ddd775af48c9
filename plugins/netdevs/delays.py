"""Filters that take their time: what they have in common."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable

from southbridge.net import NetworkFilter


class TimedFilter(NetworkFilter):
    """One that does something later, on the main loop and with the machine lock, once it is started."""

    _loop: asyncio.AbstractEventLoop | None = None

    def open(self) -> None:
        """Connects itself."""
        super().open()
        self._handles: set[asyncio.Handle] = set()

    def start(self, loop: asyncio.AbstractEventLoop, lock: threading.RLock) -> None:
        """From now on it may do things later."""
        self._loop, self._lock = loop, lock

    def close(self) -> None:
        """What was to be done later isn't."""
        self._loop = None
        for handle in self._handles:
            handle.cancel()
        self._handles.clear()

    @property
    def started(self) -> bool:
        """Whether `later` does anything."""
        return self._loop is not None

    def later(self, seconds: float, call: Callable[[], None]) -> None:
        """Calls it after so long. On any thread."""

        def arrange() -> None:
            if self._loop is not None:
                handle = self._loop.call_later(seconds, run)
                self._handles.add(handle)
                mine.append(handle)

        def run() -> None:
            self._handles.discard(mine[0])
            with self._lock:
                if self._loop is not None:
                    call()

        mine: list[asyncio.Handle] = []
        if self._loop is not None:
            self._loop.call_soon_threadsafe(arrange)
