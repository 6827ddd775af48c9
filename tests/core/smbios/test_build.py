"""A machine's SMBIOS tables, read by a reader of our own, and by dmidecode."""

from __future__ import annotations

import struct
from pathlib import Path
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st
from southbridge import GiB, KiB, Machine, MiB
from southbridge.board import MemoryRange, memory_modules
from southbridge.cpu_models import find_model
from southbridge.smbios import Identity
from southbridge.smbios.build import Smbios, SmbiosError, build, pieces
from southbridge.smbios.structures import Structure

from tests.core.smbios.reader import decoded, of_kind, read, read_anchor

UUID_TEXT = "00112233-4455-6677-8899-aabbccddeeff"
NAMED = Identity("Acme", "Abacus", "7b", "0042", "A-7", "Counting", UUID(UUID_TEXT))
texts = st.text(st.characters(min_codepoint=0x20, max_codepoint=0x7E), max_size=64)


def machine(memory: int = 256 * MiB, cpus: int = 1, identity: Identity | None = None, cpu: str = "portable") -> Machine:
    """One with its memory where an i440FX has it."""
    machine = Machine(name="smbios", memory=memory, cpus=cpus, cpu=find_model(cpu))
    machine.identity = identity or Identity()
    low = 3 * GiB if memory >= 3584 * MiB else memory
    machine.memory_map.append(MemoryRange(0, low))
    if memory > low:
        machine.memory_map.append(MemoryRange(4 * GiB, memory - low))
    return machine


# --- what is said ----------------------------------------------------------------------------------------------------


def test_firmware_tells_of_itself() -> None:
    kinds = [structure.kind for structure in read(build(machine(), with_firmware=True).tables)]
    assert kinds == [1, 3, 4, 16, 17, 17, 19, 32, 127]
    (bios,) = of_kind(build(machine(), with_firmware=False).tables, 0)
    assert (len(bios.data), bios.text(4), bios.data[0x13] & 1 << 4) == (0x18, "Southbridge", 1 << 4)


def test_system_information() -> None:
    (system,) = of_kind(build(machine(identity=NAMED), with_firmware=True).tables, 1)
    assert len(system.data) == 0x1B
    assert [system.text(offset) for offset in (4, 5, 6, 7, 0x19, 0x1A)] == [
        *("Acme", "Abacus", "7b", "0042", "A-7", "Counting")
    ]
    assert system.data[8:24] == bytes.fromhex("33221100554477668899aabbccddeeff")


def test_without_a_uuid_there_is_none() -> None:
    (system,) = of_kind(build(machine(), with_firmware=True).tables, 1)
    assert system.data[8:24] == bytes(16)


@given(identity=st.builds(Identity, texts, texts, texts, texts, texts, texts, st.none() | st.uuids()))
def test_any_identity(identity: Identity) -> None:
    made = build(machine(identity=identity), with_firmware=False)
    (system,) = of_kind(made.tables, 1)
    said = [system.text(offset) for offset in (4, 5, 6, 7, 0x19, 0x1A)]
    assert said == [
        *(identity.manufacturer, identity.product, identity.version),
        *(identity.serial, identity.sku, identity.family),
    ]
    (chassis,) = of_kind(made.tables, 3)
    assert (chassis.text(4), chassis.text(0x15)) == (identity.manufacturer, identity.sku)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("x" * 65, "smbios: serial: expected at most 64 characters, not 65"),
        ("a\0b", "smbios: serial: expected printable ASCII characters only"),
        ("é", "smbios: serial: expected printable ASCII characters only"),
    ],
)
def test_texts_that_cant_be_said(text: str, message: str) -> None:
    with pytest.raises(SmbiosError) as caught:
        build(machine(identity=NAMED._replace(serial=text)), with_firmware=True)
    assert str(caught.value) == message


@pytest.mark.parametrize(("cpus", "count"), [(1, 1), (4, 4), (254, 254), (255, 0)])
def test_one_socket_has_all_cpus(cpus: int, count: int) -> None:
    it = machine(cpus=cpus)
    (processor,) = of_kind(build(it, with_firmware=True).tables, 4)
    first = next(entry for entry in it.cpu.cpuid(0, cpus) if entry.leaf == 1)
    assert len(processor.data) == 0x2A
    assert processor.text(7) == it.cpu.vendor
    assert (processor.number(8, 4), processor.number(12, 4)) == (first.eax, first.edx)
    assert [processor.data[offset] for offset in (0x23, 0x24, 0x25)] == [count] * 3
    assert processor.number(0x26, 2) == 1 << 2


# --- memory ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("size", "modules"),
    [
        (1 * MiB, [1 * MiB]),
        (12 * MiB, [12 * MiB]),
        (16 * MiB, [16 * MiB]),
        (200 * MiB, [128 * MiB, 64 * MiB, 8 * MiB]),
        (256 * MiB, [128 * MiB] * 2),
        (1 * GiB, [128 * MiB] * 8),
        (64 * GiB, [*[128 * MiB] * 7, 64 * GiB - 896 * MiB]),
    ],
)
def test_modules(size: int, modules: list[int]) -> None:
    assert memory_modules(size) == modules


