"""Requests in shared pages: layouts, validation, copies, the order of stores, the ring's pointers."""

from __future__ import annotations

import random
import struct

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from southbridge.accelerators.xen.ioreq import (
    MOST_ITEMS,
    RING_SLOTS,
    SLOT_SIZE,
    SLOTS,
    BufferedPage,
    Kind,
    Nonsense,
    Request,
    State,
    SynchronousPage,
)

READ, BACKWARDS, INDIRECT = 1 << 5, 1 << 6, 1 << 4


class Shared(bytearray):
    """A page, with what the hypervisor does to it."""

    def __init__(self) -> None:
        super().__init__(4096)

    def request(
        self, cpu: int, kind: int, address: int, *, size: int = 1, count: int = 1, data: int = 0, flags: int = 0
    ) -> None:
        state = State.READY | flags
        struct.pack_into("<QQIIIHBB", self, cpu * 32, address, data, count, size, 17 + cpu, 0, state, kind)

    def state(self, cpu: int) -> int:
        return self[cpu * 32 + 30]


class Ring(bytearray):
    """A ring, with the hypervisor's half of its protocol."""

    def __init__(self) -> None:
        super().__init__(4096)

    @property
    def pointers(self) -> tuple[int, int]:
        read, write = struct.unpack_from("<II", self)
        return read, write

    def put(self, kind: int, address: int, data: int, size: int = 1, *, reads: bool = False) -> bool:
        read, write = self.pointers
        slots = 2 if size == 8 else 1
        if write - read > RING_SLOTS - slots:
            return False
        low = kind | reads << 9 | (size.bit_length() - 1) << 10 | address << 12
        struct.pack_into("<II", self, 8 + write % RING_SLOTS * 8, low, data & 0xFFFFFFFF)
        if slots == 2:
            struct.pack_into("<II", self, 8 + (write + 1) % RING_SLOTS * 8, low, data >> 32)
        write += slots
        while read >= RING_SLOTS:  # as handling "atomic" has it
            read, write = read - RING_SLOTS, write - RING_SLOTS
        struct.pack_into("<II", self, 0, read, write)
        return True


def ask(**fields: int) -> Request | None:
    page = Shared()
    page.request(3, fields.pop("kind"), fields.pop("address"), **fields)
    return SynchronousPage(memoryview(page)).take(3)


def test_a_request_is_taken_and_answered() -> None:
    page = Shared()
    slots = SynchronousPage(memoryview(page))
    assert slots.take(5) is None
    page.request(5, Kind.PORT, 0x1F0, size=2, count=256, data=0x12345, flags=READ | INDIRECT | BACKWARDS)
    assert slots.port(5) == 22
    assert slots.waits(5)
    assert slots.take(5) == Request(Kind.PORT, False, 0x1F0, 2, 256, 0x12345, True, True)
    assert page.state(5) == State.IN_PROCESS | READ | INDIRECT | BACKWARDS
    assert slots.take(5) is None
    slots.answer(5, -1)
    assert page.state(5) == State.ANSWERED | READ | INDIRECT | BACKWARDS
    assert page[5 * 32 + 8 : 5 * 32 + 16] == b"\xff" * 8


def test_a_slot_for_each_cpu_and_no_more() -> None:
    page = Shared()
    slots = SynchronousPage(memoryview(page))
    page.request(SLOTS - 1, Kind.PORT, 0x80)
    assert slots.take(SLOTS - 1) is not None
    with pytest.raises(IndexError):
        slots.take(SLOTS)


def test_a_request_that_is_changed_after_it_was_taken_is_served_as_it_was() -> None:
    """XSA-197: checked, then used again after the guest changed it."""
    page = Shared()
    slots = SynchronousPage(memoryview(page))
    page.request(0, Kind.PORT, 0x70, size=1, data=7)
    request = slots.take(0)
    page.request(0, Kind.MEMORY, 1 << 63, size=255, count=1 << 31, data=99)
    assert request == Request(Kind.PORT, True, 0x70, 1, 1, 7)


def test_the_page_is_not_read_again_after_the_copy() -> None:
    """A page that changes with each word that is read: what was checked is what is used."""
    page = Shared()
    page.request(0, Kind.PORT, 0xFFFF, size=1, data=1)
    slots = SynchronousPage(memoryview(page))

    class Changing:
        """Gives each word of a good request once; afterwards it is bad."""

        def __init__(self, words: memoryview) -> None:
            self.words = words
            self.read: list[int] = []

        def __getitem__(self, index: int) -> int:
            self.read.append(index)
            word: int = self.words[index]
            self.words[index] = (1 << 64) - 1
            return word

    changing = Changing(slots._quads)
    slots._quads = changing  # type: ignore[assignment]
    assert slots.take(0) == Request(Kind.PORT, True, 0xFFFF, 1, 1, 1)
    assert sorted(changing.read) == [0, 1, 2, 3]


