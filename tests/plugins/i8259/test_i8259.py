"""The interrupt controllers: initialization, modes, the cascade, spurious interrupts, reset and saved state."""

from __future__ import annotations

from typing import Any

import pytest
from southbridge import RealizeError, SouthbridgeError
from southbridge.interrupts import Pin
from southbridge.testing import Bench

MASTER, SLAVE = 0x20, 0xA0
EOI, READ_IRR, READ_ISR, POLL = 0x20, 0x0A, 0x0B, 0x0C


class Pair:
    """The device, lines to pull, and a record of what the machine was told."""

    def __init__(self, bench: Bench, icw1: int = 0x11, icw4: int = 0x01) -> None:
        self.bench = bench
        self.changes = 0
        bench.machine.cpus.interrupt_changed = self._changed  # type: ignore[method-assign]
        self.device: Any = bench.plug("i8259")
        self.pins: list[Pin] = [wire.pin() for wire in bench.machine.isa.wires]
        self.initialize(icw1, icw4)

    def _changed(self) -> None:
        self.changes += 1

    def initialize(self, icw1: int = 0x11, icw4: int = 0x01) -> None:
        for port, base, icw3 in ((MASTER, 0x08, 0x04), (SLAVE, 0x70, 0x02)):
            self.bench.write_port(port, icw1)
            for icw in (base, icw3, icw4):
                self.bench.write_port(port + 1, icw)

    @property
    def pending(self) -> int | None:
        vector: int | None = self.device.pending_vector()
        return vector

    def take(self) -> int:
        vector = self.pending
        assert vector is not None
        self.device.acknowledge(vector)
        return vector

    def registers(self, port: int) -> tuple[int, int, int]:
        """IRR, ISR, IMR."""
        self.bench.write_port(port, READ_IRR)
        irr = self.bench.read_port(port)
        self.bench.write_port(port, READ_ISR)
        return irr, self.bench.read_port(port), self.bench.read_port(port + 1)


@pytest.fixture
def pair(bench: Bench) -> Pair:
    return Pair(bench)


def test_an_edge_is_served_once(pair: Pair) -> None:
    assert pair.pending is None
    pair.pins[4].set(True)
    assert pair.pending == 0x0C
    assert pair.registers(MASTER) == (0x10, 0, 0)
    assert pair.take() == 0x0C
    assert pair.registers(MASTER) == (0, 0x10, 0)
    pair.bench.write_port(MASTER, EOI)
    assert pair.registers(MASTER) == (0, 0, 0)
    assert pair.pending is None
    pair.pins[4].set(False)
    pair.pins[4].set(True)
    assert pair.pending == 0x0C


def test_the_slave_is_served_through_the_masters_ir2(pair: Pair) -> None:
    pair.pins[12].set(True)
    assert pair.registers(MASTER)[0] == 0x04
    assert pair.take() == 0x74
    assert pair.registers(MASTER)[:2] == (0, 0x04)
    assert pair.registers(SLAVE)[:2] == (0, 0x10)


def test_the_machine_is_told_of_each_change_and_of_nothing_else(pair: Pair) -> None:
    pair.changes = 0
    pair.pins[4].set(True)
    assert pair.changes == 1
    pair.pins[5].set(True)
    assert pair.changes == 1
    pair.pins[3].set(True)
    assert (pair.changes, pair.pending) == (2, 0x0B)
    pair.bench.write_port(MASTER + 1, 0xFF)
    assert (pair.changes, pair.pending) == (3, None)
    pair.pins[3].set(False)
    pair.pins[12].set(True)
    assert pair.changes == 3


def test_a_masked_request_waits(pair: Pair) -> None:
    pair.bench.write_port(MASTER + 1, 0x10)
    pair.pins[4].set(True)
    assert pair.pending is None
    assert pair.registers(MASTER) == (0x10, 0, 0x10)
    pair.bench.write_port(MASTER + 1, 0)
    assert pair.pending == 0x0C


def test_a_request_ends_with_its_line(pair: Pair) -> None:
    pair.pins[4].set(True)
    pair.pins[4].set(False)
    assert pair.pending is None
    assert pair.registers(MASTER)[0] == 0


def test_priorities_are_fully_nested(pair: Pair) -> None:
    for number in (6, 3, 12):
        pair.pins[number].set(True)
    assert pair.take() == 0x74
    assert pair.pending is None
    pair.pins[1].set(True)
    assert pair.take() == 0x09
    pair.bench.write_port(MASTER, EOI)
    pair.bench.write_port(SLAVE, EOI)
    assert pair.pending is None
    pair.bench.write_port(MASTER, EOI)
    assert pair.take() == 0x0B


