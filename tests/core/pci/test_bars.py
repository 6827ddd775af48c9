"""Base address registers: sizing, moving, decoding (PCI 3.0, section 6.2.5)."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from southbridge import GiB, IoBar, KiB, MiB, MmioBar, PciDevice, PciIds
from southbridge.pci import Bar
from southbridge.testing import Bench

COMMAND, IO, MEMORY = 0x04, 1, 2
BAR0, BAR1, BAR2, BAR3, ROM = 0x10, 0x14, 0x18, 0x1C, 0x30


class Card(PciDevice):
    """A BAR of each kind."""

    ids = PciIds(0x1234, 0x0002, class_code=0xFF0000)
    bar0 = MmioBar(64 * KiB, doc="32 bits.")
    bar1 = IoBar(32, doc="Ports.")
    bar2 = MmioBar(1 * MiB, bits=64, prefetchable=True, doc="64 bits.")
    rom = MmioBar(32 * KiB, doc="Expansion ROM.")

    DATA0 = bar0.register(0, 4)
    DATA1 = bar1.register(0, 4)
    DATA2 = bar2.register(0, 4)
    FIRMWARE = rom.register(0, 4, reset=0xAA55)


class Huge(PciDevice):
    ids = PciIds(0x1234, 0x0003, class_code=0xFF0000)
    bar4 = MmioBar(8 * GiB, bits=64)


@pytest.fixture
def plain() -> Bench:
    return Bench()


@pytest.fixture
def card(plain: Bench) -> Card:
    made: Card = plain.plug(Card, "card")
    return made


def shown(bench: Bench) -> dict[str, int]:
    """Where BARs answer, by the regions' names."""
    sections = [*bench.machine.memory.sections, *bench.machine.ports.sections]
    return {section.region.name: section.start for section in sections if section.region.name != "ram"}


@pytest.mark.parametrize(
    ("offset", "mask", "kind"),
    [
        (BAR0, 0xFFFF_0000, 0),
        (BAR1, 0xFFFF_FFE1, 1),
        (BAR2, 0xFFF0_000C, 0xC),
        (BAR3, 0xFFFF_FFFF, 0),
        (0x20, 0, 0),
        (ROM, 0xFFFF_8001, 0),
    ],
)
def test_writing_ones_tells_size_and_kind(plain: Bench, card: Card, offset: int, mask: int, kind: int) -> None:
    plain.config_write(card, offset, 4, 0xFFFF_FFFF)
    assert plain.config_read(card, offset, 4) == mask
    plain.config_write(card, offset, 4, 0)
    assert plain.config_read(card, offset, 4) == kind


def test_a_bar_of_more_than_4_gib_is_sized_in_its_high_half(plain: Bench) -> None:
    huge = plain.plug(Huge)
    for offset, value in ((0x20, 0x4), (0x24, 0xFFFF_FFFE)):
        plain.config_write(huge, offset, 4, 0xFFFF_FFFF)
        assert plain.config_read(huge, offset, 4) == value


@pytest.mark.parametrize("width", [1, 2, 4])
def test_sizing_works_in_parts(plain: Bench, card: Card, width: int) -> None:
    for offset in range(BAR0, BAR1, width):
        plain.config_write(card, offset, width, (1 << 8 * width) - 1)
    assert plain.config_read(card, BAR0, 4) == 0xFFFF_0000


@pytest.mark.parametrize(
    ("bar", "address"),
    [("bar0", 0xFE00_0000), ("bar1", 0xC000), ("bar2", 0xFD00_0000), ("bar2", 0x12_3450_0000), ("rom", 0xFC00_0000)],
)
def test_a_bar_answers_where_the_guest_puts_it(plain: Bench, card: Card, bar: str, address: int) -> None:
    spec = next(spec for spec in card.bars() if spec.name == bar)
    assert plain.place(card, bar, address) == address
    space = plain.machine.ports if bar == "bar1" else plain.machine.memory
    for at in (address, address + spec.size - 1):
        section = space.find(at)
        assert section is not None
        assert section.region is card.bar_region(spec)
    for at in (address - 1, address + spec.size):
        section = space.find(at)
        assert section is None or section.region is not card.bar_region(spec)
    space.write(address, 4, 0x1234_5678)
    assert space.read(address, 4) == 0x1234_5678


def test_a_bar_moves(plain: Bench, card: Card) -> None:
    plain.place(card, "bar0", 0xFE00_0000)
    plain.write_mmio(0xFE00_0000, 1)
    plain.place(card, "bar0", 0xFE01_0000)
    assert plain.read_mmio(0xFE01_0000) == 1
    assert plain.read_mmio(0xFE00_0000) == 0xFFFF_FFFF
    plain.write_mmio(0xFE00_0000, 2)
    assert card.DATA0.value == 1


@pytest.mark.parametrize(
    ("command", "names"),
    [
        (0, set()),
        (IO, {"card.bar1"}),
        (MEMORY, {"card.bar0", "card.bar2", "card.rom"}),
        (IO | MEMORY, {"card.bar0", "card.bar1", "card.bar2", "card.rom"}),
    ],
)
def test_command_switches_decoding(plain: Bench, card: Card, command: int, names: set[str]) -> None:
    for bar, address in (("bar0", 0xFE00_0000), ("bar1", 0xC000), ("bar2", 0xFD00_0000), ("rom", 0xFC00_0000)):
        plain.place(card, bar, address)
    plain.config_write(card, COMMAND, 2, command)
    assert set(shown(plain)) == names


