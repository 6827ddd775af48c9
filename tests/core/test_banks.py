from __future__ import annotations

from typing import Any

import pytest
from southbridge import RO, WO, Device, MmioBank, PortBank, bit
from southbridge.testing import Bench

BASE = 0x100
MMIO = 0xFE00_0000


class Chip(Device):
    """One device with everything that a bank can have, on ports and in memory."""

    ports = PortBank(0x70)
    LATCH = ports.register(0x00, fields={"DLAB": bit(7)})
    DIVISOR = ports.register(0x01, when=lambda chip: chip.LATCH.DLAB, reset=0x11)
    DATA = ports.register(0x01, reset=0x22)
    HIDDEN = ports.register(0x02, when=lambda chip: chip.LATCH.DLAB, reset=0x33)
    STATUS = ports.register(0x03, access=RO, reset=0x44)
    COMMAND = ports.register(0x04, access=WO)
    CAUSE = ports.register(0x05, access=RO, reset=0x55)
    CONTROL = ports.register(0x05, access=WO)
    WIDE = ports.register(0x08, 4, reset=0x4433_2211)
    LONG = ports.register(0x0C, 4, widths=(1,), reset=0x8877_6655)
    WORD = ports.register(0x10, 2, widths=(2,), reset=0xBBAA)
    BYTE = ports.register(0x12, reset=0xCC)
    fifo = ports.window(0x20, 4, widths=(2,))
    table = ports.window(0x40, 0x20, widths=(1, 2))

    memory = MmioBank(0x40)
    ID = memory.register(0x00, 4, access=RO, reset=0x1234_5678)
    DOORBELL = memory.register(0x04, 4, access=WO)

    def __init__(self, id: str) -> None:
        super().__init__(id)
        self.calls: list[tuple[Any, ...]] = []

    def realize(self) -> None:
        self.claim_ports(self.ports, BASE)
        self.claim_memory(self.memory, MMIO)

    @fifo.read
    def fifo_read(self, offset: int, size: int) -> int:
        self.calls.append(("fifo", offset, size))
        return 0x1111 * (1 + offset)

    @fifo.write
    def fifo_write(self, offset: int, size: int, value: int) -> None:
        self.calls.append(("fifo", offset, size, value))

    @table.read
    def table_read(self, offset: int, size: int) -> int:
        self.calls.append(("table", offset, size))
        return int.from_bytes(range(offset, offset + size), "little")

    @table.write
    def table_write(self, offset: int, size: int, value: int) -> None:
        self.calls.append(("table", offset, size, value))


@pytest.fixture
def plain() -> Bench:
    return Bench()


@pytest.fixture
def chip(plain: Bench) -> Chip:
    made: Chip = plain.plug(Chip, "chip")
    return made


# --- which register answers --------------------------------------------------------------------------------------


@pytest.mark.parametrize(("latch", "value"), [(0, 0x22), (0x80, 0x11)])
def test_a_latch_bit_chooses_the_register(plain: Bench, chip: Chip, latch: int, value: int) -> None:
    plain.write_port(BASE, latch)
    for _ in range(2):
        assert plain.read_port(BASE + 1) == value
    plain.write_port(BASE + 1, 0x77)
    assert (chip.DIVISOR.value, chip.DATA.value) == ((0x77, 0x22) if latch else (0x11, 0x77))


def test_where_the_latch_bit_chooses_nobody_is_nobody(plain: Bench, chip: Chip) -> None:
    assert plain.read_port(BASE + 2) == 0xFF
    plain.write_port(BASE + 2, 0)
    plain.write_port(BASE, 0x80)
    assert plain.read_port(BASE + 2) == 0x33


def test_one_access_to_the_latch_and_what_it_chooses_acts_in_order(plain: Bench, chip: Chip) -> None:
    plain.write_port(BASE, 0x9980, 2)
    assert chip.DIVISOR.value == 0x99
    assert plain.read_port(BASE, 2) == 0x9980


def test_a_port_where_no_register_is_reads_as_ones_and_says_nothing(plain: Bench, chip: Chip) -> None:
    assert plain.read_port(BASE + 0x18, 4) == 0xFFFF_FFFF
    plain.write_port(BASE + 0x18, 0, 4)
    assert plain.guest_errors == []


def test_memory_where_no_register_is_reads_as_zero_and_is_a_guest_error(plain: Bench, chip: Chip) -> None:
    assert plain.read_mmio(MMIO + 0x10, 2) == 0
    plain.write_mmio(MMIO + 0x14, 0xAB)
    assert plain.guest_errors == [
        "chip: chip.memory: read of 2 bytes at 0x10, where no register is",
        "chip: chip.memory: 0xab written at 0x14, where no register is",
    ]


@pytest.mark.parametrize(
    ("address", "value", "error"),
    [
        (BASE + 3, 0x44, "chip: STATUS is read-only; 0x0 written"),
        (BASE + 4, 0xFF, "chip: COMMAND is write-only; read"),
    ],
)
def test_the_wrong_direction_is_a_guest_error(plain: Bench, chip: Chip, address: int, value: int, error: str) -> None:
    assert plain.read_port(address) == value
    plain.write_port(address, 0)
    assert plain.guest_errors == [error]


def test_a_read_only_and_a_write_only_register_share_a_place(plain: Bench, chip: Chip) -> None:
    plain.write_port(BASE + 5, 0x77)
    assert plain.read_port(BASE + 5) == 0x55
    assert chip.CONTROL.value == 0x77
    assert plain.guest_errors == []


