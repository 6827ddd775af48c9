"""PIIX3's IDE function: decoding, selection, interrupts, an empty cable."""

from __future__ import annotations

from typing import Any

import pytest
from southbridge.errors import RealizeError
from southbridge.testing import Bench
from southbridge.testing.ide import NIEN, IdeDriver, MemoryDisk

CHANNELS = [(0, 0x1F0, 0x3F6, 14), (1, 0x170, 0x376, 15)]


def test_identifies_itself(bench: Bench, adapter: Any) -> None:
    assert bench.config_read(adapter, 0x00, 4) == 0x7010_8086
    assert bench.config_read(adapter, 0x08, 4) >> 8 == 0x010180
    assert bench.config_read(adapter, 0x04, 4) == 0x0280_0000
    bench.config_write(adapter, 0x20, 4, 0xFFFF_FFFF)
    assert bench.config_read(adapter, 0x20, 4) & 0xFFFF == 0xFFF1
    assert [bench.config_read(adapter, offset, 4) for offset in (0x10, 0x14, 0x18, 0x1C, 0x24)] == [0] * 5


@pytest.mark.parametrize(("channel", "base", "control", "irq"), CHANNELS)
def test_ports_answer_once_both_enables_are_set(
    bench: Bench, adapter: Any, channel: int, base: int, control: int, irq: int
) -> None:
    bench.plug("ide-hd", drive=MemoryDisk(bytes(1 << 20)), bus=f"ide.{channel}")
    steps = [(0x40 + 2 * channel, 0x8000, 0xFF), (0x04, 0x0001, 0x50), (0x40 + 2 * channel, 0x0000, 0xFF)]
    for register, value, status in steps:
        bench.config_write(adapter, register, 2, value)
        assert bench.read_port(base + 7) == status
        assert bench.read_port(control) == status
    other = CHANNELS[1 - channel]
    assert bench.read_port(other[1] + 7) == 0xFF


@pytest.mark.parametrize(("channel", "base", "control", "irq"), CHANNELS)
def test_each_channel_has_its_interrupt(
    bench: Bench, adapter: Any, channel: int, base: int, control: int, irq: int
) -> None:
    bench.plug("ide-hd", drive=MemoryDisk(bytes(1 << 20)), bus=f"ide.{channel}")
    host = IdeDriver(bench, adapter, channel)
    host.issue(0xEC)
    assert [n for n in range(16) if bench.irq(n)] == [irq]
    assert bench.read_port(host.master + 2) & 0x04, "the bus master latches it"
    host.read(7)
    assert not bench.irq(irq)
    assert bench.read_port(host.master + 2) & 0x04
    bench.write_port(host.master + 2, 0x04)
    assert not bench.read_port(host.master + 2) & 0x04


def test_alternate_status_leaves_the_interrupt(bench: Bench, host: IdeDriver) -> None:
    host.issue(0xEC)
    host.status()
    assert bench.irq(14)


def test_nien_keeps_the_line_quiet(bench: Bench, host: IdeDriver) -> None:
    host.set_control(NIEN)
    host.issue(0xEC)
    assert not bench.irq(14)
    host.set_control(0)
    assert bench.irq(14), "the interrupt is still pending"


def test_an_unselected_drive_keeps_quiet(bench: Bench, adapter: Any) -> None:
    for _ in range(2):
        bench.plug("ide-hd", f"hd{_}", drive=MemoryDisk(bytes(1 << 20)))
    host = IdeDriver(bench, adapter)
    host.issue(0xE5, unit=1)
    assert bench.irq(14)
    host.write(6, 0x00)
    assert not bench.irq(14)
    host.write(6, 0x10)
    assert bench.irq(14)


@pytest.mark.parametrize("unit", [0, 1])
def test_an_empty_cable_floats_and_never_seems_busy(bench: Bench, adapter: Any, unit: int) -> None:
    host = IdeDriver(bench, adapter)
    host.write(6, unit << 4)
    host.write(2, 0x55)
    host.write(3, 0xAA)
    host.write(7, 0xEC)
    assert (host.read(2), host.read(3)) != (0x55, 0xAA)
    assert host.status() == 0x7F
    assert bench.read_port(0x1F0, 2) == 0xFF7F
    bench.write_port(0x1F0, 0, 4)
    host.reset()
    assert not bench.irq(14)


def test_device_0_answers_for_an_absent_device_1(bench: Bench, host: IdeDriver) -> None:
    host.write(6, 0xB0)
    host.write(2, 0x55)
    host.write(3, 0xAA)
    assert (host.read(2), host.read(3), host.read(6)) == (0x55, 0xAA, 0xB0)
    host.write(7, 0xEC)
    assert (host.read(7), host.status()) == (0, 0)
    assert not bench.irq(14)


