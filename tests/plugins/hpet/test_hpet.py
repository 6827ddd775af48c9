"""The HPET: capabilities, counter, one-shot and periodic timers, routes, legacy replacement, messages, saved state."""

from __future__ import annotations

import struct
from functools import partial
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from southbridge import RealizeError, hookimpl
from southbridge.testing import Bench

BASE = 0xFED0_0000
CAPABILITIES, CONFIG, STATUS, COUNTER = 0x000, 0x010, 0x020, 0x0F0
ENABLE, LEGACY = 1, 2
T_LEVEL, T_ENABLE, T_PERIODIC, T_VAL_SET, T_32, T_FSB = 1 << 1, 1 << 2, 1 << 3, 1 << 6, 1 << 8, 1 << 14
ROUTE_2 = 2 << 9
TICK = 10
ONES = (1 << 64) - 1


class Hpet:
    """The device; time in counts."""

    def __init__(self, bench: Bench) -> None:
        self.bench = bench
        self.device: Any = bench.plug("hpet")
        self.messages: list[tuple[int, int]] = []
        bench.machine.hooks.register(self, "messages")
        self.rises = dict.fromkeys(range(16), 0)
        for number, wire in enumerate(bench.machine.isa.wires):
            wire.connect(partial(self._changed, number))

    def _changed(self, number: int, level: bool) -> None:
        self.rises[number] += level

    @hookimpl
    def msi_send(self, address: int, data: int) -> bool:
        self.messages.append((address, data))
        return True

    def read(self, offset: int, size: int = 8) -> int:
        return self.bench.read_mmio(BASE + offset, size)

    def write(self, offset: int, value: int, size: int = 8) -> None:
        self.bench.write_mmio(BASE + offset, value, size)

    def timer(self, number: int, config: int, comparator: int | None = None, period: int | None = None) -> None:
        at = 0x100 + 0x20 * number
        if comparator is not None and not config & T_PERIODIC:
            self.write(at + 8, comparator)
        self.write(at, config)
        if config & T_PERIODIC and comparator is not None:
            self.write(at, config | T_VAL_SET)
            self.write(at + 8, comparator)
            self.write(at + 8, period or 0)

    def comparator(self, number: int) -> int:
        return self.read(0x108 + 0x20 * number)

    def wait(self, counts: int) -> None:
        self.bench.clock.advance(ns=counts * TICK)


@pytest.fixture
def hpet(bench: Bench) -> Hpet:
    found = Hpet(bench)
    found.write(CONFIG, ENABLE)
    return found


# --- registers -------------------------------------------------------------------------------------------------------


def test_after_a_reset(bench: Bench) -> None:
    hpet = Hpet(bench)
    assert hpet.read(CAPABILITIES) == 0x0098_9680_8086_A201  # 10^7 fs, Intel, legacy, 64 bits, three timers, revision 1
    assert [hpet.read(offset) for offset in (CONFIG, STATUS, COUNTER)] == [0, 0, 0]
    for number in range(3):
        assert hpet.read(0x100 + 0x20 * number) == 0x0000_0004_0000_8030
        assert (hpet.comparator(number), hpet.read(0x110 + 0x20 * number)) == (ONES, 0)


@pytest.mark.parametrize(
    ("offset", "kept"),
    [(CAPABILITIES, 0x0098_9680_8086_A201), (CONFIG, 3), (0x100, 0x4_0000_C13E), (0x110, ONES)],
)
def test_writable_bits(bench: Bench, offset: int, kept: int) -> None:
    hpet = Hpet(bench)
    hpet.write(offset, ONES)
    assert hpet.read(offset) == kept


@pytest.mark.parametrize("offset", [0x0F0, 0x108, 0x110])
def test_doublewords_and_quadwords(bench: Bench, offset: int) -> None:
    hpet = Hpet(bench)
    hpet.write(offset, 0x1122_3344_5566_7788)
    assert (hpet.read(offset, 4), hpet.read(offset + 4, 4)) == (0x5566_7788, 0x1122_3344)
    hpet.write(offset + 4, 0xAABB_CCDD, 4)
    hpet.write(offset, 0x0102_0304, 4)
    assert hpet.read(offset) == 0xAABB_CCDD_0102_0304


# --- the counter -----------------------------------------------------------------------------------------------------


def test_the_counter(bench: Bench) -> None:
    hpet = Hpet(bench)
    hpet.wait(100)
    assert hpet.read(COUNTER) == 0
    hpet.write(CONFIG, ENABLE)
    hpet.wait(100)
    assert hpet.read(COUNTER) == 100
    hpet.write(CONFIG, 0)
    hpet.wait(100)
    assert hpet.read(COUNTER) == 100
    hpet.write(COUNTER, ONES - 1)
    hpet.write(CONFIG, ENABLE)
    hpet.wait(3)
    assert hpet.read(COUNTER) == 1