def test_a_write_only_register_in_memory_reads_as_zero(plain: Bench, chip: Chip) -> None:
    assert plain.read_mmio(MMIO + 4) == 0
    assert plain.guest_errors == ["chip: DOORBELL is write-only; read"]


# --- widths ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("offset", "size", "value"),
    [
        (0x08, 4, 0x4433_2211),
        (0x0C, 4, 0x8877_6655),
        (0x0C, 2, 0x6655),
        (0x0E, 1, 0x77),
        (0x10, 4, 0xFFCC_BBAA),
        (0x00, 2, 0x2200),
    ],
    ids=["own width", "bytes of one", "two of them", "one byte", "word, byte and nothing", "two registers"],
)
def test_a_wide_read_is_made_of_narrower_ones(plain: Bench, chip: Chip, offset: int, size: int, value: int) -> None:
    for _ in range(2):
        assert plain.read_port(BASE + offset, size) == value
    assert plain.guest_errors == []


def test_a_wide_write_is_made_of_narrower_ones(plain: Bench, chip: Chip) -> None:
    plain.write_port(BASE + 0x10, 0x00DD_2233, 4)
    plain.write_port(BASE + 0x0C, 0x0102_0304, 4)
    plain.write_port(BASE + 0x0D, 0xFF, 1)
    assert (chip.WORD.value, chip.BYTE.value, chip.LONG.value) == (0x2233, 0xDD, 0x0102_FF04)


@pytest.mark.parametrize(
    ("offset", "size", "name", "takes"),
    [(0x08, 1, "WIDE", "4"), (0x0A, 2, "WIDE", "4"), (0x11, 1, "WORD", "2"), (0x21, 1, "fifo", "2")],
)
def test_a_narrow_access_is_refused(plain: Bench, chip: Chip, offset: int, size: int, name: str, takes: str) -> None:
    before = chip.save()
    assert plain.read_port(BASE + offset, size) == (1 << 8 * size) - 1
    plain.write_port(BASE + offset, 0, size)
    assert chip.save() == before
    assert chip.calls == []
    assert plain.guest_errors == [
        f"chip: {name} read with {size} bytes; it takes {takes}",
        f"chip: {name} written with {size} bytes; it takes {takes}",
    ]


# --- windows -----------------------------------------------------------------------------------------------------


def test_a_window_answers_by_offset_and_size(plain: Bench, chip: Chip) -> None:
    assert plain.read_port(BASE + 0x52, 2) == 0x1312
    plain.write_port(BASE + 0x41, 0xAB, 1)
    assert chip.calls == [("table", 0x12, 2), ("table", 1, 1, 0xAB)]


@pytest.mark.parametrize(
    ("offset", "calls"),
    [(0x20, [("fifo", 0, 2), ("fifo", 2, 2)]), (0x44, [("table", 4, 2), ("table", 6, 2)])],
    ids=["linked", "by offset"],
)
def test_a_window_gets_its_own_widths_only(
    plain: Bench, chip: Chip, offset: int, calls: list[tuple[str, int, int]]
) -> None:
    plain.read_port(BASE + offset, 4)
    assert chip.calls == calls
    plain.write_port(BASE + offset, 0xBBBB_AAAA, 4)
    assert chip.calls[2:] == [(*calls[0], 0xAAAA), (*calls[1], 0xBBBB)]


def test_an_access_over_a_windows_end_is_split_there(plain: Bench, chip: Chip) -> None:
    """CVE-2020-13754: no access reaches a device that isn't wholly within what it declared."""
    assert plain.read_port(BASE + 0x5E, 4) == 0xFFFF_1F1E
    assert chip.calls == [("table", 0x1E, 2)]


def test_a_register_within_a_window_answers_before_it(plain: Bench) -> None:
    class Table(Device):
        ports = PortBank(0x40)
        MIDDLE = ports.register(0x10, 2, reset=0xBEEF)
        table = ports.window(0, 0x40)

        def realize(self) -> None:
            self.claim_ports(self.ports, BASE)

        @table.read
        def table_read(self, offset: int, size: int) -> int:
            return offset

    table = plain.plug(Table)
    assert [plain.read_port(BASE + offset, 2) for offset in (0x0E, 0x10, 0x12)] == [0x0E, 0xBEEF, 0x12]
    plain.write_port(BASE + 0x10, 1, 2)
    assert table.MIDDLE.value == 1


def test_a_window_may_be_without_a_writer(plain: Bench) -> None:
    class Rom(Device):
        memory = MmioBank(0x20)
        rom = memory.window(0, 0x20)

        @rom.read
        def contents(self, offset: int, size: int) -> int:
            return offset

    rom = plain.plug(Rom, "rom")
    rom.claim_memory(rom.memory, MMIO)
    plain.write_mmio(MMIO + 4, 1)
    assert plain.read_mmio(MMIO + 4) == 4
    assert plain.guest_errors == ["rom: rom is read-only; 0x1 written"]


# --- banks of parts and by themselves ----------------------------------------------------------------------------


def test_a_bank_answers_outside_of_any_address_space(chip: Chip) -> None:
    assert chip.ports.read(0x08, 4) == 0x4433_2211
    chip.ports.write(0x12, 1, 0x99)
    assert chip.BYTE.value == 0x99
    assert repr(chip.ports) == "<BankRegion chip.ports 0x70>"


def test_a_bank_is_a_region_once_a_device_is() -> None:
    assert Chip.ports.size == 0x70
    with pytest.raises(AttributeError, match=r"Chip\.ports exists once"):
        Chip.ports.__get__(object(), Chip)
