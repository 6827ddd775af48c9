"""The main loop's alarm clock: wakes the asyncio loop at a nanosecond deadline, which any thread may set; and what it
is for, running the machine's timers.

asyncio's own timers are rounded to a millisecond and may be set by its thread only; Linux's timerfd has neither limit.
"""

from __future__ import annotations

import asyncio
import ctypes
import os
import struct
import time
from collections.abc import Callable
from contextlib import AbstractContextManager

from .clock import Clock

TFD_NONBLOCK_CLOEXEC = os.O_NONBLOCK | os.O_CLOEXEC
_ITIMERSPEC = struct.Struct("4l")
"""timerfd_settime(2)'s: seconds and nanoseconds of the interval, and of the first time."""


class Alarm:
    """Calls `wake` on `loop`'s thread once, after the delay set last."""

    def __init__(self, loop: asyncio.AbstractEventLoop, wake: Callable[[], None]) -> None:
        self._loop = loop
        self._wake = wake
        self._set_time = ctypes.PyDLL(None).timerfd_settime  # keeps the interpreter's lock: it waits for nothing
        self._descriptor: int = ctypes.CDLL(None, use_errno=True).timerfd_create(
            time.CLOCK_MONOTONIC, TFD_NONBLOCK_CLOEXEC
        )
        if self._descriptor < 0:
            raise OSError(ctypes.get_errno(), "timerfd_create")
        loop.add_reader(self._descriptor, self._expired)

    def set(self, delay_ns: int) -> None:
        """Wakes in `delay_ns` nanoseconds (at once if that is past), in place of an earlier setting."""
        seconds, nanoseconds = divmod(max(delay_ns, 1), 1_000_000_000)
        self._set_time(self._descriptor, 0, _ITIMERSPEC.pack(0, 0, seconds, nanoseconds), None)

    def close(self) -> None:
        """No more calls."""
        self._loop.remove_reader(self._descriptor)
        os.close(self._descriptor)

    def _expired(self) -> None:
        try:
            os.read(self._descriptor, 8)
        except BlockingIOError:
            return
        self._wake()


class DueTimers:
    """Runs the timers of `clock` on `loop`'s thread, with `lock` held. `failed` is told what one raised."""

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        clock: Clock,
        lock: AbstractContextManager[bool],
        failed: Callable[[Exception], None],
    ) -> None:
        self._clock = clock
        self._lock = lock
        self._failed = failed
        self._alarm = Alarm(loop, self._run)
        clock.on_deadline = self._set_alarm

    def close(self) -> None:
        """No timer runs any more."""
        with self._lock:
            self._clock.on_deadline = None
        self._alarm.close()

    def _set_alarm(self) -> None:
        deadline = self._clock.deadline()
        if deadline is not None and self._clock.running:
            self._alarm.set(deadline - self._clock.now())

    def _run(self) -> None:
        with self._lock:
            if self._clock.running:
                try:
                    self._clock.run_due()
                except Exception as error:  # a device's, under --strict
                    self._failed(error)
                self._set_alarm()
