"""The unplug protocol, as drivers go through it."""

from __future__ import annotations

import logging
from typing import Any

import pytest
from southbridge.errors import RealizeError
from southbridge.testing import Bench
from southbridge.testing.ide import MemoryDisk


@pytest.fixture
def adapter(bench: Bench) -> Any:
    return bench.plug("piix3-ide", addr="01.1")


@pytest.fixture
def platform(bench: Bench, adapter: Any) -> Any:
    return bench.plug("xen-platform", addr="03.0")


def test_drivers_find_the_protocol(bench: Bench, platform: Any) -> None:
    assert bench.read_port(0x10, 2) == 0x49D2
    assert bench.read_port(0x12) == 1
    bench.write_port(0x12, 3, 2)
    bench.write_port(0x10, 0x00010203, 4)
    assert bench.read_port(0x10, 2) == 0x49D2
    assert (platform.product, platform.build) == (3, 0x00010203)


def test_flags_are_stored_and_are_behind_the_bar_too(bench: Bench, platform: Any) -> None:
    bench.config_write(platform, 0x10, 4, 0xC000)
    bench.config_write(platform, 0x04, 2, 3)
    bench.write_port(0x10, 0xFF)
    assert bench.read_port(0x10) == bench.read_port(0xC000) == 1
    bench.write_port(0xC000, 0)
    assert bench.read_port(0x10) == 0


def test_the_guests_log(bench: Bench, platform: Any, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "southbridge.guest")
    for character in b"hello\x1b[31m\r\nworld":
        bench.write_port(0x12, character)
    assert [record.message for record in caplog.records] == [f"{platform.id}: hello?[31m"]


def test_a_line_without_an_end_is_cut(bench: Bench, platform: Any, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "southbridge.guest")
    for _ in range(3000):
        bench.write_port(0x12, 0x41)
    assert [len(str(record.args[1])) for record in caplog.records if isinstance(record.args, tuple)] == [1024, 1024]
    assert len(platform.line) == 3000 - 2048


@pytest.mark.parametrize(("mask", "left"), [(0, "hcd"), (1, "c"), (4, "hc"), (2, "hcd"), (8, "hcd"), (5, "c")])
def test_emulated_disks_leave_and_are_back_after_a_reset(
    bench: Bench, adapter: Any, platform: Any, mask: int, left: str
) -> None:
    drives = {
        "h": bench.plug("ide-hd", drive=MemoryDisk(bytes(1 << 20))),
        "c": bench.plug("ide-cd", drive=MemoryDisk(bytes(1 << 20), writable=False), bus="ide.1"),
        "d": bench.plug("ide-hd", "other", drive=MemoryDisk(bytes(1 << 20)), bus="ide.1", unit=1),
    }

    def present() -> str:
        return "".join(letter for letter, drive in drives.items() if drive in drive.bus.drives)

    bench.write_port(0x10, mask, 2)
    assert present() == left
    saved = {letter: drive.save() for letter, drive in drives.items()}
    for device in drives.values():
        device.reset()
    assert present() == "hcd"
    for letter, drive in drives.items():
        drive.load(saved[letter])
    assert present() == left


def test_a_disk_that_left_in_mid_command_answers_no_more(bench: Bench, adapter: Any, platform: Any) -> None:
    disk = bench.plug("ide-hd", drive=MemoryDisk(bytes(1 << 20)))
    bench.write_port(0x1F6, 0xE0)
    bench.write_port(0x1F2, 1)
    bench.write_port(0x1F7, 0x20)
    bench.write_port(0x10, 1, 2)
    assert disk not in disk.bus.drives
    assert bench.read_port(0x1F7) == 0xFF


def test_a_place_is_free_for_another_one(bench: Bench, adapter: Any, platform: Any) -> None:
    bench.plug("ide-hd", drive=MemoryDisk(bytes(1 << 20)))
    with pytest.raises(RealizeError, match="unit 0 is taken"):
        bench.plug("ide-hd", "other", drive=MemoryDisk(bytes(1 << 20)), unit=0)


def test_its_memory_is_empty(bench: Bench, platform: Any) -> None:
    bench.config_write(platform, 0x14, 4, 0xE000_0000)
    bench.config_write(platform, 0x04, 2, 3)
    bench.write_mmio(0xE000_0000, 5)
    assert bench.read_mmio(0xE000_0000) == 0
    assert len(bench.guest_errors) == 1