def test_configuration_writes_lose_no_part_of_a_count(hpet: Hpet) -> None:
    for _ in range(10):
        hpet.bench.clock.advance(ns=7)
        hpet.write(CONFIG, ENABLE)
    assert hpet.read(COUNTER) == 7


def test_setting_a_running_counter_is_a_guest_error(hpet: Hpet) -> None:
    hpet.write(COUNTER, 5)
    assert hpet.read(COUNTER) == 5
    assert hpet.bench.guest_errors


# --- timers ----------------------------------------------------------------------------------------------------------


def test_one_shot(hpet: Hpet) -> None:
    hpet.timer(0, T_ENABLE | ROUTE_2, 1000)
    hpet.wait(999)
    assert hpet.rises[2] == 0
    hpet.wait(1)
    assert hpet.rises[2] == 1
    assert (hpet.read(STATUS), hpet.bench.irq(2)) == (0, True)
    hpet.wait(1_000_000)
    hpet.write(0x100, T_ENABLE | ROUTE_2)
    hpet.write(STATUS, 7)
    hpet.wait(1_000_000)
    assert hpet.rises[2] == 1


def test_an_edge_lasts_until_an_8259_has_taken_it(hpet: Hpet) -> None:
    """Which forgets a request that goes away before. The line goes down before the next edge, or with the timer."""
    hpet.write(CONFIG, ENABLE | LEGACY)
    pic = hpet.bench.plug("i8259")
    for port, value in ((0x20, 0x11), (0x21, 0x20), (0x21, 0x04), (0x21, 0x01), (0x21, 0xFE)):
        hpet.bench.write_port(port, value)
    for _ in range(2):
        hpet.timer(0, T_ENABLE, hpet.read(COUNTER) + 1000)
        hpet.wait(2000)
        assert pic.pending_vector() == 0x20
        pic.acknowledge(0x20)
        hpet.bench.write_port(0x20, 0x20)
        assert pic.pending_vector() is None, "the line is up, but that was no edge"
    hpet.write(0x100, 0)
    assert not hpet.bench.irq(0)


def test_32_bits_wrap(hpet: Hpet) -> None:
    hpet.timer(0, T_ENABLE | T_32 | ROUTE_2, 1000)
    hpet.wait(1000)
    hpet.wait((1 << 32) - 1)
    assert hpet.rises[2] == 1
    hpet.wait(1)
    assert hpet.rises[2] == 2


def test_a_comparator_that_the_counter_has_just_passed_counts(hpet: Hpet) -> None:
    """The host may have been late with the guest's store."""
    hpet.wait(1000)
    hpet.timer(0, T_ENABLE | ROUTE_2, 990)
    hpet.wait(1)
    assert hpet.rises[2] == 1


@pytest.mark.parametrize("comparator", [ONES, 1 << 63, 0x1_0000_0000])
def test_one_that_it_never_had_does_not(hpet: Hpet, comparator: int) -> None:
    hpet.wait(1000)
    hpet.timer(0, T_ENABLE | ROUTE_2, comparator)
    hpet.wait(1000)
    assert hpet.rises[2] == 0


def test_one_that_it_passed_long_ago_does_not(hpet: Hpet) -> None:
    hpet.wait(300_000_000)
    hpet.timer(0, T_ENABLE | ROUTE_2, 1000)
    hpet.wait(1000)
    assert hpet.rises[2] == 0


def test_a_timer_waits_for_the_counter_and_for_its_enable(bench: Bench) -> None:
    hpet = Hpet(bench)
    hpet.timer(0, T_ENABLE | ROUTE_2, 1000)
    hpet.wait(2000)
    hpet.write(CONFIG, ENABLE)
    hpet.write(0x100, ROUTE_2)
    hpet.wait(900)
    hpet.write(0x100, T_ENABLE | ROUTE_2)
    hpet.wait(99)
    assert hpet.rises[2] == 0
    hpet.wait(1)
    assert hpet.rises[2] == 1


@pytest.mark.parametrize("width", [0, T_32])
def test_periodic(hpet: Hpet, width: int) -> None:
    hpet.timer(0, T_ENABLE | T_PERIODIC | ROUTE_2 | width, 50_000, 20_000)
    assert hpet.comparator(0) == 50_000
    hpet.wait(49_999)
    assert hpet.rises[2] == 0
    for count in range(1, 6):
        hpet.wait(1)
        assert hpet.rises[2] == count
        assert hpet.comparator(0) == 50_000 + 20_000 * count
        hpet.wait(19_999)
        assert hpet.rises[2] == count


