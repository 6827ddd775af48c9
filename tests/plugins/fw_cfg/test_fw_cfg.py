"""fw_cfg: items, the file directory, DMA, and guests that ask for too much."""

from __future__ import annotations

import struct
import tracemalloc
from pathlib import Path
from uuid import UUID

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from southbridge import MiB, SouthbridgeError
from southbridge.firmware_config import Geometry
from southbridge.numa import Numa, NumaNode
from southbridge.plugins.fw_cfg import FwCfg
from southbridge.plugins.fw_cfg.device import ERROR, PADDING_LIMIT, READ, SELECT, SKIP, WRITE
from southbridge.smbios import Identity
from southbridge.smbios.build import build
from southbridge.testing import Bench

SELECTOR, DATA, DMA_HIGH, DMA_LOW = 0x510, 0x511, 0x514, 0x518
DESCRIPTION, BUFFER = 0x1000, 0x2000
DIRECTORY = 0x19


def read_item(bench: Bench, key: int, length: int) -> bytes:
    """Byte by byte."""
    bench.write_port(SELECTOR, key, 2)
    return bytes(bench.read_port(DATA) for _ in range(length))


def transfer(bench: Bench, control: int, length: int, address: int = BUFFER, at: int = DESCRIPTION) -> int:
    """A DMA transfer; gives the control word that the device leaves."""
    bench.write_memory(at, struct.pack(">IIQ", control, length, address))
    bench.write_port(DMA_HIGH, int.from_bytes((at >> 32).to_bytes(4, "big"), "little"), 4)
    bench.write_port(DMA_LOW, int.from_bytes((at & 0xFFFF_FFFF).to_bytes(4, "big"), "little"), 4)
    return int.from_bytes(bench.read_memory(at, 4), "big")


def files(bench: Bench) -> dict[str, tuple[int, int]]:
    """The directory: name to item and size."""
    count = int.from_bytes(read_item(bench, DIRECTORY, 4), "big")
    entries = [bytes(bench.read_port(DATA) for _ in range(64)) for _ in range(count)]
    unpacked = [struct.unpack(">IHH56s", entry) for entry in entries]
    return {name.rstrip(b"\0").decode(): (key, size) for size, key, _, name in unpacked}


def read_file(bench: Bench, name: str) -> bytes:
    """A file's contents."""
    return read_item(bench, *files(bench)[name])


# --- items -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("key", "contents"),
    [
        (0x00, b"QEMU"),
        (0x01, struct.pack("<I", 3)),
        (0x03, struct.pack("<Q", 16 * MiB)),
        (0x04, struct.pack("<H", 0)),
        (0x05, struct.pack("<H", 1)),
        (0x0E, struct.pack("<H", 0)),
        (0x0F, struct.pack("<H", 1)),
        (0x8002, struct.pack("<I", 1)),
    ],
)
def test_numbered_item(bench: Bench, key: int, contents: bytes) -> None:
    bench.plug("fw_cfg")
    assert read_item(bench, key, len(contents) + 2) == contents + b"\0\0"
    assert read_item(bench, key | 0x4000, len(contents)) == contents


def test_the_number_of_cpus(bench: Bench) -> None:
    bench.machine.cpus.max = 4
    bench.machine.cpus.plugged = dict.fromkeys(range(3), "")
    bench.plug("fw_cfg")
    assert (read_item(bench, 0x05, 2), read_item(bench, 0x0F, 2)) == (b"\x03\0", b"\x04\0")


@pytest.mark.parametrize("key", [0x1FFF, 0x3FFF, 0xBFFF, 0xFFFF])
def test_absent_item_reads_as_zeros(bench: Bench, key: int) -> None:
    bench.plug("fw_cfg")
    assert read_item(bench, key, 4) == bytes(4)


def test_selecting_starts_from_the_first_byte(bench: Bench) -> None:
    bench.plug("fw_cfg")
    assert read_item(bench, 0, 2) == b"QE"
    assert read_item(bench, 0, 4) == b"QEMU"


def test_properties_become_items(bench: Bench) -> None:
    bench.plug("fw_cfg", boot_menu=True, boot_menu_wait=1500, reboot_timeout=1000, serial_console=0x3F8)
    assert read_item(bench, 0x0E, 2) == b"\x01\0"
    assert read_item(bench, 0x04, 2) == b"\x01\0"
    assert read_file(bench, "etc/boot-menu-wait") == struct.pack("<H", 1500)
    assert read_file(bench, "etc/boot-fail-wait") == struct.pack("<I", 1000)
    assert read_file(bench, "etc/sercon-port") == struct.pack("<H", 0x3F8)