def test_two_drives_latch_and_answer_each_for_itself(bench: Bench, adapter: Any) -> None:
    bench.plug("ide-hd", drive=MemoryDisk(bytes(1 << 20)), model="FIRST")
    bench.plug("ide-cd", drive=MemoryDisk(bytes(1 << 20)), model="SECOND DRIVE")
    host = IdeDriver(bench, adapter)
    host.reset()
    signatures = []
    for unit in (0, 1):
        host.write(6, unit << 4)
        signatures.append((host.read(4), host.read(5), host.status()))
    assert signatures == [(0, 0, 0x50), (0x14, 0xEB, 0x00)]
    for unit, command, name in ((0, 0xEC, b"IFSR T "), (1, 0xA1, b"ESOCDND ")):
        host.issue(command, unit=unit)
        assert host.read_all()[54:60] == name[:6]


@pytest.mark.parametrize(("units", "message"), [((0, 0), "unit 0 is taken"), ((None, None, None), "two drives")])
def test_a_cable_has_two_places(bench: Bench, adapter: Any, units: tuple[int | None, ...], message: str) -> None:
    with pytest.raises(RealizeError, match=message):
        for number, unit in enumerate(units):
            bench.plug("ide-hd", f"hd{number}", drive=MemoryDisk(bytes(512)), unit=unit)


def test_a_drive_that_leaves_makes_room(bench: Bench, adapter: Any) -> None:
    first = bench.plug("ide-hd", drive=MemoryDisk(bytes(512)))
    bench.machine.unplug(first)
    second = bench.plug("ide-hd", drive=MemoryDisk(bytes(512)))
    assert second.number == 0


def test_firmware_is_told_what_to_boot(bench: Bench, adapter: Any) -> None:
    bench.plug("ide-hd", drive=MemoryDisk(bytes(512)), unit=1, bootindex=2)
    bench.plug("ide-cd", bus="ide.1", bootindex=1)
    assert bench.machine.firmware_config.boot_order() == (
        b"/pci@i0cf8/ide@1,1/drive@1/disk@0\n/pci@i0cf8/ide@1,1/drive@0/disk@1\0"
    )
    with pytest.raises(RealizeError, match="bootindex 1 is taken"):
        bench.plug("ide-hd", "late", drive=MemoryDisk(bytes(512)), bootindex=1)


@pytest.mark.parametrize("port", [0x1F0, 0x1F1, 0x1F2])
def test_odd_widths_reach_no_other_register(bench: Bench, host: IdeDriver, port: int) -> None:
    """CVE-2020-13754: a device is called only with the widths that it implements."""
    for size in (1, 2, 4):
        bench.write_port(port, 0, size)
        assert bench.read_port(port, size) < 1 << 8 * size
    assert host.status() == 0x50


def test_a_wide_write_to_the_task_file_is_two_narrow_ones(host: IdeDriver, bench: Bench) -> None:
    bench.write_port(0x1F2, 0xAA55, 2)
    assert (host.read(2), host.read(3)) == (0x55, 0xAA)


def test_reset_releases_lines_and_selects_device_0(bench: Bench, adapter: Any, drive: Any, host: IdeDriver) -> None:
    host.issue(0xEC)
    host.write(6, 0x10)
    for device in (adapter, drive):
        device.reset()
    assert not bench.irq(14)
    assert bench.read_port(0x1F7) == 0xFF, "not decoded"
    again = IdeDriver(bench, adapter)
    assert again.status() == 0x50


@pytest.mark.parametrize("order", [(0, 1), (1, 0)])
def test_interrupt_and_selection_are_restored(
    bench: Bench, adapter: Any, drive: Any, host: IdeDriver, order: tuple[int, int]
) -> None:
    host.issue(0xEC)
    bench.write_port(host.master + 2, 0x04)
    devices = (adapter, drive)
    saved = [device.save() for device in devices]
    for device in devices:
        device.reset()
    assert not bench.irq(14)
    for index in order:
        devices[index].load(saved[index])
    assert bench.irq(14)
    assert not bench.read_port(host.master + 2) & 0x04, "restoring isn't an edge"
    assert [device.save() for device in devices] == saved
    assert host.read_all()[:2] == b"\x40\x00"
    assert not bench.irq(14)


def test_sleep_leaves_the_decoders_as_they_were(bench: Bench, adapter: Any) -> None:
    """SeaBIOS doesn't set them again when the machine wakes. A reset takes them back."""
    bench.config_write(adapter, 0x40, 2, 0x8000)
    bench.config_write(adapter, 0x04, 2, 0x0001)
    adapter.wake()
    assert bench.config_read(adapter, 0x40, 2) == 0x8000
    assert bench.config_read(adapter, 0x04, 2) == 0
    adapter.reset()
    assert bench.config_read(adapter, 0x40, 2) == 0