@pytest.mark.parametrize("nested", [False, True], ids=["fully nested", "special fully nested"])
def test_a_better_request_of_the_slave_in_service(bench: Bench, nested: bool) -> None:
    pair = Pair(bench, icw4=0x11 if nested else 0x01)
    pair.pins[12].set(True)
    assert pair.take() == 0x74
    pair.pins[9].set(True)
    assert pair.pending == (0x71 if nested else None)
    pair.pins[5].set(True)
    assert pair.pending == (0x71 if nested else None)
    if nested:
        pair.take()
        assert pair.pending is None, "IR5 of the master comes after its IR2"


@pytest.mark.parametrize(("number", "again"), [(5, None), (13, 0x75)])
def test_special_fully_nested_mode_is_for_the_slaves_level_only(bench: Bench, number: int, again: int | None) -> None:
    pair = Pair(bench, icw4=0x11)
    pair.pins[number].set(True)
    pair.take()
    bench.write_port(SLAVE, EOI)
    pair.pins[number].set(False)
    pair.pins[number].set(True)
    assert pair.pending == again


def test_rotation_on_eoi_makes_the_level_served_the_lowest(pair: Pair) -> None:
    pair.pins[4].set(True)
    pair.take()
    pair.bench.write_port(MASTER, 0xA0)
    pair.pins[4].set(False)
    for number in (3, 4, 5):
        pair.pins[number].set(True)
    order = []
    for _ in range(3):
        order.append(pair.take() & 7)
        pair.bench.write_port(MASTER, EOI)
    assert order == [5, 3, 4]


def test_set_priority(pair: Pair) -> None:
    pair.bench.write_port(MASTER, 0xC3)
    pair.pins[3].set(True)
    pair.pins[7].set(True)
    assert pair.take() == 0x0F


def test_specific_eoi_with_rotation(pair: Pair) -> None:
    pair.pins[6].set(True)
    pair.take()
    pair.pins[1].set(True)
    pair.take()
    pair.bench.write_port(MASTER, 0xE6)
    assert pair.registers(MASTER)[1] == 0x02
    assert pair.device.master.lowest == 6


def test_an_automatic_eoi_leaves_nothing_in_service(bench: Bench) -> None:
    pair = Pair(bench, icw4=0x03)
    pair.pins[4].set(True)
    assert pair.take() == 0x0C
    assert pair.registers(MASTER)[:2] == (0, 0)
    bench.write_port(MASTER, 0x80)
    pair.pins[5].set(True)
    assert pair.take() == 0x0D
    pair.pins[5].set(False)
    for number in (5, 6):
        pair.pins[number].set(True)
    assert pair.pending == 0x0E, "IR5 became the lowest"


def test_an_automatic_eoi_of_the_slave_lets_its_next_request_through(bench: Bench) -> None:
    pair = Pair(bench, icw4=0x03)
    pair.pins[12].set(True)
    pair.pins[14].set(True)
    assert [pair.take(), pair.take()] == [0x74, 0x76]
    assert pair.pending is None


def test_special_mask_mode_lets_lower_levels_through(pair: Pair) -> None:
    pair.pins[3].set(True)
    pair.take()
    pair.pins[6].set(True)
    assert pair.pending is None
    pair.bench.write_port(MASTER + 1, 0x08)
    pair.bench.write_port(MASTER, 0x68)
    assert pair.take() == 0x0E
    pair.bench.write_port(MASTER, EOI)
    assert pair.registers(MASTER)[1] == 0x08, "a non-specific EOI passes the masked level over"
    pair.bench.write_port(MASTER, 0x48)
    pair.bench.write_port(MASTER, EOI)
    assert pair.registers(MASTER)[1] == 0


@pytest.mark.parametrize("a0", [0, 1])
def test_a_poll_acknowledges(pair: Pair, a0: int) -> None:
    pair.pins[5].set(True)
    pair.bench.write_port(MASTER, POLL)
    assert pair.bench.read_port(MASTER + a0) == 0x85
    assert pair.registers(MASTER)[:2] == (0, 0x20)
    pair.bench.write_port(MASTER, POLL)
    assert pair.bench.read_port(MASTER + a0) == 0
    assert pair.bench.read_port(MASTER + 1) == 0, "one read only"


def test_polling_both_chips(pair: Pair) -> None:
    pair.pins[15].set(True)
    pair.bench.write_port(MASTER, POLL)
    assert pair.bench.read_port(MASTER) == 0x82
    pair.bench.write_port(SLAVE, POLL)
    assert pair.bench.read_port(SLAVE) == 0x87
    assert pair.pending is None


