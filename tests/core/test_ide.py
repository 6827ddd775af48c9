"""The IDE cable by itself, with drives that only note what they are told."""

from __future__ import annotations

import pytest
from southbridge.errors import RealizeError
from southbridge.ide import FLOATING, IdeBus


class StubHost:
    def __init__(self) -> None:
        self.levels: list[bool] = []
        self.dma = 0

    def interrupt(self, level: bool) -> None:
        self.levels.append(level)

    def dma_requested(self) -> None:
        self.dma += 1


class StubDrive:
    def __init__(self) -> None:
        self.interrupt_request = False
        self.told: list[tuple[str, int]] = []

    def read_register(self, register: int) -> int:
        return 0xA0 | register

    def write_register(self, register: int, value: int) -> None:
        self.told.append((f"register {register}", value))

    def command(self, value: int) -> None:
        self.told.append(("command", value))

    def alternate_status(self) -> int:
        return 0x50

    def write_control(self, value: int) -> None:
        self.told.append(("control", value))

    def read_data16(self) -> int:
        return 0x1234

    def read_data32(self) -> int:
        return 0x1234_5678

    def write_data16(self, value: int) -> None:
        self.told.append(("data", value))

    def write_data32(self, value: int) -> None:
        self.told.append(("data", value))

    def read_data(self, words: int) -> bytes:
        return b"\x34\x12" * words

    def write_data(self, data: memoryview) -> int:
        self.told.append(("words", len(data) // 2))
        return len(data)

    def dma_request(self) -> int:
        return 2

    def dma_read(self, length: int) -> memoryview:
        return memoryview(bytes(length))

    def dma_write(self, data: memoryview) -> None:
        self.told.append(("dma", len(data)))

    def diagnose(self) -> None:
        self.told.append(("diagnose", 0))


@pytest.fixture
def host() -> StubHost:
    return StubHost()


@pytest.fixture
def cable(host: StubHost) -> IdeBus:
    return IdeBus("ide.0", 0, "/ide@1/drive@0", host)


@pytest.fixture
def drives(cable: IdeBus) -> list[StubDrive]:
    drives = [StubDrive(), StubDrive()]
    assert [cable.attach(drive, None, "drive") for drive in drives] == [0, 1]
    return drives


def test_places_are_given_and_given_back(cable: IdeBus) -> None:
    first, second = StubDrive(), StubDrive()
    assert cable.attach(first, 1, "first") == 1
    with pytest.raises(RealizeError, match=r"second: ide\.0 unit 1 is taken"):
        cable.attach(second, 1, "second")
    assert cable.attach(second, None, "second") == 0
    with pytest.raises(RealizeError, match=r"third: ide\.0 has two drives already"):
        cable.attach(StubDrive(), None, "third")
    cable.detach(first)
    cable.detach(first)
    assert cable.attach(StubDrive(), None, "third") == 1


def test_registers_reach_both_and_a_command_the_selected(cable: IdeBus, drives: list[StubDrive]) -> None:
    cable.write_register(2, 0x55)
    cable.write_register(6, 0x10)
    assert cable.selected is drives[1]
    cable.write_register(7, 0xEC)
    cable.write_control(0x02)
    common = [("register 2", 0x55), ("register 6", 0x10)]
    assert drives[0].told == [*common, ("control", 2)]
    assert drives[1].told == [*common, ("command", 0xEC), ("control", 2)]


def test_both_obey_the_diagnostic_and_device_0_is_selected(cable: IdeBus, drives: list[StubDrive]) -> None:
    cable.write_register(6, 0x10)
    cable.write_register(7, 0x90)
    assert [drive.told[-1][0] for drive in drives] == ["diagnose"] * 2
    assert cable.unit == 0


def test_a_software_reset_selects_device_0(cable: IdeBus, drives: list[StubDrive]) -> None:
    cable.write_register(6, 0x10)
    cable.write_control(0x04)
    assert cable.selected is drives[0]


def test_only_the_selected_drive_interrupts(cable: IdeBus, drives: list[StubDrive], host: StubHost) -> None:
    drives[1].interrupt_request = True
    cable.interrupt_changed()
    assert host.levels == []
    cable.write_register(6, 0x10)
    assert host.levels == [True]
    cable.write_register(6, 0x00)
    assert host.levels == [True, False]


def test_only_the_selected_drive_asks_for_dma(cable: IdeBus, drives: list[StubDrive], host: StubHost) -> None:
    cable.dma_requested(drives[1])
    assert host.dma == 0
    cable.dma_requested(drives[0])
    assert host.dma == 1


def test_a_restore_tells_nobody(cable: IdeBus, drives: list[StubDrive], host: StubHost) -> None:
    drives[1].interrupt_request = True
    cable.restore(1, True)
    assert cable.selected is drives[1]
    cable.interrupt_changed()
    assert host.levels == []
    drives[1].interrupt_request = False
    cable.interrupt_changed()
    assert host.levels == [False]


def test_nobody_is_there(cable: IdeBus, host: StubHost) -> None:
    for unit in (0x00, 0x10):
        cable.write_register(6, unit)
        nobody = cable.selected
        assert [nobody.read_register(register) for register in (1, 6, 7)] == [FLOATING] * 3
        assert nobody.alternate_status() == FLOATING
        assert nobody.read_data16() == 0xFF00 | FLOATING
        assert nobody.dma_request() == 0
        assert len(nobody.dma_read(8)) == 0
    assert host.levels == []


def test_device_0_stands_in_for_device_1(cable: IdeBus) -> None:
    drive = StubDrive()
    cable.attach(drive, 0, "drive")
    cable.write_register(6, 0x10)
    assert cable.selected.read_register(3) == 0xA3
    assert cable.selected.read_register(7) == 0
    assert cable.selected.alternate_status() == 0
    cable.write_register(7, 0xEC)
    assert ("command", 0xEC) not in drive.told
