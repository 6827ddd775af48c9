"""The bus: slots and functions, interrupt pins, coming and going (PCI 3.0, sections 2.2.6 and 6.2)."""

from __future__ import annotations

from typing import ClassVar

import pytest
from hypothesis import given
from hypothesis import strategies as st
from southbridge import MmioBar, PciBus, PciDevice, PciIds, RealizeError, RunState, SouthbridgeError
from southbridge.testing import Bench


class Card(PciDevice):
    ids = PciIds(0x1234, 0x0004, class_code=0xFF0000)
    interrupt_pin: ClassVar[str | None] = "INTA"
    bar0 = MmioBar(0x1000)


class CardB(Card):
    interrupt_pin = "INTB"


class Quiet(Card):
    interrupt_pin = None


@pytest.fixture
def plain() -> Bench:
    return Bench()


def levels(bench: Bench) -> list[bool]:
    return [wire.level for wire in bench.pci.wires]


# --- slots -------------------------------------------------------------------------------------------------------


def test_devices_get_the_first_free_slots(plain: Bench) -> None:
    plain.plug(Card, "fixed", addr="02.0")
    placed = [plain.plug(Card, name) for name in ("a", "b", "c")]
    assert [(card.slot, card.function) for card in placed] == [(1, 0), (3, 0), (4, 0)]
    assert [card.id for card in plain.pci.devices()] == ["a", "fixed", "b", "c"]


def test_an_address_is_hexadecimal_as_lspci_has_it(plain: Bench) -> None:
    card = plain.plug(Card, "card", addr="1f.7")
    assert (card.slot, card.function) == (31, 7)


def test_a_place_is_for_one_device(plain: Bench) -> None:
    first = plain.plug(Card, "first", addr="03.0")
    with pytest.raises(RealizeError, match=r"second: pci\.0 slot 03\.0 is taken by first"):
        plain.plug(Card, "second", addr="3.0")
    assert plain.pci.devices() == [first]
    assert list(plain.machine.devices) == ["first"]


def test_a_full_bus_takes_no_more(plain: Bench) -> None:
    for index in range(31):
        plain.plug(Card, f"card{index}")
    with pytest.raises(RealizeError, match=r"last: no free slot on pci\.0"):
        plain.plug(Card, "last")
    assert len(plain.pci.devices()) == 31


@pytest.mark.parametrize("size", [1, 2, 4])
def test_where_nobody_is_configuration_reads_as_ones(plain: Bench, size: int) -> None:
    plain.plug(Card, addr="03.0")
    for slot, function in ((3, 1), (4, 0), (31, 7)):
        plain.pci.config_write(slot, function, 0, size, 0)
        assert plain.pci.config_read(slot, function, 0, size) == (1 << 8 * size) - 1


# --- functions ---------------------------------------------------------------------------------------------------


def header_types(*cards: Card) -> list[int]:
    return [card.config_read(0x0E, 1) for card in cards]


def test_a_slot_with_several_functions_says_so_in_the_first(plain: Bench) -> None:
    first = plain.plug(Card, "first", addr="03.0")
    other = plain.plug(Card, "other", addr="04.0")
    assert header_types(first, other) == [0, 0]
    second = plain.plug(Card, "second", addr="03.1")
    assert header_types(first, second, other) == [0x80, 0, 0]
    plain.machine.unplug(second)
    assert header_types(first, other) == [0, 0]


def test_a_chip_may_say_so_by_itself(plain: Bench) -> None:
    class Chipset(Card):
        multifunction = True

    chip = plain.plug(Chipset)
    assert header_types(chip) == [0x80]
    chip.reset()
    assert header_types(chip) == [0x80]


# --- interrupt pins ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "slot", "wire"), [(Card, 1, 0), (Card, 2, 1), (Card, 4, 3), (Card, 5, 0), (CardB, 1, 1), (CardB, 4, 0)]
)
def test_pins_are_rotated_by_the_slot(plain: Bench, kind: type[Card], slot: int, wire: int) -> None:
    card = plain.plug(kind, addr=f"{slot:x}.0")
    card.interrupt.set(True)
    assert levels(plain) == [index == wire for index in range(4)]
    assert card.PCI_STATUS.INTERRUPT == 1
    card.interrupt.set(False)
    assert levels(plain) == [False] * 4


def test_devices_share_a_wire(plain: Bench) -> None:
    first, second = plain.plug(Card, "first", addr="1.0"), plain.plug(Card, "second", addr="5.0")
    first.interrupt.set(True)
    second.interrupt.set(True)
    first.interrupt.set(False)
    assert levels(plain)[0]
    second.interrupt.set(False)
    assert not levels(plain)[0]


def test_command_can_silence_the_pin(plain: Bench) -> None:
    card = plain.plug(Card, addr="1.0")
    card.interrupt.set(True)
    plain.config_write(card, 0x04, 2, 1 << 10)
    assert not levels(plain)[0]
    assert plain.config_read(card, 0x06, 2) & 8
    plain.config_write(card, 0x04, 2, 0)
    assert levels(plain)[0]


def test_a_reset_lets_go_of_the_wire(plain: Bench) -> None:
    card = plain.plug(Card, addr="1.0")
    card.interrupt.set(True)
    card.reset()
    assert not levels(plain)[0]
    assert not card.interrupt.asserted


