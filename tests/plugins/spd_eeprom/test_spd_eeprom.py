"""Memory modules' EEPROMs: what they say, by a decoder that isn't ours, and how they behave on the bus."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from southbridge import GiB, KiB, MiB, RealizeError, SouthbridgeError
from southbridge.board import memory_modules
from southbridge.plugins.spd_eeprom import SpdEeprom, spd
from southbridge.smbus import Nack, SmbusBus
from southbridge.testing import Bench

from tests.guests.build import need

FIRST = 0x50


def plugged(bench: Bench, **properties: Any) -> SmbusBus:
    """The bus that they are on."""
    bench.plug("piix4_acpi")
    bench.plug("spd-eeprom", **properties)
    bus: SmbusBus = bench.machine.buses["smbus.0"]
    return bus


def contents(bus: SmbusBus, address: int = FIRST) -> bytes:
    """As the guest reads them, byte by byte."""
    return bytes(bus.read_byte(address, place) for place in range(spd.SIZE))


def refused(bench: Bench, **properties: Any) -> str:
    bench.plug("piix4_acpi")
    with pytest.raises(SouthbridgeError) as caught:
        bench.plug("spd-eeprom", **properties)
    return str(caught.value)


# --- what they say ---------------------------------------------------------------------------------------------------


@given(size=st.integers(0, 64 * GiB))
def test_any_size(size: int) -> None:
    told = spd.described_size(size)
    assert told & told - 1 == 0
    assert 8 * MiB <= told <= 4 * GiB
    if 8 * MiB <= size <= 4 * GiB:
        assert told <= size < 2 * told
    said = spd.module(size, 3)
    assert len(said) == 256
    assert said[:3] == bytes([128, 8, 4])
    assert said[63] == sum(said[:63]) & 0xFF
    assert (1 << said[3] + said[4]) * said[17] * 8 == told
    assert said[31].bit_count() == 1
    assert spd.checked(said) == said


@pytest.mark.parametrize("mib", [8, 16, 32, 64, 128, 256, 512, 1024, 2048, 4096])
def test_decode_dimms_understands_them(mib: int, tmp_path: Path) -> None:
    lines = [spd.module(mib * MiB, 1)[place : place + 16].hex(" ") for place in range(0, spd.SIZE, 16)]
    dump = tmp_path / "spd.hex"
    dump.write_text("".join(f"{16 * number:02x}: {line}\n" for number, line in enumerate(lines)))
    command = [need("decode-dimms", "i2c-tools"), "-x", str(dump)]
    text = subprocess.run(command, capture_output=True, text=True, check=True, env={**os.environ, "LC_ALL": "C"}).stdout
    said = {line[:49].strip(): line[49:].strip() for line in text.splitlines()}
    assert said["EEPROM Checksum of bytes 0-62"].startswith("OK")
    assert said["Fundamental Memory type"] == "SDR SDRAM"
    assert said["Size"] == f"{mib} MB"
    assert said["tCL-tRCD-tRP-tRAS as PC100"] == "2-2-2-5"
    assert said["Supported CAS Latencies"] == "3T, 2T"
    assert said["Part Number"] == f"SOUTHBRIDGE {mib}"
    assert "Double-sided" not in text
    assert "Number of SDRAM DIMMs detected and decoded: 1" in text


@pytest.mark.parametrize(
    "memory", [1 * MiB, 8 * MiB, 200 * MiB, 256 * MiB, 1 * GiB], ids=["1M", "8M", "200M", "256M", "1G"]
)
def test_as_many_as_the_host_bridge_has_rows(memory: int) -> None:
    """The 82441FX's DRB registers say where each row ends, in 8 MiB."""
    bench = Bench(memory=memory, bare=True)
    host = bench.plug("i440fx")
    bus = plugged(bench)
    ends = [bench.config_read(host, 0x60 + row, 1) for row in range(8)]
    sizes = [(end - start) * 8 * MiB for start, end in zip([0, *ends], ends, strict=False) if end > start]
    told = [(1 << said[3] + said[4]) * said[17] * 8 for said in (contents(bus, address) for address in bus.targets())]
    assert told == (sizes or [8 * MiB])
    assert list(bus.targets()) == list(range(FIRST, FIRST + len(told)))


def test_contents_from_a_file(bench: Bench, tmp_path: Path) -> None:
    file = tmp_path / "spd.bin"
    file.write_bytes(bytes(128))
    bus = plugged(bench, file=file, address=0x53)
    assert list(bus.targets()) == [0x53]
    assert contents(bus, 0x53) == bytes(128) + b"\xff" * 128


def test_contents_from_the_description(bench: Bench) -> None:
    data = spd.module(64 * MiB, 9)
    assert contents(plugged(bench, data=data.hex(" "))) == data


@pytest.mark.parametrize(
    ("properties", "message"),
    [
        ({"data": ""}, "spd-eeprom: data: it has 0 bytes; expected 128 or 256"),
        ({"data": "00" * 257}, "spd-eeprom: data: it has 257 bytes; expected 128 or 256"),
        ({"data": "0" * 255}, "expected hexadecimal digits, two a byte"),
        ({"data": "zz"}, "expected hexadecimal digits, two a byte"),
        ({"data": f"800804{'00' * 125}"}, "spd-eeprom: data: byte 63, its checksum, is 0x00; expected 0x8c"),
        ({"address": 0x4F}, "greater than or equal to 80"),
        ({"address": 0x58}, "less than or equal to 87"),
    ],
)
def test_malformed_contents(bench: Bench, properties: dict[str, Any], message: str) -> None:
    assert message in refused(bench, **properties)


