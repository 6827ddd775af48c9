"""The way of a slot's interrupt to PIRQA# to PIRQD#, or to whoever plays what comes behind."""

from __future__ import annotations

from southbridge.memory.regions import Container
from southbridge.pci import PciBus


def make() -> PciBus:
    return PciBus("pci.0", 0, Container("memory", 1 << 32), Container("ports", 1 << 16))


def test_slots_are_rotated() -> None:
    bus = make()
    pin = bus._slot_wire(2, 0).pin()
    pin.set(True)
    assert [wire.level for wire in bus.wires] == [False, True, False, False]
    pin.set(False)
    assert not bus.wires[1].level


def test_functions_of_a_slot_share_its_pins() -> None:
    bus = make()
    heard: list[tuple[int, int, bool]] = []
    bus.lend_interrupts(lambda *event: heard.append(event))
    first, second = bus._slot_wire(3, 0).pin(), bus._slot_wire(3, 0).pin()
    first.set(True)
    second.set(True)
    first.set(False)
    second.set(False)
    assert heard == [(3, 0, True), (3, 0, False)]


def test_what_is_asserted_goes_over_and_comes_back() -> None:
    bus = make()
    heard: list[tuple[int, int, bool]] = []
    pin, quiet = bus._slot_wire(1, 3).pin(), bus._slot_wire(5, 0).pin()
    pin.set(True)
    assert bus.wires[3].level
    bus.lend_interrupts(lambda *event: heard.append(event))
    assert heard == [(1, 3, True)]
    assert not any(wire.level for wire in bus.wires)
    quiet.set(True)
    bus.lend_interrupts(None)
    assert heard == [(1, 3, True), (5, 0, True), (1, 3, False), (5, 0, False)]
    assert [wire.level for wire in bus.wires] == [True, False, False, True]
    bus.lend_interrupts(None)
    pin.set(False)
    assert [wire.level for wire in bus.wires] == [True, False, False, False]