def test_a_late_host_drops_periods_but_does_not_drift(hpet: Hpet) -> None:
    hpet.timer(0, T_ENABLE | T_PERIODIC | ROUTE_2, 20_000, 20_000)
    hpet.bench.clock.set(65_000 * TICK)
    assert hpet.comparator(0) == 80_000
    assert hpet.rises[2] == 1
    hpet.wait(14_999)
    assert hpet.rises[2] == 1
    hpet.wait(1)
    assert hpet.rises[2] == 2


@pytest.mark.parametrize("period", [1, 2, 999])
@pytest.mark.parametrize("number", [0, 1, 2])
def test_a_tiny_period_is_no_storm(hpet: Hpet, period: int, number: int) -> None:
    """At most one interrupt in 100 us, whatever the period is; the comparator is where it must be."""
    hpet.timer(number, T_ENABLE | T_PERIODIC | ROUTE_2, 1000, period)
    hpet.wait(10_000_000)
    assert hpet.rises[2] <= 1001
    assert 0 < hpet.comparator(number) - hpet.read(COUNTER) <= period


def test_a_period_of_none_interrupts_once(hpet: Hpet) -> None:
    hpet.timer(0, T_ENABLE | T_PERIODIC | ROUTE_2, 1000, 0)
    hpet.wait(1_000_000)
    assert hpet.rises[2] <= 1


def test_level(hpet: Hpet) -> None:
    hpet.timer(1, T_ENABLE | T_LEVEL | ROUTE_2, 1000)
    hpet.wait(5000)
    assert (hpet.read(STATUS), hpet.bench.irq(2)) == (2, True)
    hpet.write(STATUS, 1)
    assert (hpet.read(STATUS), hpet.bench.irq(2)) == (2, True)
    hpet.write(STATUS, 2)
    assert (hpet.read(STATUS), hpet.bench.irq(2)) == (0, False)
    hpet.wait(5000)
    assert hpet.rises[2] == 1


def test_a_periodic_level_comes_again_once_it_was_cleared(hpet: Hpet) -> None:
    hpet.timer(0, T_ENABLE | T_LEVEL | T_PERIODIC | ROUTE_2, 20_000, 20_000)
    hpet.wait(50_000)
    assert hpet.rises[2] == 1
    assert hpet.bench.clock.deadline() is None
    hpet.write(STATUS, 1)
    hpet.wait(10_000)
    assert hpet.rises[2] == 2


@pytest.mark.parametrize("config", [T_LEVEL | ROUTE_2, T_ENABLE | ROUTE_2], ids=["disabled", "edge"])
def test_a_level_that_is_no_more_lets_go(hpet: Hpet, config: int) -> None:
    hpet.timer(0, T_ENABLE | T_LEVEL | ROUTE_2, 1000)
    hpet.wait(1000)
    hpet.write(0x100, config)
    assert (hpet.read(STATUS), hpet.bench.irq(2)) == (0, False)


def test_a_route_that_is_not_there(hpet: Hpet) -> None:
    hpet.timer(0, T_ENABLE | 5 << 9, 1000)
    assert hpet.read(0x100) >> 9 & 0x1F == 0
    assert hpet.bench.guest_errors
    hpet.wait(1000)
    assert not any(hpet.rises.values())


@pytest.mark.parametrize("level", [0, T_LEVEL])
def test_messages(hpet: Hpet, level: int) -> None:
    hpet.write(0x110, 0xFEE0_1000_0000_4051)
    hpet.timer(0, T_ENABLE | T_FSB | ROUTE_2 | level, 1000)
    hpet.wait(1000)
    assert hpet.messages == [(0xFEE0_1000, 0x4051)]
    assert not any(hpet.rises.values())


# --- legacy replacement ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("number", "line"), [(0, 0), (1, 8)])
def test_legacy_replacement(hpet: Hpet, number: int, line: int) -> None:
    """The line is the timer's alone, whatever the route says; and the other device's again afterwards."""
    other = hpet.bench.machine.isa.wires[line].pin()
    other.set(True)
    hpet.write(CONFIG, ENABLE | LEGACY)
    assert not hpet.bench.irq(line)
    other.set(False)
    other.set(True)
    assert hpet.rises[line] == 1
    hpet.timer(number, T_ENABLE | ROUTE_2, 1000)
    hpet.wait(1000)
    assert (hpet.rises[line], hpet.rises[2]) == (2, 0)
    hpet.write(CONFIG, ENABLE)
    assert hpet.bench.irq(line)
    assert hpet.rises[line] == 3


