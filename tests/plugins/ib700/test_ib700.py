"""The IB700's watchdog."""

from __future__ import annotations

import pytest
from southbridge import ResetReason
from southbridge.testing import Bench

DISABLE, ENABLE = 0x441, 0x443


@pytest.fixture
def resets(bench: Bench) -> list[ResetReason]:
    """What the machine was reset for."""
    asked: list[ResetReason] = []
    bench.machine.request_reset = lambda reason: asked.append(reason)  # type: ignore[method-assign]
    return asked


@pytest.mark.parametrize(("value", "seconds"), [(0x0, 30), (0x1, 28), (0x8, 14), (0xE, 2), (0xFE, 2)])
def test_each_value_is_a_time(bench: Bench, resets: list[ResetReason], value: int, seconds: int) -> None:
    bench.plug("ib700")
    bench.write_port(ENABLE, value)
    bench.clock.advance(ms=seconds * 1000 - 1)
    assert resets == []
    bench.clock.advance(ms=2)
    assert resets == [ResetReason.WATCHDOG]
    bench.clock.advance(ms=60_000)
    assert len(resets) == 1


def test_petted_it_waits_on(bench: Bench, resets: list[ResetReason]) -> None:
    bench.plug("ib700")
    for _ in range(20):
        bench.write_port(ENABLE, 0xD)
        bench.clock.advance(ms=3999)
    assert resets == []


def test_it_can_be_stopped(bench: Bench, resets: list[ResetReason]) -> None:
    bench.plug("ib700")
    bench.write_port(ENABLE, 0xE)
    bench.write_port(DISABLE, 0)
    bench.clock.advance(ms=60_000)
    assert resets == []


def test_the_manuals_example_writes_words(bench: Bench, resets: list[ResetReason]) -> None:
    bench.plug("ib700")
    bench.write_port(ENABLE, 0x000E, 2)
    bench.clock.advance(ms=1999)
    bench.write_port(DISABLE, 0x000F, 2)
    bench.clock.advance(ms=60_000)
    assert resets == []


def test_the_longest_value_is_no_time_at_all(bench: Bench, resets: list[ResetReason]) -> None:
    bench.plug("ib700")
    bench.write_port(ENABLE, 0xF)
    bench.clock.advance(ms=1)
    assert resets == [ResetReason.WATCHDOG]