@pytest.mark.parametrize("by", ["LTIM", "ELCR"])
def test_a_level_requests_until_it_drops(bench: Bench, by: str) -> None:
    pair = Pair(bench, icw1=0x19 if by == "LTIM" else 0x11)
    if by == "ELCR":
        bench.machine.isa.set_level_triggered(1 << 11)
    pair.pins[11].set(True)
    for _ in range(2):
        assert pair.take() == 0x73
        assert pair.pending is None
        bench.write_port(SLAVE, EOI)
        bench.write_port(MASTER, EOI)
    assert pair.pending == 0x73
    pair.pins[11].set(False)
    assert pair.pending is None


def test_the_chipset_may_change_a_lines_trigger_while_it_is_high(pair: Pair) -> None:
    pair.pins[10].set(True)
    pair.take()
    pair.bench.write_port(SLAVE, EOI)
    pair.bench.write_port(MASTER, EOI)
    assert pair.pending is None
    pair.bench.machine.isa.set_level_triggered(1 << 10)
    assert pair.pending == 0x72
    pair.bench.machine.isa.set_level_triggered(0)
    assert pair.pending is None


@pytest.mark.parametrize(("number", "isr"), [(4, 0x10), (12, 0x04)])
def test_a_vector_that_the_cpu_took_is_served_though_the_line_dropped(pair: Pair, number: int, isr: int) -> None:
    pair.pins[number].set(True)
    vector = pair.pending
    pair.pins[number].set(False)
    assert pair.pending is None
    pair.device.acknowledge(vector)
    assert pair.registers(MASTER)[1] == isr
    assert pair.registers(SLAVE)[1] == (0x10 if number == 12 else 0)


def test_a_vector_is_acknowledged_exactly_though_a_better_request_came(pair: Pair) -> None:
    pair.pins[6].set(True)
    vector = pair.pending
    pair.pins[1].set(True)
    pair.device.acknowledge(vector)
    assert pair.registers(MASTER)[:2] == (0x02, 0x40)
    assert pair.pending == 0x09


def test_spurious_irq_7_does_not_go_into_service(pair: Pair) -> None:
    pair.device.acknowledge(0x0F)
    assert pair.registers(MASTER)[:2] == (0, 0)
    pair.pins[7].set(True)
    pair.device.acknowledge(0x0F)
    assert pair.registers(MASTER)[:2] == (0, 0x80)


def test_spurious_irq_15_goes_into_service_in_the_master_only(pair: Pair) -> None:
    pair.device.acknowledge(0x77)
    assert pair.registers(MASTER)[:2] == (0, 0x04)
    assert pair.registers(SLAVE)[:2] == (0, 0)


def test_a_vector_of_neither_chip_has_no_effect(pair: Pair) -> None:
    pair.pins[3].set(True)
    pair.device.acknowledge(0xE0)
    assert pair.registers(MASTER)[:2] == (0x08, 0)


def test_two_chips_with_the_same_vectors_are_told_apart_by_who_requests(pair: Pair) -> None:
    for port, icw3 in ((MASTER, 4), (SLAVE, 2)):
        pair.bench.write_port(port, 0x11)
        for icw in (0x20, icw3, 0x01):
            pair.bench.write_port(port + 1, icw)
    pair.pins[9].set(True)
    assert pair.take() == 0x21
    assert pair.registers(SLAVE)[1] == 0x02
    pair.pins[1].set(True)
    assert pair.take() == 0x21
    assert pair.registers(MASTER)[1] == 0x06


def test_icw1_clears_what_the_datasheet_says(pair: Pair) -> None:
    pair.bench.write_port(MASTER + 1, 0x40)
    pair.bench.write_port(MASTER, 0xC2)
    pair.bench.write_port(MASTER, 0x68)
    pair.pins[3].set(True)
    pair.take()
    pair.pins[5].set(True)
    pair.bench.write_port(MASTER, 0x11)
    assert pair.bench.read_port(MASTER) == 0, "IRR, and IR5 must rise anew"
    assert pair.registers(MASTER) == (0, 0, 0)
    for icw in (0x08, 0x04, 0x01):
        pair.bench.write_port(MASTER + 1, icw)
    assert pair.pending is None
    pair.pins[5].set(False)
    pair.pins[5].set(True)
    pair.pins[2 + 4].set(True)
    assert pair.pending == 0x0D


