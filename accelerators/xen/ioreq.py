"""Requests as the hypervisor writes them into the two pages that it shares with a device model (public/hvm/ioreq.h).

Each page is read and written by somebody else at the same time. So a request is copied once, and the copy is looked at,
validated and served; single fields are single aligned loads and stores (elements of a cast memoryview), in the
protocol's order. A request that makes no sense is never served: `Nonsense` says why.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from enum import IntEnum
from typing import NamedTuple

from .hypervisor import PAGE_SIZE


class Kind(IntEnum):
    """What a request is (IOREQ_TYPE_*)."""

    PORT = 0
    MEMORY = 1
    CONFIGURATION = 2
    TIME_OFFSET = 7
    INVALIDATE = 8


class State(IntEnum):
    """Whose turn it is in a slot (STATE_IOREQ_*, STATE_IORESP_READY)."""

    NONE = 0
    READY = 1
    IN_PROCESS = 2
    ANSWERED = 3


SLOT_SIZE = 32
SLOTS = PAGE_SIZE // SLOT_SIZE
"""Synchronous requests in a page: one a virtual CPU."""
RING_SLOTS = 511
"""Buffered requests in a page."""
MOST_ITEMS = PAGE_SIZE
"""Repeated instructions come in pieces of at most so many items."""

_SLOT_QUADS = SLOT_SIZE // 8
"""Address; data; count and size; event channel, padding, state and flags, and type."""
_RING_SLOT = struct.Struct("<II")
_STATE = 30
"""Where in a slot the byte with the state is."""
_STATE_BITS = 0x0F
_INDIRECT, _READ, _BACKWARDS = 1 << 4, 1 << 5, 1 << 6
_SIZES = (1, 2, 4, 8)
# Looking an enumeration's member up takes as long as some ten instructions of Python's.
PORT, MEMORY, CONFIGURATION = Kind.PORT, Kind.MEMORY, Kind.CONFIGURATION
_PORT = int(PORT)
_READY, _IN_PROCESS, _ANSWERED = int(State.READY), int(State.IN_PROCESS), int(State.ANSWERED)
_PORTS = 0x1_0000
_CONFIGURATION_SPACE = 256


class Nonsense(Exception):
    """A request that no hypervisor would send."""


class Request(NamedTuple):
    """One request, as it was when it was taken."""

    kind: Kind
    write: bool
    address: int
    """A port, a guest-physical address, or segment, bus, slot and function above 32 bits of register."""
    size: int
    """Bytes an item."""
    items: int
    data: int
    """What to write; if `indirect`, the guest-physical address where the items are, or are to be."""
    indirect: bool = False
    backwards: bool = False
    """Addresses go down from one item to the next."""

    @property
    def step(self) -> int:
        """From an item's address to the next one's."""
        return -self.size if self.backwards else self.size


def checked(kind: int, flags: int, address: int, size: int, count: int, data: int) -> Request:
    """The request that these fields are. Raises Nonsense."""
    write = not flags & _READ
    if (
        kind == _PORT
        and 0 < size <= 4
        and size != 3
        and count == 1
        and not flags & _INDIRECT
        and address + size <= _PORTS
    ):
        return Request(PORT, write, address, size, 1, data)  # nearly all
    if kind in (Kind.TIME_OFFSET, Kind.INVALIDATE):
        return Request(Kind(kind), write, 0, 8, 1, data)
    if kind not in (PORT, MEMORY, CONFIGURATION):
        raise Nonsense(f"a request of type {kind}")
    if size not in _SIZES:
        raise Nonsense(f"an access of {size} bytes")
    if not 0 < count <= MOST_ITEMS:
        raise Nonsense(f"an access of {count} items")
    indirect = bool(flags & _INDIRECT)
    if kind == PORT and (size > 4 or address + size > _PORTS):
        raise Nonsense(f"a port access of {size} bytes at {address:#x}")
    if kind == CONFIGURATION:
        register = address & 0xFFFF_FFFF
        if size > 4 or count != 1 or indirect or register + size > _CONFIGURATION_SPACE:
            raise Nonsense(f"a configuration access of {count} times {size} bytes at {register:#x}")
    request = Request(Kind(kind), write, address, size, count, data, indirect, bool(flags & _BACKWARDS))
    if kind == MEMORY:
        _check_range(request, address)
    if indirect:
        _check_range(request, data)
    return request


def _check_range(request: Request, start: int) -> None:
    last = start + (request.items - 1) * request.step
    if min(start, last) < 0 or max(start, last) + request.size > 1 << 64:
        raise Nonsense(f"an access of {request.items} items at {start:#x}")


class SynchronousPage:
    """A slot for each virtual CPU, which waits until its request is answered."""

    def __init__(self, page: memoryview) -> None:
        flat = page.cast("B")
        self._bytes = flat
        self._quads = flat.cast("Q")
        self._words = flat.cast("I")

    def port(self, cpu: int) -> int:
        """The domain's event channel of CPU number `cpu`; 0 if there is no such CPU."""
        return self._words[cpu * SLOT_SIZE // 4 + 6]

    def waits(self, cpu: int) -> bool:
        """Whether the CPU has a request that nobody took."""
        return self._bytes[cpu * SLOT_SIZE + _STATE] & _STATE_BITS == _READY

    def take(self, cpu: int) -> Request | None:
        """The CPU's request, if there is one; it waits for `answer` then, also if this raises Nonsense."""
        quads = self._quads
        at = cpu * _SLOT_QUADS
        last = quads[at + 3]  # event channel, padding, state and flags, type
        if last >> 48 & _STATE_BITS != _READY:
            return None
        address, data, sizes = quads[at], quads[at + 1], quads[at + 2]
        flags = last >> 48 & 0xFF
        self._bytes[cpu * SLOT_SIZE + _STATE] = flags & ~_STATE_BITS | _IN_PROCESS
        return checked(last >> 56, flags, address, sizes >> 32, sizes & 0xFFFF_FFFF, data)

    def answer(self, cpu: int, data: int) -> None:
        """The CPU goes on, once it is notified: first the data, then the state that lets it look."""
        at = cpu * SLOT_SIZE
        self._quads[at // 8 + 1] = data & 0xFFFF_FFFF_FFFF_FFFF
        self._bytes[at + _STATE] = self._bytes[at + _STATE] & ~_STATE_BITS | _ANSWERED


class BufferedPage:
    """A ring of writes that no CPU waits for, in their order.

    Both pointers count up; what they point to is their remainder by the ring's length. With atomic handling the
    hypervisor takes multiples of the length away from both, in one atomic exchange, whenever it adds a request and
    finds that the read pointer has reached the length. We have no atomic addition, but need none: the read pointer is
    stored only while it is below the length, when nobody else writes it. Beyond, what was served is counted in `_ahead`
    until the hypervisor has brought it back, which it does with the next request.
    """

    def __init__(self, page: memoryview) -> None:
        self._page = page.cast("B")
        self._words = page.cast("B").cast("I")
        self._ahead = 0

    @property
    def waits(self) -> bool:
        """Whether there is something in it."""
        words = self._words
        return bool((words[1] - words[0] - self._ahead) & 0xFFFF_FFFF)

    def requests(self) -> Iterator[Request | Nonsense]:
        """What is in the ring: at most one ring's length. Each is taken out when the next one is asked for."""
        for _ in range(RING_SLOTS):
            read, write = self._words[0], self._words[1]
            if read != self._words[0]:
                continue  # the hypervisor took the length away from both in between
            waiting = (write - read - self._ahead) & 0xFFFF_FFFF
            if not waiting:
                return
            if waiting > RING_SLOTS:
                self._ahead = 0
                self._words[0] = write
                yield Nonsense(f"a buffered ring with pointers {read:#x} and {write:#x}")
                return
            slots, found = self._at(read + self._ahead, waiting)
            yield found
            self._ahead += slots
            self._store()

    def _at(self, position: int, waiting: int) -> tuple[int, Request | Nonsense]:
        """The request there, and how many slots it takes."""
        low, data = self._slot(position)
        size = 1 << (low >> 10 & 3)
        slots = 1
        if size == 8:
            if waiting < 2:
                return 1, Nonsense("half of a buffered request")
            slots = 2
            data |= self._slot(position + 1)[1] << 32
        if low >> 9 & 1:
            return slots, Nonsense("a buffered request that reads")
        try:
            return slots, checked(low & 0xFF, 0, low >> 12, size, 1, data)
        except Nonsense as error:
            return slots, error

    def _slot(self, position: int) -> tuple[int, int]:
        at = 8 + position % RING_SLOTS * 8
        low, data = _RING_SLOT.unpack(bytes(self._page[at : at + 8]))
        return low, data

    def _store(self) -> None:
        read = self._words[0]
        if read < RING_SLOTS:
            self._words[0] = read + self._ahead
            self._ahead = 0
