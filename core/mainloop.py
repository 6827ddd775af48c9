"""The main loop's alarm clock: wakes the asyncio loop at a nanosecond deadline, which any thread may set.

asyncio's own timers are rounded to a millisecond and may be set by its thread only; Linux's timerfd has neither limit.
"""

from __future__ import annotations

import asyncio
import ctypes
import os
import time
from collections.abc import Callable

TFD_NONBLOCK_CLOEXEC = os.O_NONBLOCK | os.O_CLOEXEC


class _Timespec(ctypes.Structure):
    _fields_ = (("seconds", ctypes.c_long), ("nanoseconds", ctypes.c_long))


class _Itimerspec(ctypes.Structure):
    _fields_ = (("interval", _Timespec), ("value", _Timespec))


class Alarm:
    """Calls `wake` on `loop`'s thread once, after the delay set last."""

    def __init__(self, loop: asyncio.AbstractEventLoop, wake: Callable[[], None]) -> None:
        self._loop = loop
        self._wake = wake
        self._libc = ctypes.CDLL(None, use_errno=True)
        self._descriptor: int = self._libc.timerfd_create(time.CLOCK_MONOTONIC, TFD_NONBLOCK_CLOEXEC)
        if self._descriptor < 0:
            raise OSError(ctypes.get_errno(), "timerfd_create")
        loop.add_reader(self._descriptor, self._expired)

    def set(self, delay_ns: int) -> None:
        """Wakes in `delay_ns` nanoseconds (at once if that is past), in place of an earlier setting."""
        delay_ns = max(delay_ns, 1)
        value = _Itimerspec(_Timespec(0, 0), _Timespec(delay_ns // 1_000_000_000, delay_ns % 1_000_000_000))
        self._libc.timerfd_settime(self._descriptor, 0, ctypes.byref(value), None)

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
