"""How fast the time-stamp counter goes, measured: the host's own, which Unicorn reads."""

from __future__ import annotations

import time
from collections.abc import Callable

_SECOND = 1_000_000_000
_SHORTEST = 1_000_000
"""Nanoseconds. What is measured sooner isn't worth much: reading both clocks takes one."""
_TRIES = 5


class Rate:
    """Compares two clocks from when it is made; the longer that was ago, the more exact it is."""

    def __init__(self, read: Callable[[], int], now: Callable[[], int] = time.monotonic_ns) -> None:
        """`read` gives the counter, `now` nanoseconds."""
        self._read, self._now = read, now
        self._since, self._count = self._look()
        self._best = 0
        self._hz = _SECOND

    def hz(self) -> int:
        """Ticks a second."""
        at, count = self._look()
        while at - self._since < _SHORTEST:
            at, count = self._look()
        if at - self._since >= 2 * self._best:
            self._best = at - self._since
            self._hz = round((count - self._count) * _SECOND / self._best)
        return self._hz

    def _look(self) -> tuple[int, int]:
        """Both clocks at the same moment: nobody got in between in the quickest of some tries."""
        looks = []
        for _ in range(_TRIES):
            before = self._now()
            count = self._read()
            after = self._now()
            looks.append((after - before, (before + after) // 2, count))
        _, at, count = min(looks)
        return at, count