def test_a_device_without_a_pin_has_an_interrupt_that_goes_nowhere(plain: Bench) -> None:
    card = plain.plug(Quiet)
    card.interrupt.set(True)
    assert levels(plain) == [False] * 4
    assert plain.config_read(card, 0x3D, 1) == 0


@given(st.booleans(), st.booleans(), st.booleans())
def test_state_puts_the_wire_to_what_it_was(before: bool, silenced: bool, now: bool) -> None:
    bench = Bench()
    card = bench.plug(Card, addr="1.0")
    card.interrupt.set(before)
    bench.config_write(card, 0x04, 2, silenced << 10)
    saved, level = card.save(), levels(bench)
    bench.config_write(card, 0x04, 2, 0)
    card.interrupt.set(now)
    card.load(saved)
    assert levels(bench) == level
    assert card.interrupt.asserted == before
    card.interrupt.set(False)
    assert levels(bench) == [False] * 4


# --- coming and going --------------------------------------------------------------------------------------------


def test_a_device_that_goes_takes_everything_along(plain: Bench) -> None:
    card = plain.plug(Card, "card", addr="3.0")
    plain.place(card, "bar0", 0xFE00_0000)
    card.interrupt.set(True)
    plain.machine.unplug(card)
    assert plain.pci.devices() == []
    assert levels(plain) == [False] * 4
    assert plain.read_mmio(0xFE00_0000) == 0xFFFF_FFFF
    assert plain.pci.config_read(3, 0, 0, 4) == 0xFFFF_FFFF
    assert not card.dma.enabled


def test_it_may_go_while_the_machine_runs_unless_it_is_the_chipsets(plain: Bench) -> None:
    class Chipset(Card):
        hotpluggable = False

    card, chip = plain.plug(Card, "card"), plain.plug(Chipset, "chip")
    plain.machine.state = RunState.RUNNING
    plain.machine.unplug(card)
    with pytest.raises(SouthbridgeError, match="chip: a Chipset can't be unplugged"):
        plain.machine.unplug(chip)
    assert plain.pci.devices() == [chip]


def test_coming_and_going_is_told_while_the_machine_runs(plain: Bench) -> None:
    told: list[tuple[str, bool]] = []
    plain.pci.on_hotplug.append(lambda device, came: told.append((device.id, came)))
    first = plain.plug(Card, "first")
    assert told == []
    plain.machine.state = RunState.RUNNING
    plain.machine.unplug(first)
    plain.plug(Card, "second", addr="1.0")
    with pytest.raises(RealizeError):
        plain.plug(Card, "third", addr="1.0")
    assert told == [("first", False), ("second", True)]


def test_a_device_that_comes_finds_a_free_slot(plain: Bench) -> None:
    cards = [plain.plug(Card, name) for name in ("a", "b", "c")]
    plain.machine.unplug(cards[1])
    again = plain.plug(Card, "d")
    assert again.slot == 2
    plain.place(again, "bar0", 0xFE00_0000)
    again.interrupt.set(True)
    assert levels(plain)[1]


def test_a_device_is_on_the_bus_that_it_names(plain: Bench) -> None:
    machine = plain.machine
    second = PciBus("pci.1", 1, machine.bus_memory, machine.ports.root)
    machine.add_bus("pci.1", second)
    card = plain.plug(Card, "card", bus="pci.1", addr="1.0")
    assert second.devices() == [card]
    assert plain.pci.devices() == []
    with pytest.raises(RealizeError, match=r"there is no 'pci\.2' among the buses \(here: pci\.0, pci\.1\)"):
        plain.plug(Card, "other", bus="pci.2")
    with pytest.raises(RealizeError, match=r"two buses named 'pci\.1'"):
        machine.add_bus("pci.1", second)


# --- faults ------------------------------------------------------------------------------------------------------


class Faulty(Card):
    """Raises in configuration space."""

    FAULT = Card.config.register(0x40, 4)

    @FAULT.read
    def fault_read(self) -> int:
        raise ZeroDivisionError

    @FAULT.write
    def fault_written(self, value: int) -> None:
        raise ZeroDivisionError


@pytest.mark.parametrize("write", [False, True], ids=["read", "write"])
def test_what_a_device_raises_in_its_configuration_breaks_it_and_not_the_bridge(plain: Bench, write: bool) -> None:
    plain.machine.strict = False
    faulty, other = plain.plug(Faulty, "faulty", addr="3.0"), plain.plug(Card, "other", addr="4.0")
    if write:
        plain.pci.config_write(3, 0, 0x40, 4, 0)
    else:
        assert plain.pci.config_read(3, 0, 0x40, 4) == 0xFFFF_FFFF
    assert (faulty.broken, other.broken) == (True, False)
    assert plain.pci.config_read(3, 0, 0, 4) == 0xFFFF_FFFF
    plain.pci.config_write(3, 0, 0x04, 2, 7)
    assert faulty.PCI_COMMAND.value == 0
    assert plain.pci.config_read(4, 0, 0, 4) == 0x0004_1234


def test_under_strict_it_is_raised(plain: Bench) -> None:
    faulty = plain.plug(Faulty)
    with pytest.raises(ZeroDivisionError):
        plain.config_read(faulty, 0x40, 4)
