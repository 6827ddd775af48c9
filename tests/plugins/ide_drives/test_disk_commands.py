"""What a hard disk says of itself, and its commands that move no sectors."""

from __future__ import annotations

from typing import Any

import pytest
from southbridge.errors import RealizeError, SouthbridgeError
from southbridge.testing import Bench
from southbridge.testing.ide import DRQ, ERR, SRST, IdeDriver, MemoryDisk

pytestmark = pytest.mark.usefixtures("disk")

ABRT, IDNF = 0x04, 0x10
IDENTIFY, SET_FEATURES, SET_MULTIPLE, SMART = 0xEC, 0xEF, 0xC6, 0xB0
SMART_KEY = 0xC2_4F_00


def identify(host: IdeDriver, unit: int = 0, command: int = IDENTIFY) -> list[int]:
    host.issue(command, unit=unit)
    data = host.read_all()
    assert len(data) == 512
    assert sum(data) & 0xFF == 0, "the checksum"
    return [int.from_bytes(data[at : at + 2], "little") for at in range(0, 512, 2)]


def string(words: list[int], first: int, count: int) -> str:
    return b"".join(word.to_bytes(2, "big") for word in words[first : first + count]).decode().rstrip()


def test_identify_describes_the_disk(host: IdeDriver) -> None:
    words = identify(host)
    assert string(words, 10, 10) == "SB00001"
    assert string(words, 27, 20) == "SOUTHBRIDGE HARDDISK"
    assert words[0] == 0x0040
    assert (words[1], words[3], words[6]) == (4, 16, 63)
    assert words[60] | words[61] << 16 == 4096
    assert words[100:104] == [4096, 0, 0, 0]
    assert words[49] & 0x0300 == 0x0300, "LBA and DMA"
    assert words[83] & 0x0400, "48-bit addresses"
    assert words[80] & 0x40, "ATA-6"
    assert words[255] & 0xFF == 0xA5


def test_properties_show(bench: Bench, host: IdeDriver) -> None:
    bench.plug("ide-hd", "second", drive=MemoryDisk(bytes(512)), serial="1234", model="A disk")
    words = identify(host, unit=1)
    assert (string(words, 10, 10), string(words, 27, 20)) == ("1234", "A disk")


def test_a_large_disk_is_told_in_all_three_ways(bench: Bench, host: IdeDriver) -> None:
    image = MemoryDisk(bytes(512))
    image.size = 200 << 30
    bench.plug("ide-hd", "large", drive=image)
    words = identify(host, unit=1)
    assert words[1] == 16383
    assert words[60] | words[61] << 16 == 0x0FFF_FFFF
    assert words[100] | words[101] << 16 | words[102] << 32 == 200 << 21


@pytest.mark.parametrize("wrong", [{"serial": "x" * 21}, {"model": "é"}, {"unit": 2}, {"bootindex": -1}])
def test_wrong_properties_are_refused(bench: Bench, wrong: dict[str, Any]) -> None:
    with pytest.raises(SouthbridgeError):
        bench.plug("ide-hd", "wrong", drive=MemoryDisk(bytes(512)), **wrong)


def test_a_pci_bus_is_no_cable(bench: Bench) -> None:
    with pytest.raises(RealizeError, match="isn't an IDE cable"):
        bench.plug("ide-hd", "wrong", drive=MemoryDisk(bytes(512)), bus="pci.0")


def test_an_empty_image_is_no_disk(bench: Bench) -> None:
    with pytest.raises(RealizeError, match="0 bytes"):
        bench.plug("ide-hd", "wrong", drive=MemoryDisk(b""))


def test_signature_after_resets(bench: Bench, host: IdeDriver, disk: Any) -> None:
    for reset in (host.reset, disk.reset):
        host.issue(IDENTIFY, lba=0x12_3456, count=9)
        reset()
        registers = host.task_file()
        assert (registers.status, registers.error, registers.device) == (0x50, 0x01, 0)
        assert [registers.sector_count, registers.lba_low, registers.lba_mid, registers.lba_high] == [1, 1, 0, 0]