@given(size=st.integers(1, 1 << 28).map(lambda units: units * 4 * KiB))
def test_any_memory(size: int) -> None:
    modules = memory_modules(size)
    assert sum(modules) == size
    assert len(modules) <= 8
    assert all(8 * MiB <= module <= 128 * MiB and module & module - 1 == 0 for module in modules[:-1])
    made = build(machine(size), with_firmware=True)
    (array,) = of_kind(made.tables, 16)
    kib = array.number(7, 4)
    assert (kib * KiB if kib < 1 << 31 else array.number(0xF, 8)) == size
    assert array.number(0xD, 2) == len(modules)
    devices = of_kind(made.tables, 17)
    for device, module in zip(devices, modules, strict=True):
        assert (len(device.data), device.number(4, 2)) == (0x28, array.handle)
        short = device.number(0xC, 2)
        said = device.number(0x1C, 4) * MiB if short == 0x7FFF else (short & 0x7FFF) * (KiB if short >> 15 else MiB)
        assert 0 <= module - said < MiB
    mapped = 0
    for mapping in of_kind(made.tables, 19):
        assert (len(mapping.data), mapping.number(12, 2)) == (0x1F, array.handle)
        first, last = mapping.number(4, 4), mapping.number(8, 4)
        mapped += (
            (last - first + 1) * KiB if last != 0xFFFF_FFFF else mapping.number(0x17, 8) - mapping.number(0xF, 8) + 1
        )
    assert mapped == size


def test_memory_beyond_4_tib_in_kib() -> None:
    it = machine(1 * MiB)
    it.memory_map[:] = [MemoryRange(0, 5 << 40)]
    (mapping,) = of_kind(build(it, with_firmware=True).tables, 19)
    assert (mapping.number(4, 4), mapping.number(8, 4)) == (0xFFFF_FFFF, 0xFFFF_FFFF)
    assert (mapping.number(0xF, 8), mapping.number(0x17, 8)) == (0, (5 << 40) - 1)


# --- the whole -------------------------------------------------------------------------------------------------------


@given(
    memory=st.integers(1, 1024).map(lambda units: units * MiB),
    cpus=st.integers(1, 255),
    firmware=st.booleans(),
    address=st.integers(0, 0xFFFF_0000),
)
def test_the_anchor_says_what_there_is(memory: int, cpus: int, firmware: bool, address: int) -> None:
    made = build(machine(memory, cpus), with_firmware=firmware)
    anchor = read_anchor(made.anchor(address))
    found = read(made.tables)
    assert (anchor.address, anchor.length, anchor.count) == (address, len(made.tables), len(found))
    assert anchor.largest == max(map(len, made.structures))
    assert [structure.kind for structure in found].count(127) == 1
    assert found[-1].kind == 127
    assert len({structure.handle for structure in found}) == len(found)


@given(strings=st.lists(texts), fields=st.binary(max_size=100))
def test_any_structure(strings: list[str], fields: bytes) -> None:
    it = Structure(200, 0x1234)
    it.add(f"{len(fields)}s", fields)
    for text in strings:
        it.text(text)
    (structure,) = read(it.bytes())
    assert (structure.kind, structure.handle, structure.data[4 : 4 + len(fields)]) == (200, 0x1234, fields)
    assert [structure.text(4 + len(fields) + index) for index in range(len(strings))] == strings


def test_without_firmware_they_are_where_programs_look() -> None:
    (place, anchor), (address, tables) = pieces(machine())
    assert place % 16 == 0
    assert 0xF_0000 <= place < 1 << 20
    assert place + len(anchor) <= address
    assert read_anchor(anchor).address == address
    assert address + len(tables) <= 1 << 20


def test_too_long() -> None:
    it = machine()
    it.memory_map.extend(MemoryRange(index << 20, MiB) for index in range(3000))
    with pytest.raises(SmbiosError, match=r"tables of \d+ bytes are too long: there is room for 65504"):
        build(it, with_firmware=True)
    del it.memory_map[1970:]
    assert sum(address + len(data) > 1 << 20 for address, data in pieces(it)) == 0


@pytest.mark.parametrize("cpu", ["portable", "qemu64"])
@pytest.mark.parametrize("memory", [1 * MiB, 13 * MiB + 4 * KiB, 256 * MiB, 64 * GiB])
def test_dmidecode_understands_them(memory: int, cpu: str, tmp_path: Path) -> None:
    made: Smbios = build(machine(memory, 4, NAMED, cpu), with_firmware=False)
    text = decoded(made.anchor(32), made.tables, tmp_path)
    for line in (
        *("SMBIOS 2.8 present.", "Manufacturer: Acme", "Product Name: Abacus", "Serial Number: 0042"),
        *("SKU Number: A-7", "Family: Counting", f"UUID: {UUID_TEXT}", "Core Count: 4", "Type: SDRAM"),
        *("64-bit capable", "System is a virtual machine", "End Of Table"),
    ):
        assert line in text
    count = struct.unpack_from("<H", made.anchor(), 0x1C)[0]
    assert text.count("\nHandle ") == count
