"""Configuration space: widths, write masks, what a device says that it is (PCI 3.0, chapter 6)."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from southbridge import Device, MmioBar, Msi, PciDevice, PciIds, PortBank
from southbridge.pci import CONFIG
from southbridge.registers import RO, bit
from southbridge.testing import Bench

SPACE = 256


class Card(PciDevice):
    ids = PciIds(0x8086, 0x100E, class_code=0x020000, revision=3, subsystem_vendor=0x1AF4, subsystem=0x1100)
    interrupt_pin = "INTC"
    msi = Msi()
    bar0 = MmioBar(0x2_0000)
    SCRATCH = CONFIG.register(0x60, 4, reset=0x1122_3344, doc="Kept.")


@pytest.fixture
def plain() -> Bench:
    return Bench()


@pytest.fixture
def card(plain: Bench) -> Card:
    made: Card = plain.plug(Card, "card")
    return made


@pytest.mark.parametrize(
    ("offset", "size", "value"),
    [
        (0x00, 4, 0x100E_8086),
        (0x00, 2, 0x8086),
        (0x02, 2, 0x100E),
        (0x03, 1, 0x10),
        (0x04, 4, 0x0010_0000),
        (0x08, 4, 0x0200_0003),
        (0x09, 1, 0x00),
        (0x0A, 2, 0x0200),
        (0x0E, 1, 0x00),
        (0x2C, 4, 0x1100_1AF4),
        (0x34, 1, 0x40),
        (0x3C, 2, 0x0300),
        (0x40, 4, 0x0080_0005),
        (0xFC, 4, 0),
    ],
)
def test_a_device_says_what_it_is(plain: Bench, card: Card, offset: int, size: int, value: int) -> None:
    assert plain.config_read(card, offset, size) == value


def test_identity_is_read_only(plain: Bench, card: Card) -> None:
    for offset in (0x00, 0x08, 0x0E, 0x2C, 0x34, 0x3D):
        before = plain.config_read(card, offset, 1)
        plain.config_write(card, offset, 1, ~before & 0xFF)
        assert plain.config_read(card, offset, 1) == before


@pytest.mark.parametrize(
    ("written", "read"), [(0xFFFF, 0x0547), (0x0007, 0x0007), (0, 0)], ids=["all", "IO, MEMORY, MASTER", "none"]
)
def test_command_has_the_bits_that_can_be_set(plain: Bench, card: Card, written: int, read: int) -> None:
    plain.config_write(card, 0x04, 2, 0xFFFF)
    plain.config_write(card, 0x04, 2, written)
    assert plain.config_read(card, 0x04, 2) == read


def test_status_is_written_as_ones_to_clear(plain: Bench, card: Card) -> None:
    card.PCI_STATUS.value = 0xFFFF
    plain.config_write(card, 0x06, 2, 0x8100)
    assert card.PCI_STATUS.value == 0x7EFF
    plain.config_write(card, 0x04, 4, 0)
    assert card.PCI_STATUS.value == 0x7EFF


@given(st.integers(0, SPACE - 1), st.sampled_from([1, 2, 4]), st.integers(0, (1 << 32) - 1))
def test_any_width_at_any_offset_is_made_of_bytes(offset: int, size: int, value: int) -> None:
    bench, single = Bench(), Bench()
    card, other = bench.plug(Card, "card"), single.plug(Card, "card")
    value &= (1 << 8 * size) - 1
    size = min(size, SPACE - offset)
    if size == 3:
        return
    bench.config_write(card, offset, size, value)
    for index in range(size):
        single.config_write(other, offset + index, 1, value >> 8 * index & 0xFF)
    assert card.save() == other.save()
    expected = [single.config_read(other, offset + index, 1) for index in range(size)]
    assert bench.config_read(card, offset, size).to_bytes(size, "little") == bytes(expected)


def test_configuration_writes_reach_parts_of_a_register(plain: Bench, card: Card) -> None:
    plain.config_write(card, 0x61, 1, 0xAA)
    plain.config_write(card, 0x62, 2, 0xBBCC)
    assert plain.config_read(card, 0x60, 4) == 0xBBCC_AA44


def test_a_reset_keeps_identity_and_clears_the_rest(plain: Bench, card: Card) -> None:
    before = card.save()
    for offset in range(0, SPACE, 4):
        plain.config_write(card, offset, 4, 0xFFFF_FFFF)
    card.reset()
    assert card.save() == before


def test_a_subclass_may_restrict_command_and_still_decodes(plain: Bench) -> None:
    class Restricted(Card):
        PCI_COMMAND = CONFIG.register(
            0x04, 2, fields={"IO": bit(0, RO), "MEMORY": bit(1), "MASTER": bit(2), "INTX_DISABLE": bit(10, RO)}
        )

    restricted = plain.plug(Restricted)
    plain.place(restricted, "bar0", 0xFE00_0000)
    section = plain.machine.memory.find(0xFE00_0000)
    assert section is not None
    assert section.region is restricted.bar0
    assert restricted.PCI_COMMAND.value == 0x0006


@pytest.mark.parametrize("address", ["1", "20.0", "1f.8", "x.0", "01.00", ""])
def test_an_address_is_slot_and_function(plain: Bench, address: str) -> None:
    with pytest.raises(Exception, match=r"expected slot\.function"):
        plain.plug(Card, "card", addr=address)


def test_devices_that_are_not_pci_have_no_configuration(plain: Bench) -> None:
    class Isa(Device):
        ports = PortBank(1)

    assert not hasattr(plain.plug(Isa), "config")


def test_a_register_cannot_take_a_configuration_register_s_name() -> None:
    with pytest.raises(TypeError, match=r"Clash.PCI_STATUS is already a register of the bank 'config'"):

        class Clash(PciDevice):
            ids = PciIds(0x1234, 0x5678, 0)
            bar0 = MmioBar(4096)
            PCI_STATUS = bar0.register(0, 4)