def test_busy_while_srst_is_held(bench: Bench, host: IdeDriver) -> None:
    host.set_control(SRST)
    assert host.status() & 0x80
    host.issue(IDENTIFY)
    assert host.status() & 0x80, "no command gets through"
    host.set_control(0)
    assert host.status() == 0x50
    assert not bench.irq(14)


def test_diagnostic(bench: Bench, host: IdeDriver) -> None:
    bench.plug("ide-hd", "second", drive=MemoryDisk(bytes(512)))
    host.run(0xE5, lba=0x123456, unit=1)
    host.issue(0x90, unit=1)
    assert bench.irq(14)
    registers = host.task_file()
    assert (registers.error, registers.lba_mid & 0xFF, registers.device) == (0x01, 0, 0)
    host.write(6, 0x10)
    assert not bench.irq(14), "device 1 leaves the interrupt to device 0"
    assert host.read(1) == 0x01


@pytest.mark.parametrize("command", [0x00, 0x08, 0x22, 0x50, 0xA0, 0xA1, 0xC0, 0xF1, 0xFF])
def test_unknown_commands_are_aborted(bench: Bench, host: IdeDriver, command: int) -> None:
    host.issue(command)
    assert bench.irq(14)
    registers = host.task_file()
    assert (registers.status, registers.error) == (0x51, ABRT)
    assert not bench.irq(14)


@pytest.mark.parametrize("command", [0x10, 0x70, 0xE7, 0xEA, 0xE0, 0xE1, 0xE2, 0xE3, 0x94, 0x95, 0x96, 0x97])
def test_commands_that_only_succeed(bench: Bench, host: IdeDriver, command: int) -> None:
    host.issue(command, lba=5)
    host.wait()
    assert bench.irq(14)
    assert host.read(7) == 0x50


def test_flush_reaches_the_image(host: IdeDriver, contents: MemoryDisk) -> None:
    host.run(0xE7)
    assert contents.flushes == 1


@pytest.mark.parametrize(("command", "mode"), [(None, 0xFF), (0xE0, 0x00), (0xE1, 0x80), (0xE2, 0x00), (0xE3, 0x80)])
def test_power_modes(host: IdeDriver, command: int | None, mode: int) -> None:
    if command is not None:
        host.run(command)
    assert host.run(0xE5).sector_count & 0xFF == mode
    host.reset()
    assert host.run(0xE5).sector_count & 0xFF == 0xFF


def test_only_a_reset_wakes_a_sleeping_disk(host: IdeDriver) -> None:
    assert host.run(0xE6).status == 0x50
    host.issue(IDENTIFY)
    assert host.status() == 0x50
    host.reset()
    assert identify(host)[0] == 0x0040


@pytest.mark.parametrize(
    ("value", "multiword", "ultra"),
    [(0x00, 0x0407, 0x3F), (0x0C, 0x0407, 0x3F), (0x21, 0x0207, 0x3F), (0x42, 0x07, 0x043F), (0x45, 0x07, 0x203F)],
)
def test_transfer_modes(host: IdeDriver, value: int, multiword: int, ultra: int) -> None:
    assert host.run(SET_FEATURES, features=0x03, count=value).status == 0x50
    words = identify(host)
    assert (words[63], words[88]) == (multiword, ultra)


@pytest.mark.parametrize(
    ("feature", "value"), [(0x03, 0x0D), (0x03, 0x23), (0x03, 0x46), (0x03, 0x10), (0x99, 0), (0x00, 0)]
)
def test_unsupported_features_are_aborted(host: IdeDriver, feature: int, value: int) -> None:
    registers = host.run(SET_FEATURES, features=feature, count=value)
    assert (registers.status, registers.error) == (0x51, ABRT)


@pytest.mark.parametrize(("off", "on", "mask"), [(0x82, 0x02, 0x20), (0x55, 0xAA, 0x40)])
def test_caches_can_be_switched(host: IdeDriver, off: int, on: int, mask: int) -> None:
    for feature, expected in ((off, 0), (on, mask)):
        assert host.run(SET_FEATURES, features=feature).status == 0x50
        assert identify(host)[85] & mask == expected


