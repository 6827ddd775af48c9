"""The time-stamp counter: its rate, and that it can be held."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from southbridge.accelerators.unicorn.timekeeping import Rate

from tests.accelerators.unicorn.guest import FakeMachine


class Clocks:
    """A clock and a counter; each look at the clock takes some time, and sometimes much."""

    def __init__(self, hz: int, delays: list[int]) -> None:
        self.time = 5_000_000_000
        self.hz = hz
        self.delays = delays
        self.looks = 0

    def now(self) -> int:
        self.looks += 1
        self.time += self.delays[self.looks % len(self.delays)]
        return self.time

    def read(self) -> int:
        return self.time * self.hz // 1_000_000_000


@given(st.integers(10_000_000, 5_000_000_000), st.lists(st.integers(40, 30_000), min_size=1, max_size=20))
def test_rate(hz: int, delays: list[int]) -> None:
    """Within one look's time of the whole, and never worse later."""
    clocks = Clocks(hz, delays)
    rate = Rate(clocks.read, clocks.now)
    for wait in (0, 10_000_000, 20_000_000_000):
        clocks.time += wait
        assert rate.hz() == pytest.approx(hz, rel=2 * 30_000 / max(1_000_000, wait) + 1e-7)


def test_it_doesnt_change_without_need() -> None:
    clocks = Clocks(2_000_000_000, [50, 70, 90])
    rate = Rate(clocks.read, clocks.now)
    clocks.time += 1_000_000_000
    first = rate.hz()
    clocks.time += 10_000_000
    assert rate.hz() == first


def test_the_machine_learns_the_rate(machine: FakeMachine) -> None:
    """Between a slow counter of AArch64 and a fast CPU."""
    assert 1_000_000 < machine.tsc_hz < 10_000_000_000


def test_the_counter_is_set(machine: FakeMachine) -> None:
    vcpu = machine.vcpu
    vcpu.set_tsc(1 << 60)
    first = vcpu.tsc()
    second = vcpu.tsc()
    assert 1 << 60 <= first < second < (1 << 60) + (1 << 40)
    assert second <= vcpu.save().msrs[0x10]
