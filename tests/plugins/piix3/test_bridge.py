"""PIIX3's ISA bridge: routing, trigger modes, reset control, registers that are only stored."""

from __future__ import annotations

from typing import Any

import pytest
from southbridge.errors import RealizeError, SouthbridgeError
from southbridge.life import ResetReason
from southbridge.memory.regions import Io
from southbridge.testing import Bench

PIRQRC = 0x60
ELCR1, ELCR2 = 0x4D0, 0x4D1
RCR = 0xCF9


def test_identifies_itself(bench: Bench, bridge: Any) -> None:
    assert bench.config_read(bridge, 0x00, 4) == 0x7000_8086
    assert bench.config_read(bridge, 0x08, 4) >> 8 == 0x060100
    assert bench.config_read(bridge, 0x0E, 1) & 0x80, "other functions follow"
    assert bench.config_read(bridge, 0x04, 4) == 0x0200_0007
    assert not bridge.hotpluggable


@pytest.mark.parametrize("wire", range(4))
@pytest.mark.parametrize("line", [3, 5, 10, 11, 15])
def test_a_routed_wire_drives_its_line(bench: Bench, bridge: Any, wire: int, line: int) -> None:
    bench.config_write(bridge, PIRQRC + wire, 1, line)
    pin = bench.pci.wires[wire].pin()
    pin.set(True)
    assert [n for n in range(16) if bench.irq(n)] == [line]
    pin.set(False)
    assert not bench.irq(line)


@pytest.mark.parametrize("value", [0x80, 0x8B, 0x00, 0x01, 0x02, 0x08, 0x0D])
def test_disabled_and_reserved_routes_lead_nowhere(bench: Bench, bridge: Any, value: int) -> None:
    bench.config_write(bridge, PIRQRC, 1, value)
    bench.pci.wires[0].pin().set(True)
    assert not any(bench.irq(n) for n in range(16))


def test_two_wires_share_a_line(bench: Bench, bridge: Any) -> None:
    bench.config_write(bridge, PIRQRC, 4, 0x8080_0B0B)
    first, second = bench.pci.wires[0].pin(), bench.pci.wires[1].pin()
    first.set(True)
    second.set(True)
    first.set(False)
    assert bench.irq(11)
    second.set(False)
    assert not bench.irq(11)


def test_an_asserted_wire_follows_its_route(bench: Bench, bridge: Any) -> None:
    bench.pci.wires[2].pin().set(True)
    bench.config_write(bridge, PIRQRC + 2, 1, 9)
    assert bench.irq(9)
    bench.config_write(bridge, PIRQRC + 2, 1, 12)
    assert not bench.irq(9)
    assert bench.irq(12)
    bench.config_write(bridge, PIRQRC + 2, 1, 0x80)
    assert not bench.irq(12)


def test_the_timer_line_stays_edge_triggered(bench: Bench, bridge: Any) -> None:
    bench.write_port(ELCR1, 0xFF)
    bench.write_port(ELCR2, 0xFF)
    assert (bench.read_port(ELCR1), bench.read_port(ELCR2)) == (0xF8, 0xDE)
    assert bench.machine.isa.level_triggered == 0xDEF8
    bench.write_port(ELCR1, 0x0C00, 2)
    assert bench.machine.isa.level_triggered == 0x0C00


def test_trigger_modes_come_back_from_an_accelerator(bench: Bench, bridge: Any) -> None:
    bench.machine.isa.adopt_triggers(0x0E20)
    assert (bench.read_port(ELCR1), bench.read_port(ELCR2)) == (0x20, 0x0E)
    assert bench.machine.isa.level_triggered == 0x0E20


@pytest.mark.parametrize(("writes", "resets"), [([0x04], 1), ([0x02, 0x06], 1), ([0x02], 0), ([0x06, 0x06], 1)])
def test_reset_control_acts_on_the_rising_edge(
    bench: Bench, bridge: Any, monkeypatch: pytest.MonkeyPatch, writes: list[int], resets: int
) -> None:
    asked: list[ResetReason] = []
    monkeypatch.setattr(bench.machine, "request_reset", asked.append)
    for value in writes:
        bench.write_port(RCR, value)
    assert asked == [ResetReason.GUEST] * resets
    assert bench.read_port(RCR) == writes[-1]
    bridge.reset()
    assert bench.read_port(RCR) == 0


