"""Message signalled interrupts (PCI 3.0, section 6.8.1)."""

from __future__ import annotations

import pytest
from southbridge import Msi, PciDevice, PciIds, hookimpl
from southbridge.testing import Bench

CONTROL, ADDRESS, ADDRESS_HIGH, DATA = 0x52, 0x54, 0x58, 0x5C
COMMAND, MASTER = 0x04, 4


class Card(PciDevice):
    ids = PciIds(0x1234, 0x0005, class_code=0xFF0000)
    interrupt_pin = "INTA"
    msi = Msi(offset=0x50)


class Controller:
    """Takes messages for one address."""

    def __init__(self) -> None:
        self.messages: list[tuple[int, int]] = []

    @hookimpl
    def msi_send(self, address: int, data: int) -> bool | None:
        if address >> 20 != 0xFEE:
            return None
        self.messages.append((address, data))
        return True


@pytest.fixture
def plain() -> Bench:
    return Bench()


@pytest.fixture
def controller(plain: Bench) -> Controller:
    made = Controller()
    plain.machine.hooks.register(made, "controller")
    return made


@pytest.fixture
def card(plain: Bench) -> Card:
    made: Card = plain.plug(Card, "card", addr="1.0")
    plain.config_write(made, COMMAND, 2, MASTER)
    plain.config_write(made, ADDRESS, 4, 0xFEE0_0000)
    plain.config_write(made, DATA, 2, 0x4041)
    return made


def enable(bench: Bench, card: Card, on: bool = True) -> None:
    bench.config_write(card, CONTROL, 2, int(on))


def test_the_capability_is_found(plain: Bench) -> None:
    card = plain.plug(Card)
    assert plain.config_read(card, 0x06, 2) & 0x10
    assert plain.config_read(card, 0x34, 1) == 0x50
    assert plain.config_read(card, 0x50, 4) == 0x0080_0005


def test_it_is_found_before_the_first_reset_too(plain: Bench) -> None:
    assert Card("card", bus=plain.pci).PCI_STATUS.CAPABILITIES == 1


def test_a_device_without_it_says_so(plain: Bench) -> None:
    class Plain(PciDevice):
        ids = PciIds(0x1234, 0x0006, class_code=0xFF0000)

    card = plain.plug(Plain)
    assert plain.config_read(card, 0x06, 2) & 0x10 == 0
    assert not card.msi_enabled


def test_address_and_control_have_bits_that_are_not_written(plain: Bench, card: Card) -> None:
    plain.config_write(card, ADDRESS, 4, 0xFFFF_FFFF)
    plain.config_write(card, CONTROL, 2, 0xFFFF)
    assert plain.config_read(card, ADDRESS, 4) == 0xFFFF_FFFC
    assert plain.config_read(card, CONTROL, 2) == 0x00F1


def test_a_message_is_sent_as_the_interrupt_rises(plain: Bench, controller: Controller, card: Card) -> None:
    enable(plain, card)
    for level in (True, True, False, True):
        card.interrupt.set(level)
    assert controller.messages == [(0xFEE0_0000, 0x4041)] * 2
    assert not any(wire.level for wire in plain.pci.wires)


def test_the_pin_is_used_while_msi_is_off(plain: Bench, controller: Controller, card: Card) -> None:
    card.interrupt.set(True)
    assert controller.messages == []
    assert plain.pci.wires[0].level
    enable(plain, card)
    assert not plain.pci.wires[0].level
    enable(plain, card, False)
    assert plain.pci.wires[0].level


def test_a_message_may_go_above_4_gib(plain: Bench, controller: Controller, card: Card) -> None:
    plain.config_write(card, ADDRESS_HIGH, 4, 1)
    enable(plain, card)
    card.interrupt.set(True)
    assert controller.messages == []
    assert plain.guest_errors == ["card: MSI to 0x1fee00000, where no interrupt controller is"]


def test_a_message_is_a_store_and_needs_bus_mastering(plain: Bench, controller: Controller, card: Card) -> None:
    enable(plain, card)
    plain.config_write(card, COMMAND, 2, 0)
    card.interrupt.set(True)
    assert controller.messages == []
    assert plain.guest_errors == ["card: MSI while bus mastering is off"]


def test_restoring_sends_no_message_again(plain: Bench, controller: Controller, card: Card) -> None:
    enable(plain, card)
    card.interrupt.set(True)
    saved = card.save()
    card.reset()
    card.load(saved)
    assert len(controller.messages) == 1
    assert card.interrupt.asserted
    card.interrupt.set(False)
    card.interrupt.set(True)
    assert len(controller.messages) == 2


def test_a_reset_switches_it_off(plain: Bench, controller: Controller, card: Card) -> None:
    enable(plain, card)
    card.reset()
    card.interrupt.set(True)
    assert controller.messages == []
    assert plain.pci.wires[0].level