def test_nothing_is_requested_before_the_initialization_is_complete(bench: Bench) -> None:
    device = bench.plug("i8259")
    pin = bench.machine.isa.wires[4].pin()
    for value in (None, 0x08, 0x04, 0x01):
        if value is None:
            bench.write_port(MASTER, 0x11)
        else:
            bench.write_port(MASTER + 1, value)
        assert device.pending_vector() is None or value == 0x01
        pin.set(False)
        pin.set(True)
    assert device.pending_vector() == 0x0C


def test_a_single_chip_gets_no_icw3_and_icw4_only_if_announced(bench: Bench) -> None:
    pair = Pair(bench)
    for value in (0x13, 0x20, 0x03):
        bench.write_port(MASTER + (value != 0x13), value)
    bench.write_port(MASTER + 1, 0xF0)
    assert pair.registers(MASTER)[2] == 0xF0
    assert pair.device.master.auto_eoi
    bench.write_port(MASTER, 0x12)
    bench.write_port(MASTER + 1, 0x20)
    bench.write_port(MASTER + 1, 0x0F)
    assert pair.registers(MASTER)[2] == 0x0F
    assert not pair.device.master.auto_eoi


@pytest.mark.parametrize(
    ("writes", "complaint"),
    [
        ([(MASTER, 0x10)], "MCS-80"),
        ([(MASTER, 0x11), (MASTER + 1, 8), (MASTER + 1, 4), (MASTER + 1, 0)], "MCS-80"),
        ([(SLAVE, 0x11), (SLAVE + 1, 0x70), (SLAVE + 1, 7)], "ICW3"),
    ],
)
def test_what_a_pc_cannot_be_is_a_guest_error(pair: Pair, writes: list[tuple[int, int]], complaint: str) -> None:
    for port, value in writes:
        pair.bench.write_port(port, value)
    assert complaint in pair.bench.guest_errors[-1]


def test_a_reset_forgets_all_but_the_lines(pair: Pair) -> None:
    pair.bench.machine.isa.set_level_triggered(1 << 5)
    pair.pins[3].set(True)
    pair.pins[5].set(True)
    pair.take()
    pair.device.reset()
    assert pair.pending is None
    assert pair.registers(MASTER) == (0x20, 0, 0), "a level is still there, an edge isn't"
    pair.initialize()
    assert pair.pending == 0x0D


def test_state_round_trip(pair: Pair) -> None:
    for number in (3, 5, 12):
        pair.pins[number].set(True)
    pair.bench.write_port(MASTER, 0xC1)
    pair.take()
    before = pair.device.save()
    chips = [pair.registers(MASTER), pair.registers(SLAVE)]
    pair.device.reset()
    pair.device.load(before)
    assert pair.device.save() == before
    assert [pair.registers(MASTER), pair.registers(SLAVE)] == chips
    pair.bench.write_port(SLAVE, EOI)
    pair.bench.write_port(MASTER, EOI)
    assert pair.pending == 0x0B


@pytest.mark.parametrize("controller_first", [False, True])
def test_an_edge_that_was_served_is_not_seen_again_after_a_restore(bench: Bench, controller_first: bool) -> None:
    """The devices drive their lines while they are restored, before or after the controller."""
    pair = Pair(bench)
    pair.pins[4].set(True)
    pair.take()
    bench.write_port(MASTER, EOI)
    saved = pair.device.save()
    pair.pins[4].set(False)
    pair.device.reset()
    if controller_first:
        pair.device.load(saved)
        pair.pins[4].set(True)
    else:
        pair.pins[4].set(True)
        pair.device.load(saved)
    assert pair.pending is None
    pair.pins[4].set(False)
    pair.pins[4].set(True)
    assert pair.pending == 0x0C


@pytest.mark.parametrize(
    ("name", "value"), [("lowest", 8), ("base", 0x71), ("lines", 0x100), ("edges", -1), ("next_icw", 5)]
)
def test_hostile_state_is_refused(pair: Pair, name: str, value: int) -> None:
    saved = pair.device.save()
    saved["parts"]["slave"]["state"][name] = value
    with pytest.raises(SouthbridgeError, match=name):
        pair.device.load(saved)


def test_there_is_one_pair(pair: Pair) -> None:
    with pytest.raises(RealizeError, match="overlap"):
        pair.bench.plug("i8259", "another")
    pair.pins[4].set(True)
    assert pair.pending == 0x0C


def test_an_unplugged_pair_lets_go_of_the_lines(pair: Pair) -> None:
    sinks = sum(len(wire.sinks) for wire in pair.bench.machine.isa.wires)
    pair.bench.machine.unplug(pair.device)
    assert sinks == 15
    assert not any(wire.sinks for wire in pair.bench.machine.isa.wires)
    assert pair.bench.machine.interrupt_controller is None