def test_numa_nodes(bench: Bench) -> None:
    """As many CPUs as there may be, then as many memories as there are nodes."""
    bench.machine.numa = Numa((NumaNode(4 * MiB), NumaNode(12 * MiB, (0,))))
    bench.plug("fw_cfg")
    assert read_item(bench, 0x0D, 32) == struct.pack("<4Q", 2, 1, 4 * MiB, 12 * MiB)


def test_nothing_but_what_is_named_is_booted(bench: Bench) -> None:
    bench.plug("fw_cfg", strict_boot=True)
    assert read_file(bench, "bootorder") == b"HALT\0"
    bench.machine.firmware_config.add_boot_device(0, "/it")
    bench.machine.devices["fw_cfg"].reset()
    assert read_file(bench, "bootorder") == b"/it\nHALT\0"


def test_geometries_that_a_user_chose(bench: Bench) -> None:
    bench.machine.firmware_config.geometries = {"/a": Geometry(20, 4, 17), "/b": Geometry(1, 2, 3)}
    bench.plug("fw_cfg")
    assert read_file(bench, "bios-geometry") == b"/a 20 4 17\n/b 1 2 3\0"


@pytest.mark.parametrize(("beginning", "ending"), [(b"BM", "bmp"), (b"\xff\xd8", "jpg")])
def test_a_picture_and_a_text(bench: Bench, tmp_path: Path, beginning: bytes, ending: str) -> None:
    (tmp_path / "splash").write_bytes(beginning + b"...")
    bench.plug("fw_cfg", splash=str(tmp_path / "splash"), texts={"opt/a": "it"})
    assert read_file(bench, f"bootsplash.{ending}") == beginning + b"..."
    assert read_file(bench, "opt/a") == b"it"


def test_files_are_sorted_and_numbered(bench: Bench) -> None:
    bench.machine.firmware_config.add_file("a/first", b"1")
    bench.machine.firmware_config.add_file("z/last", b"")
    bench.plug("fw_cfg")
    listed = files(bench)
    assert list(listed) == sorted(listed)
    assert [key for key, _ in listed.values()] == list(range(0x20, 0x20 + len(listed)))
    assert listed["z/last"][1] == 0
    assert "bootorder" not in listed


def test_the_machines_uuid(bench: Bench) -> None:
    """In the order in which it is written; SMBIOS has its first parts the other way round."""
    bench.plug("fw_cfg")
    assert read_item(bench, 0x02, 16) == bytes(16)
    bench.machine.identity = Identity(uuid=UUID("00112233-4455-6677-8899-aabbccddeeff"))
    bench.machine.devices["fw_cfg"].reset()
    assert read_item(bench, 0x02, 16) == bytes.fromhex("00112233445566778899aabbccddeeff")


def test_smbios_tables(bench: Bench) -> None:
    bench.plug("fw_cfg")
    tables = build(bench.machine, with_firmware=True)
    assert read_file(bench, "etc/smbios/smbios-anchor") == tables.anchor()
    assert read_file(bench, "etc/smbios/smbios-tables") == tables.tables


def test_memory_map_and_boot_order(bench: Bench) -> None:
    bench.machine.firmware_config.add_boot_device(2, "/second")
    bench.machine.firmware_config.add_boot_device(1, "/first")
    bench.plug("fw_cfg")
    assert read_file(bench, "etc/e820") == struct.pack("<QQI", 0, 16 * MiB, 1)
    assert read_file(bench, "etc/boot-fail-wait") == b"\xff\xff\xff\xff"
    assert read_file(bench, "bootorder") == b"/first\n/second\0"


def test_contents_are_gathered_at_reset(bench: Bench) -> None:
    contents = b"old"
    bench.machine.firmware_config.add_file("etc/it", lambda: contents)
    bench.machine.firmware_config.add_item(0x8001, lambda: contents)
    device = bench.plug("fw_cfg")
    assert read_file(bench, "etc/it") == b"old"
    contents = b"newer"
    assert read_file(bench, "etc/it") == b"old"
    device.reset()
    assert read_file(bench, "etc/it") == b"newer"
    assert read_item(bench, 0x8001, 5) == b"newer"


def test_users_files(bench: Bench, tmp_path: Path) -> None:
    path = tmp_path / "ignition.json"
    path.write_bytes(b"{}")
    bench.plug("fw_cfg", files={"opt/org.example/config": str(path)})
    assert read_file(bench, "opt/org.example/config") == b"{}"


