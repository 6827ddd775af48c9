"""The guest's accesses that nothing in the hypervisor answers, on their way to the ioreq server and back.

A CPU writes its request into the shared page, signals its event channel, and waits (public/hvm/ioreq.h). Accesses in no
range of the server's read as ones. What waits for a server that goes away reads as ones, too.
"""

from __future__ import annotations

import mmap
import struct
import threading
from bisect import bisect_right
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any

from southbridge.memory.regions import WIDTHS, Io

from ..hypervisor import PAGE_SIZE, Space
from ..ioreq import CONFIGURATION, MEMORY, PORT, RING_SLOTS, SLOT_SIZE, Kind, State

if TYPE_CHECKING:
    from southbridge.machine import Machine

    from .events import EventChannels

CHANNELS = 16
"""The domain's event channel of CPU 0; those of further CPUs follow."""
BUFFERED_CHANNEL = 15

_HEAD = struct.Struct("<QQII")
_STATE, _KIND, _CHANNEL = 30, 31, 24
"""Where in a slot."""
_READ = 1 << 5
_NONE, _READY, _ANSWERED = int(State.NONE), int(State.READY), int(State.ANSWERED)
_ADDRESS_PORT, _DATA_PORT = 0xCF8, 0xCFC
_ENABLED = 1 << 31
_ONES = {size: (1 << 8 * size) - 1 for size in WIDTHS}


class Ranges:
    """A set of numbers, by ranges."""

    def __init__(self) -> None:
        self._firsts: list[int] = []
        self._lasts: list[int] = []

    def meets(self, first: int, last: int) -> bool:
        """Whether any number from `first` to `last` is in it."""
        index = bisect_right(self._firsts, last) - 1
        return index >= 0 and self._lasts[index] >= first

    def add(self, first: int, last: int) -> None:
        """Puts a range in. It isn't there yet."""
        index = bisect_right(self._firsts, first)
        self._firsts.insert(index, first)
        self._lasts.insert(index, last)

    def remove(self, first: int, last: int) -> None:
        """Takes a range out."""
        old = list(zip(self._firsts, self._lasts, strict=True))
        self._firsts, self._lasts = [], []
        for begin, end in old:
            if begin < first:
                self.add(begin, min(end, first - 1))
            if end > last:
                self.add(max(begin, last + 1), end)


class PortRegion(Io):
    """Every port that nobody in the hypervisor has."""

    def __init__(self, requests: Requests) -> None:
        super().__init__("ioreq ports", 1 << 16, requests.port_read, requests.port_write, widths=(1, 2, 4))
        self._requests = requests

    def link_read(self, offset: int, size: int) -> Callable[[], int]:
        """See Io."""
        return partial(self._requests.port_read, offset, size)

    def link_write(self, offset: int, size: int) -> Callable[[int], Any]:
        """See Io."""
        return partial(self._requests.port_write, offset, size)