def test_the_answers_data_is_there_before_its_state() -> None:
    page = Shared()
    slots = SynchronousPage(memoryview(page))
    page.request(2, Kind.PORT, 0x80, flags=READ)
    slots.take(2)
    order: list[str] = []

    class Watched:
        def __init__(self, view: memoryview, name: str) -> None:
            self.view, self.name = view, name

        def __getitem__(self, at: int) -> int:
            value: int = self.view[at]
            return value

        def __setitem__(self, at: int, value: int) -> None:
            order.append(self.name)
            self.view[at] = value

    slots._quads = Watched(slots._quads, "data")  # type: ignore[assignment]
    slots._bytes = Watched(slots._bytes, "state")  # type: ignore[assignment]
    slots.answer(2, 0x55)
    assert order == ["data", "state"]


def test_shared_fields_are_aligned_elements_of_their_own_width() -> None:
    """One load or store each: neither ctypes nor a slice promises that."""
    slots = SynchronousPage(memoryview(Shared()))
    assert slots._quads.itemsize == 8
    assert slots._words.itemsize == 4
    assert SLOT_SIZE % 8 == 0
    assert BufferedPage(memoryview(Ring()))._words.itemsize == 4


@pytest.mark.parametrize(
    "fields",
    [
        {"kind": 0, "address": 0x10000},
        {"kind": 0, "address": 0xFFFF, "size": 2},
        {"kind": 0, "address": 1 << 63},
        {"kind": 0, "address": 0x80, "size": 8},
        {"kind": 0, "address": 0x80, "size": 0},
        {"kind": 0, "address": 0x80, "size": 3},
        {"kind": 0, "address": 0x80, "size": 0xFFFFFFFF},
        {"kind": 0, "address": 0x80, "count": 0},
        {"kind": 0, "address": 0x80, "count": MOST_ITEMS + 1},
        {"kind": 0, "address": 0x80, "count": 0xFFFFFFFF},
        {"kind": 0, "address": 0x80, "count": 4, "size": 4, "data": 4, "flags": INDIRECT | BACKWARDS},
        {"kind": 0, "address": 0x80, "count": 2, "size": 4, "data": (1 << 64) - 4, "flags": INDIRECT},
        {"kind": 1, "address": (1 << 64) - 4, "size": 8},
        {"kind": 1, "address": 8, "size": 8, "count": 3, "flags": BACKWARDS},
        {"kind": 2, "address": 256, "size": 1},
        {"kind": 2, "address": 254, "size": 4},
        {"kind": 2, "address": 0, "size": 8},
        {"kind": 2, "address": 0, "size": 4, "count": 2},
        {"kind": 2, "address": 0, "size": 4, "flags": INDIRECT},
        {"kind": 3, "address": 0},
        {"kind": 9, "address": 0},
        {"kind": 255, "address": 0},
    ],
)
def test_nonsense_is_refused(fields: dict[str, int]) -> None:
    """XSA-199: a port number from the ring that isn't range-checked; and its like."""
    with pytest.raises(Nonsense):
        ask(**fields)


@given(st.binary(min_size=32, max_size=32))
def test_garbage_is_nonsense_or_within_bounds(garbage: bytes) -> None:
    page = Shared()
    page[:32] = garbage
    page[30] = page[30] & 0xF0 | State.READY
    slots = SynchronousPage(memoryview(page))
    try:
        request = slots.take(0)
    except Nonsense:
        request = None
    assert page.state(0) & 15 == State.IN_PROCESS
    if request is not None and request.kind in (Kind.PORT, Kind.MEMORY, Kind.CONFIGURATION):
        assert request.size in (1, 2, 4, 8)
        assert 1 <= request.items <= MOST_ITEMS
        if request.kind is Kind.PORT:
            assert request.address + request.size <= 1 << 16
    slots.answer(0, 0)
    assert page.state(0) & 15 == State.ANSWERED


# --- the ring ----------------------------------------------------------------------------------------------------