def test_the_rom_needs_its_own_enable_bit_too(plain: Bench, card: Card) -> None:
    plain.config_write(card, COMMAND, 2, MEMORY)
    plain.config_write(card, ROM, 4, 0xFC00_0000)
    assert "card.rom" not in shown(plain)
    plain.config_write(card, ROM, 4, 0xFC00_0001)
    assert shown(plain)["card.rom"] == 0xFC00_0000
    assert plain.read_mmio(0xFC00_0000, 4) == 0xAA55


def test_the_low_bits_of_an_address_are_not_its_own(plain: Bench, card: Card) -> None:
    plain.place(card, "bar1", 0xC01F)
    assert shown(plain)["card.bar1"] == 0xC000


@pytest.mark.parametrize(
    ("bar", "address", "fits"),
    [
        ("bar1", 0xFFE0, True),
        ("bar1", 0x1_0000, False),
        ("bar1", 0xFFFF_FFE0, False),
        ("bar0", 0xFFFF_0000, True),
        ("bar2", (1 << 52) - MiB, True),
        ("bar2", 1 << 52, False),
        ("bar2", (1 << 64) - MiB, False),
    ],
)
def test_a_bar_at_the_end_of_the_space_or_beyond_it(
    plain: Bench, card: Card, bar: str, address: int, fits: bool
) -> None:
    plain.place(card, bar, address)
    where = shown(plain).get(f"card.{bar}")
    assert where == (address if fits else None)


def test_ram_is_not_hidden_by_a_bar(plain: Bench, card: Card) -> None:
    plain.place(card, "bar0", 0x10_0000)
    plain.write_mmio(0x10_0000, 0x55)
    assert plain.read_memory(0x10_0000, 1) == b"\x55"
    assert card.DATA0.value == 0


def test_of_two_bars_at_one_place_one_answers_and_both_come_back(plain: Bench) -> None:
    first, second = plain.plug(Card, "first"), plain.plug(Card, "second")
    plain.place(first, "bar0", 0xFE00_0000)
    plain.place(second, "bar0", 0xFE00_0000)
    assert {"first.bar0", "second.bar0"} & set(shown(plain)) == {"second.bar0"}
    plain.place(second, "bar0", 0xFE01_0000)
    assert shown(plain)["first.bar0"] == 0xFE00_0000
    assert shown(plain)["second.bar0"] == 0xFE01_0000


@given(
    st.lists(
        st.tuples(st.sampled_from([COMMAND, BAR0, BAR1, BAR2, BAR3, ROM]), st.integers(0, (1 << 32) - 1)), max_size=12
    )
)
def test_the_map_follows_the_registers_whatever_is_written(writes: list[tuple[int, int]]) -> None:
    bench = Bench()
    card = bench.plug(Card, "card")
    for offset, value in writes:
        if offset == COMMAND:
            value &= 3
        bench.config_write(card, offset, 4, value)
    for bar in card.bars():
        container = bench.pci.ports if isinstance(bar, IoBar) else bench.pci.memory
        places = [child.offset for child in container.children if child.region is card.bar_region(bar)]
        address = card.bar_address(bar)
        assert places == ([] if address is None or address + bar.size > container.size else [address])
        assert address is None or address % bar.size == 0


def test_state_puts_bars_where_they_were(plain: Bench, card: Card) -> None:
    plain.place(card, "bar0", 0xFE00_0000)
    saved = card.save()
    plain.place(card, "bar0", 0xFE10_0000)
    plain.config_write(card, COMMAND, 2, 0)
    card.load(saved)
    assert shown(plain)["card.bar0"] == 0xFE00_0000
    assert card.dma.enabled


@pytest.mark.parametrize(
    ("name", "bar", "message"),
    [
        ("registers", MmioBar(4 * KiB), "a BAR's name is bar0 to bar5"),
        ("bar6", MmioBar(4 * KiB), "a BAR's name is bar0 to bar5"),
        ("bar0", MmioBar(3 * KiB), "isn't a power of two"),
        ("bar0", MmioBar(8), "isn't a power of two from 16"),
        ("bar0", IoBar(2), "isn't a power of two from 4"),
        ("rom", MmioBar(1 * KiB), "isn't a power of two from 2048"),
        ("bar5", MmioBar(4 * KiB, bits=64), "can't be 64 bits wide"),
    ],
)
def test_a_bar_that_cannot_be_is_refused_with_the_class(name: str, bar: Bar, message: str) -> None:
    with pytest.raises((TypeError, RuntimeError)) as caught:
        type("Bad", (PciDevice,), {"__module__": __name__, name: bar})
    assert message in str(caught.value.__cause__ or caught.value)


def test_two_bars_cannot_have_one_register() -> None:
    with pytest.raises(TypeError, match="BAR1 belongs to two BARs"):
        type(
            "Bad",
            (PciDevice,),
            {"__module__": __name__, "bar0": MmioBar(4 * KiB, bits=64), "bar1": MmioBar(4 * KiB)},
        )
