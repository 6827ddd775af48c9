"""How a vCPU is made to leave the guest: promptly, from any thread, and without a signal handler in the process.

The vCPU's thread blocks a signal, which KVM_RUN unblocks while it runs (KVM_SET_SIGNAL_MASK): sending it to the thread
makes KVM_RUN return, and the signal, which nobody handles, is taken back by sigtimedwait. `immediate_exit` in the
vCPU's shared page stands for it where the thread is just about to enter the guest.
"""

from __future__ import annotations

import signal
import struct
import threading

from . import ioctls as k

SIGNAL = signal.SIGRTMIN + 5
"""A real-time signal, since programs and debuggers use the others."""

_SET = {SIGNAL}
_IMMEDIATE_EXIT = 1


class Kicks:
    """Of one vCPU, whose shared page is `page`."""

    def __init__(self, descriptor: int, page: memoryview) -> None:
        self._descriptor = descriptor
        self._page = page
        self._lock = threading.Lock()
        self._thread = 0
        """The one that is inside `run`; only to it signals go."""
        self._prepared = 0

    def enter(self) -> None:
        """The calling thread is going to run the vCPU."""
        thread = threading.get_ident()
        if thread != self._prepared:
            self._prepare()
            self._prepared = thread
        with self._lock:
            self._thread = thread

    def leave(self) -> None:
        """It no longer is; no signal comes any more."""
        with self._lock:
            self._thread = 0

    def close(self) -> None:
        """The page goes away; a late `exit_soon` is harmless."""
        with self._lock:
            self._page = memoryview(bytearray(8))

    def _prepare(self) -> None:
        blocked = signal.pthread_sigmask(signal.SIG_BLOCK, _SET)
        mask = sum(1 << number - 1 for number in blocked if number != SIGNAL)
        k.ioctl(self._descriptor, k.KVM_SET_SIGNAL_MASK, struct.pack("<IQ", 8, mask))

    def exit_soon(self) -> None:
        """Makes KVM_RUN return soon, from any thread; if it isn't running, the next one returns at once."""
        with self._lock:
            self._page[_IMMEDIATE_EXIT] = 1
            if self._thread and self._thread != threading.get_ident():
                signal.pthread_kill(self._thread, SIGNAL)

    def exit_before_guest(self) -> None:
        """The next KVM_RUN, on this thread, prepares to enter the guest, and returns instead."""
        signal.pthread_kill(threading.get_ident(), SIGNAL)

    def taken(self) -> None:
        """KVM_RUN returned because of it. What it was for must be looked at after this."""
        self._page[_IMMEDIATE_EXIT] = 0
        while signal.sigtimedwait(_SET, 0) is not None:
            pass
