"""Tail doorbells, whose value counts (`Io.tail_doorbells`), without an exit for each: for accelerators that can put
writes by until somebody looks.

Such a doorbell is an ordinary register until the guest writes to it again and again. Then it is coalesced for a while:
the accelerator puts the writes by, and a thread looks for them every so often. Once nothing was written for some time
the next write is an exit again, and the thread sleeps.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Iterator

from .memory.regions import Io, Section

RAPID_NS = 40_000
"""Writes that are no further apart follow each other rapidly."""
MANY = 8
"""After so many rapid ones in a row, each of which moves the tail little, a doorbell is coalesced."""
LOOK = 50e-6
"""Seconds between two looks."""
LOOK_SELDOM = 1e-3
"""The same, while the guest's own exits deliver what was put by: a look takes the interpreter's lock from them. Who
moves a tail so far that it exits, and then waits, still moves it so far in each of these times.
"""
QUIET = 20
"""Looks that found nothing after which it is over."""

Zone = tuple[bool, int, int]
"""Ports or memory, address, size."""


def tail_zones(sections: Iterable[Section]) -> Iterator[Zone]:
    """The tail doorbells that show in these sections of guest memory."""
    for section in sections:
        region = section.region
        if isinstance(region, Io):
            for offset, width in region.tail_doorbells():
                if (address := section.address_of(offset, width)) is not None:
                    yield False, address, width


class TailDoorbells:
    """Those of one machine. With the machine's lock held."""

    def __init__(
        self,
        lock: threading.RLock,
        coalesce: Callable[[Zone, bool], bool],
        flush: Callable[[], bool],
        far: int,
        delivered: Callable[[], bool] = lambda: False,
    ) -> None:
        """`coalesce` begins, or ends, to put writes by, and says whether it can; `flush` delivers them, and says
        whether there were any. A write that moves a tail as far as `far` is worth an exit. `delivered` says whether
        some were delivered otherwise since it was last asked.
        """
        self._lock = lock
        self._coalesce = coalesce
        self._flush = flush
        self._delivered = delivered
        self._far = far
        self._zones: dict[int, Zone] = {}
        self._last: dict[int, tuple[int, int]] = {}
        """What was written there last, and when."""
        self._rapid: dict[int, int] = {}
        self._coalesced: set[Zone] = set()
        self._begun: threading.Semaphore | None = None
        self._closed = False

    @property
    def addresses(self) -> dict[int, Zone]:
        """By the addresses at which they are: a write there that left the guest is to be told to `rung`."""
        return self._zones

    def follow(self, zones: list[Zone]) -> None:
        """The tail doorbells are these now."""
        if set(zones) == set(self._zones.values()):
            return
        self._end()
        self._zones.clear()
        self._zones.update((address, (ports, address, size)) for ports, address, size in zones)
        self._last = dict.fromkeys(self._zones, (0, 0))
        self._rapid = dict.fromkeys(self._zones, 0)

    def close(self) -> None:
        """Ends the thread."""
        self._end()
        self._closed = True
        if self._begun is not None:
            self._begun.release()

    def rung(self, address: int, value: int) -> None:
        """A write there left the guest."""
        now = time.monotonic_ns()
        before, at = self._last[address]
        rapid = now - at < RAPID_NS and value - before < self._far
        self._rapid[address] = self._rapid[address] + 1 if rapid else 0
        self._last[address] = value, now
        if self._rapid[address] >= MANY:
            self._rapid[address] = 0
            self._begin(self._zones[address])

    def _begin(self, zone: Zone) -> None:
        if zone in self._coalesced or not self._coalesce(zone, True):
            return
        self._coalesced.add(zone)
        if len(self._coalesced) == 1:
            self._wake()

    def _end(self) -> None:
        ended, self._coalesced = self._coalesced, set()
        for zone in ended:
            self._coalesce(zone, False)
        self._flush()

    def _wake(self) -> None:
        if self._begun is None:
            self._begun = threading.Semaphore(0)
            threading.Thread(target=self._watch, args=(self._begun,), name="tail doorbells", daemon=True).start()
        self._begun.release()

    def _watch(self, begun: threading.Semaphore) -> None:
        while True:
            begun.acquire()
            quiet, pause = 0, LOOK
            while quiet < QUIET:
                time.sleep(pause)
                with self._lock:
                    if self._closed:
                        return
                    if self._delivered():
                        quiet, pause = 0, LOOK_SELDOM
                        continue
                    quiet, pause = 0 if self._flush() else quiet + 1, LOOK
                    if quiet == QUIET:
                        self._end()