def test_files_that_are_none(bench: Bench, tmp_path: Path) -> None:
    absent = tmp_path / "absent.bin"
    assert refused(bench, file=absent) == f"spd-eeprom: file: can't read {absent}: No such file or directory"
    short = tmp_path / "short.bin"
    short.write_bytes(bytes(100))
    with pytest.raises(RealizeError, match=r"short\.bin: it has 100 bytes; expected 128 or 256"):
        bench.plug("spd-eeprom", file=short)
    with pytest.raises(RealizeError, match="file and data say both what the contents are"):
        bench.plug("spd-eeprom", file=short, data="00" * 128)


def test_addresses_that_are_taken_or_too_few(bench: Bench) -> None:
    bus = plugged(bench)
    with pytest.raises(RealizeError, match=r"^more: smbus\.0 address 0x50 is taken by spd-eeprom$"):
        bench.plug("spd-eeprom", "more")
    assert len(bus.targets()) == len(memory_modules(bench.machine.ram.size))
    large = Bench(memory=40 * MiB)
    message = refused(large, address=0x57)
    assert message == "spd-eeprom: 2 memory modules from 0x57 go beyond 0x57"
    assert large.machine.buses["smbus.0"].targets() == {}


# --- how they behave -------------------------------------------------------------------------------------------------


def test_reads_go_on_where_the_last_one_ended(bench: Bench) -> None:
    bus = plugged(bench, data=bytes(range(256)).hex())
    assert bus.read_byte(FIRST, 0xFE) == 0xFE
    assert [bus.receive_byte(FIRST) for _ in range(3)] == [0xFF, 0, 1]
    assert bus.read_word(FIRST, 0x10) == 0x1110
    bus.send_byte(FIRST, 0x80)
    assert bus.receive_byte(FIRST) == 0x80
    bus.quick(FIRST, False)


def test_a_block_is_as_long_as_its_first_byte_says(bench: Bench) -> None:
    bus = plugged(bench, data=bytes(range(256)).hex())
    assert bus.read_block(FIRST, 3) == (3, b"\x04\x05\x06")
    assert bus.read_block(FIRST, 0) == (0, b"")
    assert bus.read_block(FIRST, 0xF0) == (0xF0, bytes([*range(0xF1, 0x100), *range(0x11)]))


def test_protected_it_refuses_data(bench: Bench) -> None:
    bus = plugged(bench, data=bytes(256).hex())
    with pytest.raises(Nack):
        bus.write_byte(FIRST, 1, 2)
    with pytest.raises(Nack):
        bus.write_block(FIRST, 1, b"2")
    assert contents(bus) == bytes(256)
    assert len(bench.guest_errors) == 2


def test_data_are_written_within_a_page(bench: Bench) -> None:
    bus = plugged(bench, data=bytes(256).hex(), write_protected=False)
    bus.write_word(FIRST, 0x2F, 0xBBAA)
    with pytest.raises(Nack):
        bus.quick(FIRST, False)
    bench.clock.advance(ms=5)
    assert contents(bus) == bytes(0x20) + b"\xbb" + bytes(14) + b"\xaa" + bytes(256 - 0x30)


def test_what_was_written_survives_a_reset_and_saved_state(bench: Bench) -> None:
    bus = plugged(bench, data=bytes(256).hex(), write_protected=False)
    device: SpdEeprom = bench.machine.devices["spd-eeprom"]  # type: ignore[assignment]
    bus.write_byte(FIRST, 0, 0x77)
    saved = device.save()
    device.reset()
    assert bus.read_byte(FIRST, 0) == 0x77
    device.eeproms[0].contents = bytes(256)
    device.load(saved)
    with pytest.raises(Nack):
        bus.receive_byte(FIRST)
    bench.clock.advance(ms=5)
    assert contents(bus) == b"\x77" + bytes(255)


@given(accesses=st.lists(st.tuples(st.integers(0, 5), st.integers(0, 255), st.integers(0, 255)), max_size=40))
def test_any_accesses_change_no_protected_byte(accesses: list[tuple[int, int, int]]) -> None:
    bench = Bench(memory=512 * KiB)
    bus = plugged(bench)
    before = contents(bus)
    for kind, place, value in accesses:
        try:
            match kind:
                case 0:
                    bus.write_byte(FIRST, place, value)
                case 1:
                    bus.write_word(FIRST, place, value)
                case 2:
                    bus.process_call(FIRST, place, value)
                case 3:
                    bus.send_byte(FIRST, place)
                case 4:
                    bus.write_block(FIRST, place, bytes([value]))
                case 5:
                    bus.read_block(FIRST, place)
        except Nack:
            pass
    assert contents(bus) == before


def test_unplugged_it_is_gone(bench: Bench) -> None:
    bus = plugged(bench)
    bench.machine.unplug(bench.machine.devices["spd-eeprom"])
    assert bus.targets() == {}
    with pytest.raises(Nack):
        bus.quick(FIRST, True)
