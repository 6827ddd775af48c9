"""The debug exit."""

from __future__ import annotations

import pytest
from southbridge import RealizeError, ShutdownReason, SouthbridgeError
from southbridge.testing import Bench

Ends = list[tuple[ShutdownReason, int]]


@pytest.fixture
def ends(bench: Bench) -> Ends:
    """How the machine was asked to end."""
    asked: Ends = []
    bench.machine.request_shutdown = lambda reason, status=0: asked.append((reason, status))  # type: ignore[method-assign]
    return asked


@pytest.mark.parametrize(("value", "status"), [(0, 1), (0x10, 0x21), (0xFF, 0x1FF)])
@pytest.mark.parametrize("port", [0x501, 0x502])
def test_a_byte_ends_the_machine(bench: Bench, ends: Ends, port: int, value: int, status: int) -> None:
    bench.plug("isa-debug-exit")
    bench.write_port(port, value)
    assert ends == [(ShutdownReason.GUEST_SHUTDOWN, status)]


@pytest.mark.parametrize(("size", "value"), [(1, 0x7F), (2, 0x1234), (4, 0x1234_5678)])
def test_wider_values(bench: Bench, ends: Ends, size: int, value: int) -> None:
    bench.plug("isa-debug-exit", iobase=0xF4, iosize=4)
    bench.write_port(0xF4, value, size)
    assert ends == [(ShutdownReason.GUEST_SHUTDOWN, value << 1 | 1)]


def test_a_wide_value_at_an_odd_port_goes_by_bytes_the_low_one_first(bench: Bench, ends: Ends) -> None:
    bench.plug("isa-debug-exit")
    bench.write_port(0x501, 0x0102, 2)
    assert [status for _, status in ends] == [5, 3]


def test_reads_do_nothing(bench: Bench, ends: Ends) -> None:
    bench.plug("isa-debug-exit")
    assert bench.read_port(0x501) == 0
    assert bench.read_port(0x502) == 0
    assert ends == []


def test_ports_beyond_it_are_not_its_own(bench: Bench, ends: Ends) -> None:
    bench.plug("isa-debug-exit", iosize=1)
    bench.write_port(0x502, 1)
    bench.write_port(0x500, 1)
    assert ends == []


def test_wrong_ports_are_named(bench: Bench) -> None:
    with pytest.raises(SouthbridgeError, match="iosize"):
        bench.plug("isa-debug-exit", iosize=0)
    with pytest.raises(RealizeError, match="outside"):
        bench.plug("isa-debug-exit", iobase=0xFFFF)
    bench.plug("isa-debug-exit")
    with pytest.raises(RealizeError, match="overlap"):
        bench.plug("isa-debug-exit", "another", iobase=0x502)
