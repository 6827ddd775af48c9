"""The local APICs' timers: modes, counts, dividers, masks; the shortest period costs no more than its interrupts."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from southbridge.testing import Bench

from tests.plugins.lapic import apics as a
from tests.plugins.lapic.apics import Apics


@pytest.fixture
def one(bench: Bench) -> Apics:
    found = Apics(bench)
    found.write(a.DIVIDE, 0xB)
    return found


def start(apics: Apics, entry: int, count: int) -> None:
    apics.write(a.LVT_TIMER, entry)
    apics.write(a.INITIAL, count)


@pytest.mark.parametrize(
    ("code", "divider"), [(0x0, 2), (0x1, 4), (0x2, 8), (0x3, 16), (0x8, 32), (0x9, 64), (0xA, 128), (0xB, 1)]
)
def test_dividers(one: Apics, code: int, divider: int) -> None:
    one.write(a.DIVIDE, code)
    start(one, 0x51, 1000)
    one.bench.clock.advance(ns=divider * 300)
    assert one.read(a.CURRENT) == 700
    one.bench.clock.advance(ns=divider * 700 - 1)
    assert one.pending() is None
    one.bench.clock.advance(ns=1)
    assert one.pending() == 0x51


def test_one_shot(one: Apics) -> None:
    start(one, 0x51, 1000)
    one.bench.clock.advance(ns=1000)
    assert one.take() == 0x51
    one.write(a.EOI, 0)
    one.bench.clock.advance(ms=10)
    assert (one.pending(), one.read(a.CURRENT), one.read(a.INITIAL)) == (None, 0, 1000)


def test_periodic(one: Apics) -> None:
    start(one, a.PERIODIC | 0x51, 1000)
    for _ in range(5):
        one.bench.clock.advance(ns=999)
        assert (one.pending(), one.read(a.CURRENT)) == (None, 1)
        one.bench.clock.advance(ns=1)
        assert (one.take(), one.read(a.CURRENT)) == (0x51, 1000)
        one.write(a.EOI, 0)
    one.write(a.INITIAL, 0)
    one.bench.clock.advance(ms=10)
    assert (one.pending(), one.read(a.CURRENT)) == (None, 0)


def test_periods_that_end_while_the_last_interrupt_waits_are_one_with_it(one: Apics) -> None:
    start(one, a.PERIODIC | 0x51, 1000)
    one.bench.clock.advance(ns=3500)
    assert one.read(a.CURRENT) == 500
    assert one.take() == 0x51
    one.write(a.EOI, 0)
    assert one.pending() is None
    one.bench.clock.advance(ns=499)
    assert one.pending() is None
    one.bench.clock.advance(ns=1)
    assert one.pending() == 0x51


@pytest.mark.parametrize("entry", [0x51, 0x05], ids=["a vector", "an illegal vector"])
def test_a_period_of_a_nanosecond_is_no_storm(one: Apics, entry: int) -> None:
    """Work follows the guest's interrupts, not the timer's period."""
    fired = 0
    timer = one.device.apics[0].timer.expire
    call = timer.call

    def count() -> None:
        nonlocal fired
        fired += 1
        call()

    timer.call = count
    start(one, a.PERIODIC | entry, 1)
    one.bench.clock.advance(ms=100)
    assert fired == 1
    assert one.bench.clock.deadline() is None


def test_masked_it_counts_without_interrupts(one: Apics) -> None:
    start(one, a.MASKED | 0x51, 1000)
    assert one.bench.clock.deadline() is None
    one.bench.clock.advance(ns=400)
    assert one.read(a.CURRENT) == 600
    one.write(a.LVT_TIMER, 0x51)
    one.bench.clock.advance(ns=600)
    assert one.take() == 0x51
    start(one, a.MASKED | 0x51, 1000)
    one.bench.clock.advance(ns=1000)
    one.write(a.LVT_TIMER, 0x51)
    one.bench.clock.advance(ns=1000)
    assert one.pending() is None


def test_a_late_host_is_not_seen(one: Apics) -> None:
    start(one, 0x51, 1000)
    one.bench.clock.set(5000)  # nobody ran the timers
    assert one.read(a.CURRENT) == 0
    assert one.pending() == 0x51
    start(one, 0x61, 1000)
    one.bench.clock.set(9000)
    one.write(a.LVT_TIMER, a.MASKED)
    assert one.vectors(a.IRR) == [0x51, 0x61]


def test_a_divider_changed_underway(one: Apics) -> None:
    start(one, 0x51, 1000)
    one.bench.clock.advance(ns=500)
    one.write(a.DIVIDE, 0x0)
    assert one.read(a.CURRENT) == 500
    one.bench.clock.advance(ns=999)
    assert one.pending() is None
    one.bench.clock.advance(ns=1)
    assert one.pending() == 0x51


def test_one_shot_becomes_periodic_underway(one: Apics) -> None:
    start(one, 0x51, 1000)
    one.bench.clock.advance(ns=500)
    one.write(a.LVT_TIMER, a.PERIODIC | 0x51)
    one.bench.clock.advance(ns=500)
    assert one.take() == 0x51
    one.bench.clock.advance(ns=1000)
    one.write(a.EOI, 0)
    assert one.pending() == 0x51


@pytest.mark.parametrize("cause", ["init", "reset", "software", "hardware"])
def test_what_stops_it(one: Apics, cause: str) -> None:
    start(one, a.PERIODIC | 0x51, 1000)
    if cause == "init":
        one.ipi(a.INIT | a.ASSERT, 0)
    elif cause == "reset":
        one.device.reset()
    elif cause == "software":
        one.write(a.SVR, 0xFF)
    else:
        one.machine.msrs.write(0, a.MSR_BASE, 0xFEE0_0000)
    one.bench.clock.advance(ms=1)
    assert one.pending() is None
    assert one.bench.clock.deadline() is None


# --- TSC deadline ----------------------------------------------------------------------------------------------------


def deadline(apics: Apics, value: int) -> None:
    assert apics.machine.msrs.write(0, a.MSR_DEADLINE, value)


def test_tsc_deadline(bench: Bench) -> None:
    apics = Apics(bench, deadline=True)
    apics.machine.tsc_hz = 3_000_000_000
    apics.write(a.LVT_TIMER, a.TSC_DEADLINE | 0x51)
    deadline(apics, 3001)
    assert apics.machine.msrs.read(0, a.MSR_DEADLINE) == 3001
    bench.clock.advance(ns=1000)
    assert apics.pending() is None
    bench.clock.advance(ns=1)
    assert apics.take() == 0x51
    assert apics.machine.msrs.read(0, a.MSR_DEADLINE) == 0
    apics.write(a.EOI, 0)
    deadline(apics, 1)  # long ago
    bench.clock.advance()
    assert apics.take() == 0x51


def test_a_deadline_taken_back(bench: Bench) -> None:
    apics = Apics(bench, deadline=True)
    apics.write(a.LVT_TIMER, a.TSC_DEADLINE | 0x51)
    deadline(apics, 1000)
    deadline(apics, 0)
    bench.clock.advance(ms=1)
    assert apics.pending() is None


def test_the_modes_exclude_each_other(bench: Bench) -> None:
    apics = Apics(bench, deadline=True)
    deadline(apics, 1000)
    assert apics.machine.msrs.read(0, a.MSR_DEADLINE) == 0
    apics.write(a.LVT_TIMER, 0x51)
    apics.write(a.INITIAL, 1000)
    apics.write(a.LVT_TIMER, a.TSC_DEADLINE | 0x51)
    assert apics.read(a.CURRENT) == 0
    apics.write(a.INITIAL, 1000)
    bench.clock.advance(ms=1)
    assert apics.pending() is None
    deadline(apics, 10_000_000)
    apics.write(a.LVT_TIMER, 0x51)
    bench.clock.advance(ms=20)
    assert apics.pending() is None


def test_a_tsc_that_runs_slower_than_it_says_is_waited_for(bench: Bench) -> None:
    apics = Apics(bench, deadline=True)
    apics.machine.cpus.tsc = lambda cpu: bench.clock.now() * 3 // 4
    apics.write(a.LVT_TIMER, a.TSC_DEADLINE | 0x51)
    deadline(apics, 750)
    bench.clock.advance(ns=999)
    assert apics.pending() is None
    bench.clock.advance(ns=1)
    assert apics.pending() == 0x51


@pytest.mark.parametrize("value", [(1 << 64) - 1, 1 << 63])
def test_a_deadline_in_the_far_future_can_be_saved(bench: Bench, value: int) -> None:
    apics = Apics(bench, deadline=True)
    apics.write(a.LVT_TIMER, a.TSC_DEADLINE | 0x51)
    deadline(apics, value)
    apics.device.load(apics.device.save())
    assert apics.machine.msrs.read(0, a.MSR_DEADLINE) == value


def test_without_the_feature_the_mode_is_not_there(one: Apics) -> None:
    one.write(a.LVT_TIMER, a.TSC_DEADLINE | a.PERIODIC | 0x51)
    assert one.read(a.LVT_TIMER) == a.PERIODIC | 0x51
    assert not one.machine.msrs.write(0, a.MSR_DEADLINE, 1)


def test_the_reserved_mode_is_not_stored(bench: Bench) -> None:
    apics = Apics(bench, deadline=True)
    apics.write(a.LVT_TIMER, a.TSC_DEADLINE | a.PERIODIC | 0x51)
    assert apics.read(a.LVT_TIMER) == a.PERIODIC | 0x51


# --- beside a timer that goes count by count -------------------------------------------------------------------------


@settings(deadline=None, max_examples=150)
@given(
    st.integers(1, 30),
    st.booleans(),
    st.lists(
        st.tuples(st.integers(0, 40), st.sampled_from(["look", "take", "mask", "unmask", "restart"])), max_size=12
    ),
)
def test_any_life(initial: int, periodic: bool, steps: list[tuple[int, str]]) -> None:
    apics = Apics(Bench(memory=1 << 20))
    apics.write(a.DIVIDE, 0xB)
    entry = 0x51 | (a.PERIODIC if periodic else 0)
    start(apics, entry, initial)
    count, waits, masked = initial, False, False
    for time, what in steps:
        for _ in range(time):
            if count:
                count -= 1
                if not count:
                    waits = waits or not masked
                    count = initial if periodic else 0
        apics.bench.clock.advance(ns=time)
        if what == "take" and apics.pending() is not None:
            apics.take()
            apics.write(a.EOI, 0)
            assert waits
            waits = False
        elif what in ("mask", "unmask"):
            masked = what == "mask"
            apics.write(a.LVT_TIMER, entry | (a.MASKED if masked else 0))
        elif what == "restart":
            apics.write(a.INITIAL, initial)
            count = initial
        assert (apics.pending() is not None) == waits
        assert apics.read(a.CURRENT) == count