def test_reset_control_lies_inside_the_configuration_address(bench: Bench, bridge: Any) -> None:
    """The byte is the bridge's, the double word around it the host bridge's, in one piece."""
    seen: list[tuple[int, int, int]] = []
    address = Io("CONFADD", 8, lambda offset, size: 0x8000_0840, lambda *access: seen.append(access), widths={1, 2, 4})
    bench.machine.ports.root.add(0xCF8, address)
    bench.write_port(RCR, 0x02)
    assert seen == []
    assert bench.read_port(RCR) == 0x02
    assert bench.read_port(0xCF8, 4) == 0x8000_0840
    bench.write_port(0xCF8, 0x8000_0904, 4)
    assert seen == [(0, 4, 0x8000_0904)]


@pytest.mark.parametrize(
    ("offset", "size", "reset", "writable"),
    [
        (0x4C, 1, 0x4D, 0xFF),
        (0x4E, 2, 0x0003, 0x01F7),
        (0x69, 1, 0x02, 0xFE),
        (0x6A, 2, 0x0000, 0x8011),
        (0x70, 1, 0x80, 0xAF),
        (0x76, 1, 0x0C, 0x87),
        (0x78, 2, 0x0002, 0xFFFF),
        (0x80, 1, 0x00, 0x7F),
        (0x82, 1, 0x00, 0x0F),
        (0xA0, 1, 0x08, 0x1F),
        (0xA2, 2, 0x0000, 0x01FF),
        (0xA8, 1, 0x0F, 0xFF),
        (0x3C, 1, 0x00, 0x00),
    ],
)
def test_stored_registers_keep_their_reserved_bits(
    bench: Bench, bridge: Any, offset: int, size: int, reset: int, writable: int
) -> None:
    ones = (1 << 8 * size) - 1
    assert bench.config_read(bridge, offset, size) == reset
    bench.config_write(bridge, offset, size, ones)
    assert bench.config_read(bridge, offset, size) == writable | reset & ~writable
    bench.config_write(bridge, offset, size, 0)
    assert bench.config_read(bridge, offset, size) == reset & ~writable


def test_power_management_ports_store(bench: Bench, bridge: Any) -> None:
    bench.write_port(0xB2, 0x12)
    bench.write_port(0xB3, 0x34)
    assert bench.read_port(0xB2, 2) == 0x3412


def test_reset_routes_nothing(bench: Bench, bridge: Any) -> None:
    bench.config_write(bridge, PIRQRC, 1, 11)
    bench.write_port(ELCR2, 0x08)
    bench.pci.wires[0].pin().set(True)
    bridge.reset()
    assert not bench.irq(11)
    assert bench.machine.isa.level_triggered == 0
    assert bench.config_read(bridge, PIRQRC, 4) == 0x8080_8080


def test_routes_are_restored(bench: Bench, bridge: Any) -> None:
    bench.config_write(bridge, PIRQRC, 1, 11)
    bench.write_port(ELCR2, 0x08)
    bench.pci.wires[0].pin().set(True)
    saved = bridge.save()
    bridge.reset()
    bridge.load(saved)
    assert bench.irq(11)
    assert bench.machine.isa.level_triggered == 0x0800
    assert bridge.save() == saved


def test_hostile_state_is_refused(bridge: Any) -> None:
    saved = bridge.save()
    saved["registers"]["PIRQRCA"] = 0x100
    with pytest.raises(SouthbridgeError, match="PIRQRCA"):
        bridge.load(saved)


def test_a_second_bridge_finds_its_ports_taken(bench: Bench, bridge: Any) -> None:
    with pytest.raises(RealizeError, match="overlap"):
        bench.plug("piix3", "another", addr="02.0")