def test_buffered_requests_come_in_order() -> None:
    ring = Ring()
    page = BufferedPage(memoryview(ring))
    ring.put(Kind.MEMORY, 0xA0000, 0x11, 1)
    ring.put(Kind.MEMORY, 0xA0008, 0x1122334455667788, 8)
    ring.put(Kind.PORT, 0x3C4, 0x0102, 2)
    assert list(page.requests()) == [
        Request(Kind.MEMORY, True, 0xA0000, 1, 1, 0x11),
        Request(Kind.MEMORY, True, 0xA0008, 8, 1, 0x1122334455667788),
        Request(Kind.PORT, True, 0x3C4, 2, 1, 0x0102),
    ]
    assert ring.pointers == (4, 4)
    assert list(page.requests()) == []


def test_a_full_ring_takes_one_turn() -> None:
    ring = Ring()
    page = BufferedPage(memoryview(ring))
    for number in range(RING_SLOTS):
        assert ring.put(Kind.PORT, 0x80, number & 255)
    assert not ring.put(Kind.PORT, 0x80, 0)
    assert len(list(page.requests())) == RING_SLOTS


def test_a_flood_is_served_a_ring_at_a_time() -> None:
    """Each request that is served is followed by a new one: there is an end nevertheless."""
    ring = Ring()
    page = BufferedPage(memoryview(ring))
    ring.put(Kind.PORT, 0x80, 0)
    served = 0
    for _ in page.requests():
        served += 1
        ring.put(Kind.PORT, 0x80, served & 255)
    assert served == RING_SLOTS
    assert next(page.requests()) is not None


@settings(max_examples=30, deadline=None)
@given(st.lists(st.tuples(st.integers(1, 700), st.integers(0, 511), st.booleans()), max_size=10))
def test_no_request_is_lost_or_served_twice_when_pointers_are_brought_back(
    turns: list[tuple[int, int, bool]],
) -> None:
    ring = Ring()
    page = BufferedPage(memoryview(ring))
    sent = received = 0
    for puts, takes, wide in turns:
        for _ in range(puts):
            if ring.put(Kind.MEMORY, 0xB8000, sent, 8 if wide else 4):
                sent += 1
        for _, request in zip(range(takes), page.requests(), strict=False):
            assert isinstance(request, Request)
            assert request.data == received
            received += 1
            if received % 3 == 0 and ring.put(Kind.MEMORY, 0xB8000, sent, 4):
                sent += 1
        # One that was given, but not followed by the question for the next, comes again: as it is in the test alone.
        page = BufferedPage(memoryview(ring)) if not page._ahead else page
        for request in page.requests():
            assert isinstance(request, Request)
            if request.data == received - 1:
                continue
            assert request.data == received
            received += 1
    assert received == sent


def test_pointers_that_make_no_sense() -> None:
    ring = Ring()
    page = BufferedPage(memoryview(ring))
    struct.pack_into("<II", ring, 0, 5, 0x80000000)
    assert [type(found) for found in page.requests()] == [Nonsense]
    assert list(page.requests()) == []
    ring.put(Kind.PORT, 0x80, 3)


@pytest.mark.parametrize(
    ("kind", "address", "size", "reads"), [(0, 0x10000, 1, 0), (0, 0x80, 8, 0), (4, 0, 1, 0), (1, 0, 1, 1)]
)
def test_nonsense_in_the_ring_is_skipped(kind: int, address: int, size: int, reads: int) -> None:
    ring = Ring()
    page = BufferedPage(memoryview(ring))
    ring.put(kind, address, 0, size, reads=bool(reads))
    ring.put(Kind.PORT, 0x80, 3)
    first, second = page.requests()
    assert isinstance(first, Nonsense)
    assert isinstance(second, Request)


def test_half_of_a_double_request() -> None:
    ring = Ring()
    struct.pack_into("<II", ring, 0, 0, 1)
    struct.pack_into("<II", ring, 8, Kind.MEMORY | 3 << 10 | 0xA0000 << 12, 0)
    assert [type(found) for found in BufferedPage(memoryview(ring)).requests()] == [Nonsense]


@given(st.integers(0, 1 << 32), st.integers(0, 2 * RING_SLOTS))
def test_a_ring_of_garbage_ends(seed: int, write: int) -> None:
    ring = Ring()
    ring[:] = random.Random(seed).randbytes(4096)
    if seed & 1:
        struct.pack_into("<II", ring, 0, 0, write)
    assert sum(1 for _ in BufferedPage(memoryview(ring)).requests()) <= RING_SLOTS