class Requests:
    """The pages, and the CPUs that wait. Accesses come with `machine`'s lock held, once; it is free while one waits."""

    def __init__(self, machine: Machine) -> None:
        self._machine = machine
        self.page = memoryview(mmap.mmap(-1, PAGE_SIZE))
        """A slot for each CPU."""
        self.ring = memoryview(mmap.mmap(-1, PAGE_SIZE))
        """Buffered requests."""
        self.events: EventChannels
        self._port_ranges, self._memory_ranges = Ranges(), Ranges()
        self.ranges = {Space.PORTS: self._port_ranges, Space.MEMORY: self._memory_ranges}
        self.functions: set[tuple[int, int, int]] = set()
        """PCI functions of the server's: bus, slot, function."""
        self.enabled = False
        self.invalid = False
        """The device model is to be told that the domain's memory isn't where it was."""
        self.configuration_address = 0
        """What the guest wrote to CF8h last, if that is known; else the device model knows it."""
        self._quads = self.page.cast("Q")
        self._ring_words = self.ring.cast("I")
        self._answers = [threading.Lock() for _ in range(machine.cpus.max)]
        """Each is taken, until its CPU's request is answered."""
        for cpu, answer in enumerate(self._answers):
            answer.acquire()
            struct.pack_into("<I", self.page, cpu * SLOT_SIZE + _CHANNEL, CHANNELS + cpu)
        self.ports = PortRegion(self)
        self.memory = Io("ioreq memory", machine.memory.root.size, self.memory_read, self.memory_write)

    # --- the guest's accesses ------------------------------------------------------------------------------------

    def port_read(self, port: int, size: int) -> int:
        """IN."""
        if port & ~3 == _DATA_PORT and self.configuration_address & _ENABLED:
            return self._configuration(port, size, None)
        if not self._port_ranges.meets(port, port + size - 1):
            return _ONES[size]
        return self._send(PORT, _READ, port, size, 0)

    def port_write(self, port: int, size: int, value: int) -> None:
        """OUT. The hypervisor listens at the configuration address, and passes it on."""
        if port == _ADDRESS_PORT and size == 4:
            self.configuration_address = value
        if port & ~3 == _DATA_PORT and self.configuration_address & _ENABLED:
            self._configuration(port, size, value)
        elif self._port_ranges.meets(port, port + size - 1):
            self._send(PORT, 0, port, size, value)

    def _configuration(self, port: int, size: int, value: int | None) -> int:
        """An access to the configuration data port. A function that no server has isn't there."""
        address = self.configuration_address
        place = address >> 8 & 0xFFFF
        if (place >> 8, place >> 3 & 31, place & 7) not in self.functions:
            return _ONES[size]
        register = address & 0xFC | port & 3
        return self._send(CONFIGURATION, 0 if value is not None else _READ, place << 32 | register, size, value or 0)

    def memory_read(self, address: int, size: int) -> int:
        """A load where no memory is."""
        if not self._memory_ranges.meets(address, address + size - 1):
            return _ONES[size]
        return self._send(MEMORY, _READ, address, size, 0)

    def memory_write(self, address: int, size: int, value: int) -> None:
        """A store where no memory is."""
        if self._memory_ranges.meets(address, address + size - 1):
            self._send(MEMORY, 0, address, size, value)

    # --- requests ------------------------------------------------------------------------------------------------

    def _send(self, kind: int, flags: int, address: int, size: int, data: int) -> int:
        """Has the server serve a request of the CPU whose thread this is. What it gives."""
        cpu = self._machine.cpus.current
        if self.invalid:
            self.invalid = False
            self._transact(cpu, Kind.INVALIDATE, 0, 0, 4, _ONES[8])
        return self._transact(cpu, kind, flags, address, size, data)

    def _transact(self, cpu: int, kind: int, flags: int, address: int, size: int, data: int) -> int:
        page, at, lock, answer = self.page, cpu * SLOT_SIZE, self._machine.lock, self._answers[cpu]
        if not self.enabled:
            return _ONES[size]
        _HEAD.pack_into(page, at, address, data, 1, size)
        page[at + _KIND] = kind
        page[at + _STATE] = _READY | flags
        self.events.ask(CHANNELS + cpu)
        answered = page[at + _STATE] & 0x0F == _ANSWERED
        if not answered:  # another thread is to answer it, or it has to wait
            lock.release()
            try:
                while not answered and self.enabled:
                    answer.acquire()
                    answered = page[at + _STATE] & 0x0F == _ANSWERED
            finally:
                lock.acquire()
        page[at + _STATE] = _NONE
        return self._quads[at // 8 + 1] & _ONES[size] if answered else _ONES[size]

    def send_buffered(self, kind: int, address: int, size: int, data: int) -> bool:
        """Puts a write into the ring. False: there is no room."""
        words = self._ring_words
        slots = 2 if size == 8 else 1
        if words[1] - words[0] + slots > RING_SLOTS:
            return False
        for slot in range(slots):
            low = kind | (size.bit_length() - 1) << 10 | address << 12
            at = 2 + (words[1] + slot) % RING_SLOTS * 2
            words[at], words[at + 1] = low & 0xFFFF_FFFF, data >> 32 * slot & 0xFFFF_FFFF
        words[1] += slots
        while self.enabled and words[0] >= RING_SLOTS:  # as one atomic exchange
            words[0] -= RING_SLOTS
            words[1] -= RING_SLOTS
        self.events.signal(BUFFERED_CHANNEL)
        return True

    # --- the server's side ---------------------------------------------------------------------------------------

    def notified(self, channel: int) -> None:
        """The server has signalled the domain's end of a channel. From any thread."""
        if CHANNELS <= channel < CHANNELS + len(self._answers):
            self._go_on(self._answers[channel - CHANNELS])

    def enable(self, enabled: bool) -> None:
        """Only while this is so are there requests; those that wait for a server that ends give up."""
        self.enabled = enabled
        if not enabled:
            for answer in self._answers:
                self._go_on(answer)

    def _go_on(self, answer: threading.Lock) -> None:
        if answer.locked():
            try:
                answer.release()
            except RuntimeError:  # somebody else did meanwhile
                return