@pytest.mark.parametrize("keep", [True, False])
def test_a_software_reset_keeps_settings_if_told_to(host: IdeDriver, keep: bool) -> None:
    host.run(SET_FEATURES, features=0x66 if keep else 0xCC)
    host.run(SET_MULTIPLE, count=4)
    host.run(SET_FEATURES, features=0x82)
    host.reset()
    words = identify(host)
    assert words[59] == (0x104 if keep else 0x110)
    assert bool(words[85] & 0x20) is not keep


@pytest.mark.parametrize(("count", "word"), [(1, 0x101), (16, 0x110), (0, 0), (3, None), (32, None)])
def test_set_multiple(host: IdeDriver, count: int, word: int | None) -> None:
    assert bool(host.run(SET_MULTIPLE, count=count).status & ERR) is (word is None)
    assert identify(host)[59] == (word or 0)


def test_geometry_can_be_set(host: IdeDriver) -> None:
    host.issue_chs(0x91, 0, 7, 0, count=32)
    assert host.read(7) == 0x50
    words = identify(host)
    assert words[54:57] == [16, 8, 32]
    assert words[57] | words[58] << 16 == 4096
    host.issue_chs(0x91, 0, 7, 0, count=0)
    assert host.task_file().error == ABRT


def test_native_max_address(host: IdeDriver) -> None:
    assert host.run(0xF8).lba28 == 4095
    assert host.run(0x27, extended=True).lba48 == 4095


@pytest.mark.parametrize("command", [0x70, 0x20, 0x30, 0x40, 0xC8, 0xCA])
def test_beyond_the_end_nothing_is_found(host: IdeDriver, command: int) -> None:
    registers = host.run(command, lba=4096, count=1)
    assert (registers.status, registers.error) == (0x51, IDNF)


def test_registers_remember_their_previous_value(host: IdeDriver) -> None:
    for value in (0x11, 0x22):
        for register in (2, 3, 4, 5):
            host.write(register, value + register)
    registers = host.task_file()
    pairs = [registers.sector_count, registers.lba_low, registers.lba_mid, registers.lba_high]
    assert pairs == [0x1324, 0x1425, 0x1526, 0x1627]
    host.set_control(0x80)
    assert host.read(2) == 0x13
    host.write(2, 0x99)
    assert host.read(2) == 0x99, "a write ends HOB"


# --- SMART ---


def smart(host: IdeDriver, feature: int, count: int = 0, low: int = 0) -> None:
    host.issue(SMART, SMART_KEY | low, count, features=feature)


@pytest.mark.parametrize("feature", [0xD0, 0xD1])
def test_smart_data(host: IdeDriver, feature: int) -> None:
    smart(host, feature)
    data = host.read_all()
    assert len(data) == 512
    assert sum(data) & 0xFF == 0
    assert data[2] == 1, "the first attribute"


def test_smart_logs(host: IdeDriver) -> None:
    for address, expected in ((0x00, 1), (0x01, 1), (0x06, 1)):
        smart(host, 0xD5, count=1, low=address)
        assert host.read_all()[0] == expected
    smart(host, 0xD5, count=1, low=0x77)
    assert host.task_file().error == ABRT


def test_smart_says_that_all_is_well(host: IdeDriver) -> None:
    smart(host, 0xDA)
    registers = host.task_file()
    assert (registers.lba_mid, registers.lba_high) == (0x4F, 0xC2)


def test_smart_can_be_switched_off_and_stays_so(host: IdeDriver, disk: Any) -> None:
    smart(host, 0xD9)
    disk.reset()
    smart(host, 0xDA)
    assert host.task_file().error == ABRT
    smart(host, 0xD8)
    smart(host, 0xDA)
    assert not host.task_file().status & ERR


def test_smart_wants_its_key(host: IdeDriver) -> None:
    host.issue(SMART, 0, features=0xDA)
    assert host.task_file().error == ABRT


def test_smart_offline_collection(host: IdeDriver) -> None:
    smart(host, 0xD4, low=0x01)
    assert host.read(7) == 0x50
    smart(host, 0xD0)
    assert host.read_all()[362] == 0x02
    smart(host, 0xD4, low=0x55)
    assert host.status() & (ERR | DRQ) == ERR
