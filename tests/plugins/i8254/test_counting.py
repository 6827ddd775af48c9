"""Random lives of the speaker's counter and the system timer, beside a naive model that goes pulse by pulse."""

from __future__ import annotations

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule
from southbridge.testing import Bench

from tests.plugins.i8254.naive import NaiveCounter

MODES = st.integers(0, 7)
SMALL = st.sampled_from([0, 0, 1, 2, 3, 4, 5, 9, 0x10, 0x99])
SHORT = st.integers(1, 12)
WAITS = st.one_of(
    SHORT, SHORT, SHORT, st.integers(1, 300), st.integers(1, 300), st.sampled_from([9_999, 65_536, 65_537])
)


def time_of(pulse: int) -> int:
    """The first nanosecond at which there were so many pulses of 105/88 MHz."""
    return (pulse * 88_000 + 104) // 105


class Life(RuleBasedStateMachine):
    """`index` is the counter; only counter 2 has a gate, only counter 0 an interrupt."""

    index = 2

    def __init__(self) -> None:
        super().__init__()
        self.bench = Bench(memory=1 << 20)
        self.device = self.bench.plug("i8254")
        self.naive = NaiveCounter()
        self.naive.gate = self.index != 2
        self.pulses = 0
        self.rises: list[int] = []
        self.expected_rises: list[int] = []
        self.bench.machine.isa.wires[0].connect(self.irq_changed)

    def irq_changed(self, level: bool) -> None:
        if level:
            self.rises.append(self.bench.clock.now())

    def follow(self, out_before: bool) -> None:
        if self.naive.out and not out_before:
            self.expected_rises.append(self.bench.clock.now())

    def wait(self, pulses: int) -> None:
        for _ in range(pulses):
            self.pulses += 1
            before = self.naive.out
            self.naive.pulse()
            if self.naive.out and not before:
                self.expected_rises.append(time_of(self.pulses))
        self.bench.clock.advance(ns=time_of(self.pulses) - self.bench.clock.now())

    @rule(pulses=WAITS)
    def some_time(self, pulses: int) -> None:
        self.wait(pulses)

    @rule(access=st.integers(1, 3), mode=MODES, decimal=st.booleans(), low=SMALL, high=SMALL, pulses=WAITS)
    def program(self, access: int, mode: int, decimal: bool, low: int, high: int, pulses: int) -> None:
        self.control(access, mode, decimal)
        self.write(low)
        if access == 3:
            self.write(high)
        self.wait(pulses)

    @rule(access=st.integers(1, 3), mode=MODES, decimal=st.booleans())
    def control(self, access: int, mode: int, decimal: bool) -> None:
        before = self.naive.out
        self.bench.write_port(0x43, self.index << 6 | access << 4 | mode << 1 | decimal)
        self.naive.control(access, mode, decimal)
        self.follow(before)

    @rule(byte=SMALL)
    def write(self, byte: int) -> None:
        illegal = self.naive.mode in (2, 3) and byte == 1
        byte = 2 if illegal else byte
        self.bench.write_port(0x40 + self.index, byte)
        self.naive.write(byte)

    @precondition(lambda self: self.index == 2)
    @rule(level=st.booleans())
    def gate(self, level: bool) -> None:
        self.bench.write_port(0x61, level)
        self.naive.set_gate(level)

    @rule()
    def save_and_load(self) -> None:
        self.device.load(self.device.save())

    @invariant()
    def same(self) -> None:
        status, count = self.naive.read_back()
        self.bench.write_port(0x43, 0xC0 | 2 << self.index)
        port = 0x40 + self.index
        assert self.bench.read_port(port) == status
        first = self.bench.read_port(port)
        if self.naive.access == 3:
            first |= self.bench.read_port(port) << 8
            assert first == count
        else:
            assert first == (count >> 8 if self.naive.access == 2 else count & 0xFF)
        if self.index == 2:
            assert self.bench.read_port(0x61) >> 5 & 1 == self.naive.out
        else:
            assert self.rises == self.expected_rises


class SystemTimerLife(Life):
    index = 0

    def __init__(self) -> None:
        super().__init__()
        assert not self.bench.irq(0), "OUT is low after a reset"


LIFE = settings(max_examples=30, stateful_step_count=20, deadline=None)

TestSpeakerCounter = Life.TestCase
TestSpeakerCounter.settings = LIFE
TestSystemTimer = SystemTimerLife.TestCase
TestSystemTimer.settings = LIFE


@pytest.mark.parametrize("mode", [0, 2, 3, 4])
@pytest.mark.parametrize("count", range(2, 10))
def test_many_pulses_at_once_are_as_many_single_ones(mode: int, count: int) -> None:
    """Counter 0 is looked at after each pulse, counter 1 after some of them."""
    bench = Bench(memory=1 << 20)
    bench.plug("i8254")
    for port in (0x40, 0x41):
        bench.write_port(0x43, (port & 3) << 6 | 0x10 | mode << 1)
        bench.write_port(port, count)
    pulse = 0
    for jump in range(1, 3 * count):
        for _ in range(jump):
            pulse += 1
            bench.clock.advance(ns=time_of(pulse) - bench.clock.now())
            bench.write_port(0x43, 0xC2)
            single = bench.read_port(0x40), bench.read_port(0x40)
        bench.write_port(0x43, 0xC4)
        assert (bench.read_port(0x41), bench.read_port(0x41)) == single
