"""Event descriptors (Linux's eventfd) that stand for something that a machine does: a doorbell that the guest rang, an
interrupt that another thread or process raises.

An accelerator that can do such a thing by itself does; what it leaves is done here, on a thread that sleeps until one
of the descriptors is signalled.
"""

from __future__ import annotations

import contextlib
import os
import select
import threading
import time
from collections.abc import Callable


class EventWatch:
    """Calls a function, with the machine's lock held, when its descriptor was signalled. Descriptors don't block."""

    def __init__(self, lock: threading.RLock, name: str = "events", rest: float = 0) -> None:
        """After each delivery the thread rests for so many seconds: what is signalled meanwhile is one delivery, and
        spares whoever signals the waking of a thread.
        """
        self._lock = lock
        self._name = name
        self._rest = rest
        self._calls: dict[int, Callable[[], object]] = {}
        self._poll: select.epoll | None = None
        self._wake = -1

    def add(self, descriptor: int, call: Callable[[], object]) -> None:
        """`call` is called from now on. With the lock held."""
        if self._poll is None:
            self._start()
        assert self._poll is not None
        self._calls[descriptor] = call
        self._poll.register(descriptor, select.EPOLLIN)

    def remove(self, descriptor: int) -> None:
        """It isn't called any more; what was signalled before is done first. With the lock held."""
        if descriptor in self._calls:
            self.deliver(descriptor)
            assert self._poll is not None
            self._poll.unregister(descriptor)
            del self._calls[descriptor]

    def deliver(self, descriptor: int) -> None:
        """Does what was signalled, if anything was. With the lock held."""
        call = self._calls.get(descriptor)
        if call is not None:
            with contextlib.suppress(BlockingIOError):
                os.eventfd_read(descriptor)
                call()

    def deliver_all(self) -> None:
        """Does everything that was signalled. With the lock held."""
        for descriptor in list(self._calls):
            self.deliver(descriptor)

    def close(self) -> None:
        """Ends the thread. With the lock held; nothing is called afterwards."""
        if self._poll is not None:
            for descriptor in list(self._calls):
                self.remove(descriptor)
            self._poll = None
            os.eventfd_write(self._wake, 1)

    def _start(self) -> None:
        self._poll = select.epoll()
        self._wake = os.eventfd(0, os.EFD_CLOEXEC | os.EFD_NONBLOCK)
        self._poll.register(self._wake, select.EPOLLIN)
        threading.Thread(target=self._watch, args=(self._poll, self._wake), name=self._name, daemon=True).start()

    def _watch(self, poll: select.epoll, wake: int) -> None:
        while True:
            ready = [descriptor for descriptor, _ in poll.poll()]
            with self._lock:
                if wake in ready:
                    poll.close()
                    os.close(wake)
                    return
                for descriptor in ready:
                    self.deliver(descriptor)
            if self._rest:
                time.sleep(self._rest)