@pytest.mark.parametrize(
    ("name", "exists", "message"),
    [
        ("opt/x", False, "fw_cfg: files: opt/x: can't read .*: No such file"),
        ("n" * 56, True, "fw_cfg: not a firmware file's name"),
        ("", True, "fw_cfg: not a firmware file's name"),
        ("etc/e820", True, "fw_cfg: firmware file 'etc/e820' is there twice"),
    ],
)
def test_wrong_users_file_is_refused(bench: Bench, tmp_path: Path, name: str, exists: bool, message: str) -> None:
    path = tmp_path / "contents"
    if exists:
        path.write_bytes(b"x")
    with pytest.raises(SouthbridgeError, match=message):
        bench.plug("fw_cfg", files={name: str(path)})


# --- ports -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("port", "size", "text"),
    [(0x514, 4, b"QEMU"), (0x518, 4, b" CFG"), (0x514, 2, b"QE"), (0x51B, 1, b"G")],
)
def test_dma_signature(bench: Bench, port: int, size: int, text: bytes) -> None:
    bench.plug("fw_cfg")
    assert bench.read_port(port, size) == int.from_bytes(text, "little")


@pytest.mark.parametrize(("port", "size"), [(0x510, 1), (0x511, 1), (0x514, 1), (0x516, 2), (0x518, 2)])
def test_accesses_of_other_widths_do_nothing(bench: Bench, port: int, size: int) -> None:
    device = bench.plug("fw_cfg")
    bench.write_port(SELECTOR, 1, 2)
    before = device.save()
    bench.write_port(port, 0, size)
    assert device.save() == before
    assert bench.guest_errors


# --- DMA -------------------------------------------------------------------------------------------------------------


def test_dma_reads_an_item(bench: Bench) -> None:
    bench.plug("fw_cfg")
    bench.write_memory(BUFFER, b"\xee" * 8)
    assert transfer(bench, SELECT | READ, 6) == 0
    assert bench.read_memory(BUFFER, 8) == b"QEMU\0\0\xee\xee", "what is behind the item's end reads as zeros"


def test_dma_goes_on_where_it_stopped(bench: Bench) -> None:
    bench.plug("fw_cfg")
    assert transfer(bench, SELECT | READ, 1) == 0
    assert transfer(bench, SKIP, 1) == 0
    assert transfer(bench, READ, 1) == 0
    assert bench.read_memory(BUFFER, 1) == b"M"
    assert bench.read_port(DATA) == ord("U")


def test_dma_select_alone(bench: Bench) -> None:
    bench.plug("fw_cfg")
    assert transfer(bench, SELECT | 1 << 16, 0) == 0
    assert bench.read_port(DATA) == 3


def test_dma_reads_across_windows(bench: Bench) -> None:
    contents = bytes(range(256)) * 1024
    bench.machine.firmware_config.add_file("big", contents)
    bench.plug("fw_cfg")
    key = files(bench)["big"][0]
    assert transfer(bench, SELECT | READ | key << 16, len(contents), 0xFF80) == 0
    assert bench.read_memory(0xFF80, len(contents)) == contents


def test_writing_a_read_only_item_is_an_error(bench: Bench) -> None:
    bench.plug("fw_cfg")
    bench.write_memory(BUFFER, b"XXXX")
    assert transfer(bench, SELECT | WRITE, 4) == ERROR
    assert read_item(bench, 0, 4) == b"QEMU"
    assert any("read-only" in error for error in bench.guest_errors)


@pytest.mark.parametrize("address", [16 * MiB, 16 * MiB - 2, 0xFEE0_0000, 1 << 51, (1 << 64) - 2])
def test_dma_beyond_memory_is_an_error(bench: Bench, address: int) -> None:
    bench.plug("fw_cfg")
    before = bench.read_memory(16 * MiB - 4, 4)
    assert transfer(bench, SELECT | READ, 4, address) == ERROR
    assert bench.read_memory(16 * MiB - 4, 4) == before
    assert transfer(bench, SELECT | READ, 4) == 0, "and the next one works"


def test_description_beyond_memory_is_ignored(bench: Bench) -> None:
    bench.plug("fw_cfg")
    bench.write_port(DMA_LOW, 0xFFFF_FFFF, 4)
    assert bench.guest_errors


def test_high_half_of_the_address_counts_once(bench: Bench) -> None:
    device = bench.plug("fw_cfg")
    bench.write_port(DMA_HIGH, 0xFFFF_FFFF, 4)
    bench.write_port(DMA_LOW, 0, 4)
    assert device.transfer_high == 0
    assert transfer(bench, SELECT | READ, 4) == 0


