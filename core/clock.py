"""A machine's time, and the timers that devices set on it.

Time is in nanoseconds since the machine started, and stands still while the machine is paused. A device never looks at
the host's clock: under test, time moves only when the test says so.
"""

from __future__ import annotations

import heapq
import itertools
import time
from collections.abc import Callable
from typing import Any

SECOND = 1_000_000_000
MILLISECOND = 1_000_000
MICROSECOND = 1_000

GRAIN = 50 * MICROSECOND
"""A thread of the host's, which runs timers, is hardly ever woken sooner."""

TIMERS_A_TURN = 256
TURNS_AT_ONCE = 16
QUEUE_SLACK = 64
"""How many entries of the queue may belong to timers that were set anew or cancelled."""


def _raise(timer: Timer, error: Exception) -> None:
    raise error


class Clock:
    """Virtual time and the queue of timers. Callers hold the machine's lock, but for `now`.

    `source` gives the host's time in nanoseconds. `on_deadline` is called when the earliest timer may have changed to
    an earlier time: whoever calls `run_due` must wake up for it. It isn't called while `run_due` runs, which tells.
    """

    def __init__(self, source: Callable[[], int] = time.monotonic_ns) -> None:
        self._source = source
        self._offset = 0
        self._stopped_at: int | None = 0
        self._queue: list[tuple[int, int, Timer]] = []
        """A heap; an entry holds while its ticket is its timer's."""
        self._full = QUEUE_SLACK
        self._tickets = itertools.count(1)
        self._running_timers = False
        self.on_deadline: Callable[[], None] | None = None
        self.on_fault: Callable[[Timer, Exception], None] = _raise

    def now(self) -> int:
        """Nanoseconds that the machine has run."""
        stopped_at = self._stopped_at  # once: another thread may start the clock meanwhile
        return self._source() - self._offset if stopped_at is None else stopped_at

    @property
    def running(self) -> bool:
        """Whether time passes."""
        return self._stopped_at is None

    @property
    def grain(self) -> int:
        """The shortest delay, in nanoseconds, that is worth a timer: 0 while time moves only as a test says."""
        return GRAIN if self.running else 0

    def start(self) -> None:
        """Time goes on from where it stood."""
        if self._stopped_at is not None:
            self._offset = self._source() - self._stopped_at
            self._stopped_at = None
            if self.on_deadline:
                self.on_deadline()

    def stop(self) -> None:
        """Time stands still."""
        if self._stopped_at is None:
            self._stopped_at = self._source() - self._offset

    def set(self, now: int) -> None:
        """Makes it `now`; timers that are due by then run at the next `run_due`."""
        if self._stopped_at is None:
            self._offset = self._source() - now
            if self.on_deadline:
                self.on_deadline()
        else:
            self._stopped_at = now

    def deadline(self) -> int | None:
        """When the earliest timer is due, or None."""
        while self._queue:
            due, ticket, timer = self._queue[0]
            if timer.ticket == ticket:
                return due
            heapq.heappop(self._queue)
        return None

    def run_due(self) -> int | None:
        """Runs the timers that are due, earliest first; returns when the next one is, or None.

        Gives up after a turn's worth: a guest may program a timer faster than the host can run it.
        """
        self._running_timers = True
        try:
            for _ in range(TIMERS_A_TURN):
                due = self.deadline()
                if due is None or due > self.now():
                    return due
                timer = heapq.heappop(self._queue)[2]
                try:
                    timer.fire()
                except Exception as error:  # a device's code may raise anything
                    self.on_fault(timer, error)
            return self.deadline()
        finally:
            self._running_timers = False

    def advance(self, *, ns: int = 0, us: float = 0, ms: float = 0) -> None:
        """For tests, while the clock is stopped: time moves on, and each timer runs exactly when it is due.

        Fails if timers set themselves again and again without time passing.
        """
        assert self._stopped_at is not None, "the clock is running by itself"
        turns = 0
        end = self._stopped_at + ns + round(us * MICROSECOND) + round(ms * MILLISECOND)
        while True:
            due = self.deadline()
            if due is None or due > end:
                break
            turns = 0 if due > self._stopped_at else turns + 1
            assert turns <= TURNS_AT_ONCE, f"timers run for ever at {self._stopped_at} ns"
            self._stopped_at = max(self._stopped_at, due)
            self.run_due()
        self._stopped_at = end

    def _arm(self, timer: Timer, deadline: int) -> None:
        timer.deadline, timer.ticket = deadline, next(self._tickets)
        earliest = not self._queue or deadline < self._queue[0][0]
        heapq.heappush(self._queue, (deadline, timer.ticket, timer))
        if len(self._queue) > self._full:
            self._sweep()
        if earliest and self.on_deadline and not self._running_timers:
            self.on_deadline()

    def _sweep(self) -> None:
        """Drops the entries that no longer hold: a guest may set a distant timer anew for ever."""
        self._queue = [entry for entry in self._queue if entry[2].ticket == entry[1]]
        heapq.heapify(self._queue)
        self._full = 2 * len(self._queue) + QUEUE_SLACK


class Timer:
    """Calls `call(**arguments)` once, at `deadline` on its clock. At most one deadline is set at a time."""

    __slots__ = ("_clock", "arguments", "call", "deadline", "ticket")

    def __init__(self, clock: Clock, call: Callable[..., Any]) -> None:
        self._clock = clock
        self.call = call
        self.deadline: int | None = None
        self.ticket = 0
        """Which entry of the clock's queue is this timer's; 0: none."""
        self.arguments: dict[str, Any] = {}

    @property
    def pending(self) -> bool:
        """Whether a deadline is set."""
        return self.deadline is not None

    def at(self, deadline: int, **arguments: Any) -> None:
        """Sets the deadline, in the clock's nanoseconds, in place of an earlier one; one that passed is due at once."""
        self.arguments = arguments
        if deadline != self.deadline:
            self._clock._arm(self, deadline)

    def after(self, *, ns: int = 0, us: float = 0, ms: float = 0, s: float = 0, **arguments: Any) -> None:
        """Sets the deadline that long from now. Replaces an earlier setting."""
        delay = ns + round(us * MICROSECOND + ms * MILLISECOND + s * SECOND)
        self.at(self._clock.now() + delay, **arguments)

    def cancel(self) -> None:
        """It isn't called after all."""
        self.deadline, self.ticket = None, 0

    def fire(self) -> None:
        """Calls it now."""
        self.cancel()
        self.call(**self.arguments)