def test_timer_2_is_never_replaced(hpet: Hpet) -> None:
    hpet.write(CONFIG, ENABLE | LEGACY)
    hpet.timer(2, T_ENABLE | ROUTE_2, 1000)
    hpet.wait(1000)
    assert {line for line, count in hpet.rises.items() if count} == {2}


@pytest.mark.parametrize("how", ["reset", "unplug"])
def test_the_lines_go_back(hpet: Hpet, how: str) -> None:
    other = hpet.bench.machine.isa.wires[0].pin()
    other.set(True)
    hpet.write(CONFIG, ENABLE | LEGACY)
    assert not hpet.bench.irq(0)
    if how == "reset":
        hpet.device.reset()
    else:
        hpet.bench.machine.unplug(hpet.device)
    assert hpet.bench.irq(0)


def test_the_8254_and_the_clock_are_not_heard(bench: Bench) -> None:
    hpet = Hpet(bench)
    bench.plug("i8254")
    bench.write_port(0x43, 0x34)
    bench.write_port(0x40, 0)
    bench.write_port(0x40, 1)
    bench.clock.advance(ms=1)
    ticks = hpet.rises[0]
    assert ticks > 3
    hpet.write(CONFIG, LEGACY)
    bench.clock.advance(ms=1)
    assert hpet.rises[0] == ticks
    hpet.write(CONFIG, 0)
    bench.clock.advance(ms=1)
    assert hpet.rises[0] > ticks + 3


# --- the device ------------------------------------------------------------------------------------------------------


def test_firmware_is_told(hpet: Hpet) -> None:
    item = hpet.bench.machine.firmware_config.items[0x8004]
    assert isinstance(item, bytes)
    assert len(item) == 121
    assert struct.unpack_from("<BIQHB", item) == (1, 0x8086_A201, BASE, 100, 0)
    hpet.bench.machine.unplug(hpet.device)
    assert 0x8004 not in hpet.bench.machine.firmware_config.items


def test_a_second_one_is_refused(hpet: Hpet) -> None:
    with pytest.raises(RealizeError, match="overlap"):
        hpet.bench.plug("hpet", "another")
    assert 0x8004 in hpet.bench.machine.firmware_config.items


def test_state_is_restored(hpet: Hpet) -> None:
    other = hpet.bench.machine.isa.wires[0].pin()
    other.set(True)
    hpet.write(CONFIG, ENABLE | LEGACY)
    hpet.timer(0, T_ENABLE | T_PERIODIC, 20_000, 30_000)
    hpet.timer(2, T_ENABLE | T_LEVEL | ROUTE_2, 1000)
    hpet.wait(5000)
    saved = hpet.device.save()
    hpet.device.reset()
    assert (hpet.bench.irq(0), hpet.bench.irq(2)) == (True, False)
    hpet.device.load(saved)
    assert hpet.device.save() == saved
    assert (hpet.bench.irq(0), hpet.bench.irq(2), hpet.read(STATUS)) == (False, True, 4)
    before = hpet.rises[0]
    hpet.wait(15_000)
    assert (hpet.rises[0], hpet.comparator(0)) == (before + 1, 50_000)


# --- beside a timer that goes count by count -------------------------------------------------------------------------


@settings(deadline=None, max_examples=100)
@given(
    first=st.integers(1, 40),
    period=st.integers(10, 40),
    start=st.sampled_from([0, ONES - 25, (1 << 32) - 20]),
    width=st.sampled_from([0, T_32]),
    steps=st.lists(st.tuples(st.integers(0, 30), st.sampled_from(["look", "stop", "go", "save"])), max_size=10),
)
def test_any_life(first: int, period: int, start: int, width: int, steps: list[tuple[int, str]]) -> None:
    """A period in thousands of counts, so that no interrupts are merged."""
    thousand = 1000
    hpet = Hpet(Bench(memory=1 << 20))
    mask = (1 << 32) - 1 if width else ONES
    count = start
    comparator = start + first * thousand & mask
    hpet.write(COUNTER, start)
    hpet.timer(0, T_ENABLE | T_PERIODIC | ROUTE_2 | width, comparator, period * thousand)
    hpet.write(CONFIG, ENABLE)
    running, interrupts = True, 0
    for time, what in steps:
        for _ in range(time if running else 0):
            count += thousand
            if comparator == count & mask:
                interrupts += 1
                comparator = comparator + period * thousand & mask
        hpet.wait(time * thousand)
        if what in ("stop", "go"):
            running = what == "go"
            hpet.write(CONFIG, int(running))
        elif what == "save":
            hpet.device.load(hpet.device.save())
        assert hpet.read(COUNTER) == count & ONES
        assert hpet.comparator(0) == comparator
        assert hpet.rises[2] == interrupts