@pytest.mark.parametrize("control", [READ, SKIP, WRITE])
@pytest.mark.parametrize("length", [0xFFFF_FFFF, 0x8000_0000, PADDING_LIMIT + 5])
def test_hostile_lengths_cost_nothing(bench: Bench, control: int, length: int) -> None:
    device = bench.plug("fw_cfg")
    tracemalloc.start()
    try:
        status = transfer(bench, SELECT | control, length)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert status == (0 if control == SKIP else ERROR)
    assert peak < 256 * 1024
    assert device.position <= 4


def test_transfer_over_its_own_description(bench: Bench) -> None:
    """The description is copied once: what the transfer stores over it isn't looked at."""
    bench.machine.firmware_config.add_file("f", b"\xff" * 64)
    bench.plug("fw_cfg")
    key = files(bench)["f"][0]
    assert transfer(bench, SELECT | READ | key << 16, 64, DESCRIPTION) == 0
    assert bench.read_memory(DESCRIPTION + 4, 60) == b"\xff" * 60


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    control=st.integers(0, 0xFFFF_FFFF),
    length=st.one_of(st.integers(0, 64), st.integers(0, 0xFFFF_FFFF)),
    address=st.one_of(st.integers(0, 0x4000), st.integers(0, (1 << 64) - 1)),
)
def test_any_transfer_ends(bench: Bench, control: int, length: int, address: int) -> None:
    device = bench.machine.devices.get("fw_cfg") or bench.plug("fw_cfg")
    assert isinstance(device, FwCfg)
    transfer(bench, control, length, address, at=0x8000)
    item = device._items.get(device.key, b"")
    assert 0 <= device.position <= len(item)


# --- state -----------------------------------------------------------------------------------------------------------


def test_restored_in_the_middle_of_an_item(bench: Bench) -> None:
    device = bench.plug("fw_cfg")
    read_item(bench, 0, 2)
    saved = device.save()
    read_item(bench, 1, 4)
    device.load(saved)
    assert bench.read_port(DATA) == ord("M")


def test_restored_position_beyond_the_end(bench: Bench) -> None:
    device = bench.plug("fw_cfg")
    saved = device.save()
    saved["state"] |= {"key": 0, "position": 1 << 70}
    device.load(saved)
    assert bench.read_port(DATA) == 0
    assert transfer(bench, READ, 4) == 0
    assert bench.read_memory(BUFFER, 4) == bytes(4)


def test_reset_selects_nothing(bench: Bench) -> None:
    device = bench.plug("fw_cfg")
    read_item(bench, 0, 1)
    bench.write_port(DMA_HIGH, 1, 4)
    device.reset()
    assert bench.read_port(DATA) == 0
    assert transfer(bench, SELECT | READ, 4) == 0


# --- answers ---------------------------------------------------------------------------------------------------------


@pytest.fixture
def answers(bench: Bench) -> list[bytes]:
    """What was written to the file etc/answer, of eight bytes."""
    written: list[bytes] = []
    bench.machine.firmware_config.add_answer("etc/answer", bytes(8), written.append)
    bench.plug("fw_cfg")
    return written


def test_firmware_answers(bench: Bench, answers: list[bytes]) -> None:
    key, size = files(bench)["etc/answer"]
    assert size == 8
    bench.write_memory(BUFFER, b"\x11\x22\x33\x44")
    assert transfer(bench, SELECT | SKIP | key << 16, 2) == 0
    assert transfer(bench, WRITE, 4) == 0
    assert answers == [b"\0\0\x11\x22\x33\x44\0\0"]
    assert transfer(bench, WRITE, 2) == 0
    assert len(answers) == 2


@pytest.mark.parametrize("length", [9, 0x1_0000, 0xFFFF_FFFF])
def test_an_answer_that_is_too_long_is_refused(bench: Bench, answers: list[bytes], length: int) -> None:
    key, _ = files(bench)["etc/answer"]
    assert transfer(bench, SELECT | WRITE | key << 16, length) == ERROR
    assert answers == []


def test_an_answer_from_where_no_memory_is(bench: Bench, answers: list[bytes]) -> None:
    key, _ = files(bench)["etc/answer"]
    assert transfer(bench, SELECT | WRITE | key << 16, 8, address=0xF000_0000) == ERROR
    assert answers == []


def test_other_files_are_read_only(bench: Bench, answers: list[bytes]) -> None:
    key, _ = files(bench)["etc/e820"]
    assert transfer(bench, SELECT | WRITE | key << 16, 1) == ERROR
    assert "read-only" in bench.guest_errors[-1]
