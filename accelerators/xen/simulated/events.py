"""Event channels between the domain and the device model: one eventfd tells of all, as /dev/xen/evtchn does."""

from __future__ import annotations

import ctypes
import itertools
import os
import threading
from collections import deque
from collections.abc import Callable


class EventChannels:
    """See hypervisor.EventChannels. `notified` is called with the domain's port of a channel that was signalled."""

    def __init__(self, notified: Callable[[int], None]) -> None:
        self._notified = notified
        self._descriptor: int | None = os.eventfd(0, os.EFD_CLOEXEC)
        self._write = ctypes.PyDLL(None).eventfd_write  # keeps the interpreter's lock: it waits for nothing
        self._write.argtypes = [ctypes.c_int, ctypes.c_uint64]
        self._mutex = threading.Lock()
        self._arrived: deque[int | None] = deque()
        self._masked: set[int] = set()
        self._late: set[int] = set()
        """Ports with an event that came while they were masked."""
        self._take: Callable[[int], None] | None = None
        self._numbers = itertools.count(1)
        self._local: dict[int, int] = {}
        self._remote: dict[int, int] = {}

    def bind_interdomain(self, remote_port: int) -> int:
        """See hypervisor.EventChannels."""
        port = next(self._numbers)
        self._local[remote_port], self._remote[port] = port, remote_port
        return port

    def unbind(self, port: int) -> None:
        """See hypervisor.EventChannels."""
        del self._local[self._remote.pop(port)]

    def notify(self, port: int) -> None:
        """See hypervisor.EventChannels."""
        self._notified(self._remote[port])

    def wait(self) -> int | None:
        """See hypervisor.EventChannels."""
        arrived = self._arrived
        while not arrived:
            if self._descriptor is None:
                return None
            os.eventfd_read(self._descriptor)
        return arrived.popleft()

    def deliver_to(self, take: Callable[[int], None]) -> None:
        """See hypervisor.EventChannels."""
        self._take = take

    def unmask(self, port: int) -> None:
        """See hypervisor.EventChannels."""
        with self._mutex:
            self._masked.discard(port)
            again = port in self._late
            self._late.discard(port)
        if again:
            self._arrive(port)

    def wake(self) -> None:
        """See hypervisor.EventChannels."""
        self._arrived.append(None)
        self._tell()

    def restrict(self, domid: int) -> None:
        """See hypervisor.EventChannels."""

    def signal(self, remote_port: int) -> None:
        """The domain signals its port. From any thread."""
        port = self._local.get(remote_port)
        if port is not None:
            self._arrive(port)

    def ask(self, remote_port: int) -> None:
        """The same, for a CPU that waits for an answer: it lends the device model its thread."""
        port = self._local.get(remote_port)
        if port is None:
            return
        if self._take is not None:
            self._take(port)
        else:
            self._arrive(port)

    def _arrive(self, port: int) -> None:
        with self._mutex:
            if port in self._masked:
                self._late.add(port)
                return
            self._masked.add(port)
            self._arrived.append(port)
        self._tell()

    def _tell(self) -> None:
        if self._descriptor is not None:
            self._write(self._descriptor, 1)

    def close(self) -> None:
        """Nobody waits any more."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None
