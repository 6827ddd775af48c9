"""Addresses and checksums: placed by us, or by firmware that follows QEMU's script."""

from __future__ import annotations

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st
from southbridge.acpi.aml import AcpiError
from southbridge.acpi.linker import LARGEST, Block, TableSet
from southbridge.acpi.tables import (
    HEADER,
    Interrupts,
    Pointer,
    PowerManagement,
    facs,
    fadt,
    io_apic,
    local_apic,
    madt,
    rsdp,
    rsdt,
    table,
    xsdt,
)

POWER = PowerManagement(sci=9, event=0x600, control=0x604, timer=0x608, gpe0=0x60C, gpe0_length=4)


def tables(*more: bytes) -> TableSet:
    interrupts = Interrupts(local_apics=[local_apic(0, 0)], io_apics=[io_apic(0, 0xFEC0_0000)])
    extra = [table("OEM" + "ABCD"[index], 1, body) for index, body in enumerate(more)]
    listed = [fadt(POWER), madt(interrupts), *extra]
    names = [item.name for item in listed]
    return TableSet(rsdp(), [facs(), table("DSDT", 2, b""), *listed, rsdt(names), xsdt(names)])


class Firmware:
    """Does what the script says, from QEMU's description of it, with files placed where the test wants."""

    def __init__(self, files: dict[str, bytes], addresses: dict[str, int]) -> None:
        self.files = files
        self.addresses = addresses
        self.memory: dict[str, bytearray] = {}
        self.zones: dict[str, int] = {}
        self.answers: dict[tuple[str, int], bytes] = {}
        script = files["etc/table-loader"]
        assert len(script) % 128 == 0
        for at in range(0, len(script), 128):
            self._do(script[at : at + 128])

    def _do(self, command: bytes) -> None:
        (code,) = struct.unpack_from("<I", command)
        first = command[4:60].rstrip(b"\0").decode()
        if code == 1:
            alignment, zone = struct.unpack_from("<IB", command, 60)
            assert self.addresses[first] % alignment == 0
            self.memory[first] = bytearray(self.files[first])
            self.zones[first] = zone
        elif code == 2:
            second = command[60:116].rstrip(b"\0").decode()
            offset, size = struct.unpack_from("<IB", command, 116)
            data = self.memory[first]
            value = int.from_bytes(data[offset : offset + size], "little") + self.addresses[second]
            data[offset : offset + size] = value.to_bytes(size, "little")
        elif code == 4:
            second = command[60:116].rstrip(b"\0").decode()
            offset, source, size = struct.unpack_from("<IIB", command, 116)
            self.answers[first, offset] = (self.addresses[second] + source).to_bytes(size, "little")
        elif code == 3:
            offset, start, length = struct.unpack_from("<III", command, 60)
            data = self.memory[first]
            data[offset] = (data[offset] - sum(data[start : start + length])) & 0xFF
        else:
            raise AssertionError(code)


@given(st.integers(0, 1000).map(lambda number: 0x10_0000 + number * 64), st.lists(st.binary(max_size=300), max_size=4))
def test_firmware_makes_of_the_script_what_we_place_ourselves(base: int, more: list[bytes]) -> None:
    made = tables(*more)
    firmware = Firmware(made.loader_files(), {"etc/acpi/tables": base, "etc/acpi/rsdp": 0xF_0000})
    placed = made.place(base)
    assert bytes(firmware.memory["etc/acpi/tables"]) == placed.tables
    assert bytes(firmware.memory["etc/acpi/rsdp"]) == placed.rsdp
    assert firmware.zones == {"etc/acpi/tables": 1, "etc/acpi/rsdp": 2}


def test_every_table_is_reached_and_adds_up_to_zero() -> None:
    base = 0x7FE_0000
    made = tables(b"hello")
    placed = made.place(base)
    assert sum(placed.rsdp[:20]) & 0xFF == sum(placed.rsdp) & 0xFF == 0
    at_rsdt, at_xsdt = struct.unpack_from("<I", placed.rsdp, 16)[0], struct.unpack_from("<Q", placed.rsdp, 24)[0]

    def at(address: int) -> bytes:
        start = address - base
        data = placed.tables[start : start + struct.unpack_from("<I", placed.tables, start + 4)[0]]
        assert data[:4] == b"FACS" or sum(data) & 0xFF == 0
        return data

    old = [address for (address,) in struct.iter_unpack("<I", at(at_rsdt)[36:])]
    new = [address for (address,) in struct.iter_unpack("<Q", at(at_xsdt)[36:])]
    assert old == new
    assert [at(address)[:4] for address in new] == [b"FACP", b"APIC", b"OEMA"]
    description = at(new[0])
    assert at(struct.unpack_from("<I", description, 36)[0])[:4] == b"FACS"
    assert struct.unpack_from("<I", description, 36)[0] % 64 == 0
    assert at(struct.unpack_from("<I", description, 40)[0])[:4] == b"DSDT"
    assert struct.unpack_from("<Q", description, 140)[0] == struct.unpack_from("<I", description, 40)[0]


def test_tables_that_are_too_long_are_refused() -> None:
    with pytest.raises(AcpiError, match=r"ACPI tables take .* of them OEMA"):
        tables(bytes(LARGEST))


def test_two_tables_of_a_name_are_refused() -> None:
    with pytest.raises(AcpiError, match="two ACPI tables named 'OEMX'"):
        TableSet(rsdp(), [table("OEMX", 1, b""), table("OEMX", 1, b"")])


def test_an_address_that_isnt_aligned_is_refused() -> None:
    with pytest.raises(ValueError, match="multiple of 64"):
        tables().place(0x1020)


def with_block(told: list[int]) -> TableSet:
    """Tables of which one has, at its end, the address of a block."""
    block = Block("etc/block", b"contents".ljust(256, b"."), 256, "etc/block_address", told.append)
    listed = [table("OEMB", 1, bytes(8), pointers=[Pointer(HEADER + 4, 4, "etc/block")])]
    names = [item.name for item in listed]
    return TableSet(rsdp(), [facs(), *listed, rsdt(names), xsdt(names)], [block])


def test_firmware_places_a_block_and_answers_where() -> None:
    told: list[int] = []
    made = with_block(told)
    files = made.loader_files() | {"etc/block": made.blocks[0].data}
    assert len(files["etc/acpi/tables"]) < made.size
    addresses = {"etc/acpi/tables": 0x10_0040, "etc/acpi/rsdp": 0xF_0000, "etc/block": 0x20_0100}
    firmware = Firmware(files, addresses)
    assert bytes(firmware.memory["etc/block"]) == made.blocks[0].data
    at = made.offsets["OEMB"] + HEADER
    assert firmware.memory["etc/acpi/tables"][at : at + 8] == struct.pack("<II", 0, 0x20_0100)
    assert firmware.answers == {("etc/block_address", 0): struct.pack("<Q", 0x20_0100)}
    assert told == []


def test_without_firmware_a_block_is_behind_the_tables() -> None:
    told: list[int] = []
    made = with_block(told)
    placed = made.place(0x10_0000)
    (address,) = told
    assert address % 256 == 0
    assert placed.tables[address - 0x10_0000 :] == made.blocks[0].data
    at = made.offsets["OEMB"] + HEADER
    assert placed.tables[at : at + 8] == struct.pack("<II", 0, address)
    data = placed.tables[made.offsets["OEMB"] :][: HEADER + 8]
    assert sum(data) & 0xFF == 0


def test_an_address_that_does_not_suit_a_block_is_refused() -> None:
    with pytest.raises(ValueError, match="multiple of 256"):
        with_block([]).place(0x10_0040)
