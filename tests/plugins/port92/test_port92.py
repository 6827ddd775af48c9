"""System control port A."""

from __future__ import annotations

from typing import Any

import pytest
from southbridge import RealizeError, ResetReason
from southbridge.testing import Bench

PORT = 0x92


@pytest.fixture
def resets(bench: Bench) -> list[ResetReason]:
    """The resets that were asked for."""
    asked: list[ResetReason] = []
    bench.machine.request_reset = asked.append  # type: ignore[method-assign, assignment]
    return asked


def test_address_line_20_is_open_after_a_reset(bench: Bench) -> None:
    device = bench.plug("port92")
    assert bench.machine.a20.enabled
    assert bench.read_port(PORT) == 0x02
    bench.write_port(PORT, 0)
    assert not bench.machine.a20.enabled
    device.reset()
    assert bench.machine.a20.enabled
    assert bench.read_port(PORT) == 0x02


def test_the_line_stays_open_while_another_source_opens_it(bench: Bench) -> None:
    bench.plug("port92")
    bench.machine.a20.set("keyboard controller", True)
    bench.write_port(PORT, 0)
    assert bench.machine.a20.enabled
    bench.machine.a20.set("keyboard controller", False)
    assert not bench.machine.a20.enabled
    bench.write_port(PORT, 0x02)
    assert bench.machine.a20.enabled


def test_a_rising_bit_0_resets(bench: Bench, resets: list[ResetReason]) -> None:
    bench.plug("port92")
    bench.write_port(PORT, 0x02)
    assert resets == []
    bench.write_port(PORT, 0x03)
    bench.write_port(PORT, 0x03)
    assert resets == [ResetReason.GUEST]
    bench.write_port(PORT, 0x02)
    bench.write_port(PORT, 0x01)
    assert len(resets) == 2


def test_a_reset_takes_bit_0_back(bench: Bench, resets: list[ResetReason]) -> None:
    device = bench.plug("port92")
    bench.write_port(PORT, 0x03)
    device.reset()
    bench.write_port(PORT, 0x03)
    assert len(resets) == 2


def test_other_bits_read_as_0(bench: Bench) -> None:
    bench.plug("port92")
    bench.write_port(PORT, 0xFE)
    assert bench.read_port(PORT) == 0x02


def test_restored_state_switches_the_line(bench: Bench, resets: list[ResetReason]) -> None:
    device: Any = bench.plug("port92")
    bench.write_port(PORT, 0x01)
    saved = device.save()
    device.reset()
    device.load(saved)
    assert not bench.machine.a20.enabled
    assert bench.read_port(PORT) == 0x01
    assert len(resets) == 1, "it was carried out before"


def test_there_is_one_port_92(bench: Bench) -> None:
    bench.plug("port92")
    with pytest.raises(RealizeError, match="0x92"):
        bench.plug("port92", "another")
