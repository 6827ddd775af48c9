"""The SMBus by itself: who is told what, byte by byte, in each protocol."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from southbridge.errors import RealizeError
from southbridge.machine import Machine
from southbridge.smbus import Nack, SmbusBus, SmbusDevice
from southbridge.units import MiB

START_WRITE, START_READ, STOP = "start for writing", "start for reading", "stop"


class Recorder(SmbusDevice):
    """Notes what it is told, and answers with the bytes of `answers`."""

    def __init__(self, id: str, **properties: Any) -> None:
        super().__init__(id, **properties)
        self.told: list[str | int] = []
        self.answers = b""
        self.refused: set[str | int] = set()

    def _note(self, what: str | int) -> None:
        self.told.append(what)
        if what in self.refused:
            raise Nack

    def smbus_start(self, read: bool) -> None:
        self._note(START_READ if read else START_WRITE)

    def smbus_write(self, value: int) -> None:
        self._note(value)

    def smbus_read(self) -> int:
        value, self.answers = self.answers[0], self.answers[1:]
        return value

    def smbus_stop(self) -> None:
        self.told.append(STOP)


class Faulty(SmbusDevice):
    """Its code raises."""

    def smbus_read(self) -> int:
        raise ZeroDivisionError


class Plain(SmbusDevice):
    """Does nothing of its own."""


@pytest.fixture
def machine() -> Machine:
    machine = Machine(name="smbus", memory=1 * MiB)
    machine.add_bus("smbus.0", SmbusBus("smbus.0"))
    return machine


@pytest.fixture
def bus(machine: Machine) -> SmbusBus:
    bus: SmbusBus = machine.buses["smbus.0"]
    return bus


@pytest.fixture
def device(machine: Machine, bus: SmbusBus) -> Recorder:
    device = Recorder("it", bus=bus, address=0x50)
    machine.plug(device)
    return device


def test_quick_command(bus: SmbusBus, device: Recorder) -> None:
    bus.quick(0x50, True)
    bus.quick(0x50, False)
    assert device.told == [START_READ, STOP, START_WRITE, STOP]


def test_send_and_receive_byte(bus: SmbusBus, device: Recorder) -> None:
    bus.send_byte(0x50, 0x12)
    device.answers = b"\x34"
    assert bus.receive_byte(0x50) == 0x34
    assert device.told == [START_WRITE, 0x12, STOP, START_READ, STOP]


def test_bytes_with_a_command(bus: SmbusBus, device: Recorder) -> None:
    bus.write_byte(0x50, 1, 2)
    device.answers = b"\x03"
    assert bus.read_byte(0x50, 4) == 3
    assert device.told == [START_WRITE, 1, 2, STOP, START_WRITE, 4, START_READ, STOP]


def test_words_have_the_low_byte_first(bus: SmbusBus, device: Recorder) -> None:
    bus.write_word(0x50, 1, 0xA0B0)
    device.answers = b"\x0c\x0d"
    assert bus.read_word(0x50, 4) == 0x0D0C
    assert device.told == [START_WRITE, 1, 0xB0, 0xA0, STOP, START_WRITE, 4, START_READ, STOP]


def test_process_call_is_one_transaction(bus: SmbusBus, device: Recorder) -> None:
    device.answers = b"\x78\x56"
    assert bus.process_call(0x50, 9, 0x1234) == 0x5678
    assert device.told == [START_WRITE, 9, 0x34, 0x12, START_READ, STOP]


@given(data=st.binary(min_size=1, max_size=32))
def test_blocks_are_preceded_by_their_length(data: bytes) -> None:
    machine = Machine(name="smbus", memory=1 * MiB)
    bus = SmbusBus("smbus.0")
    device = Recorder("it", bus=bus, address=0x50)
    machine.plug(device)
    bus.write_block(0x50, 7, data)
    assert device.told == [START_WRITE, 7, len(data), *data, STOP]
    device.answers = bytes([len(data)]) + data
    assert bus.read_block(0x50, 7) == (len(data), data)


@pytest.mark.parametrize("length", [0, 33, 255])
def test_a_block_that_is_no_block(bus: SmbusBus, device: Recorder, length: int) -> None:
    with pytest.raises(ValueError, match=f"1 to 32 bytes, not {length}"):
        bus.write_block(0x50, 7, bytes(length))
    assert device.told == []
    device.answers = bytes([length]) + bytes(range(255))
    assert bus.read_block(0x50, 7) == (length, bytes(range(min(length, 32))))


def test_nobody_acknowledges(bus: SmbusBus, device: Recorder) -> None:
    calls: list[Callable[[], object]] = [
        lambda: bus.quick(0x51, True),
        lambda: bus.send_byte(0x51, 0),
        lambda: bus.receive_byte(0x51),
        lambda: bus.write_byte(0x51, 0, 0),
        lambda: bus.read_byte(0x51, 0),
        lambda: bus.write_word(0x51, 0, 0),
        lambda: bus.read_word(0x51, 0),
        lambda: bus.process_call(0x51, 0, 0),
        lambda: bus.write_block(0x51, 0, b"1"),
        lambda: bus.read_block(0x51, 0),
    ]
    for call in calls:
        with pytest.raises(Nack):
            call()
    assert device.told == []


def test_a_refused_byte_ends_the_transaction(bus: SmbusBus, device: Recorder) -> None:
    device.refused = {2}
    with pytest.raises(Nack):
        bus.write_word(0x50, 1, 0x0302)
    assert device.told == [START_WRITE, 1, 2, STOP]


def test_a_device_with_nothing_of_its_own(machine: Machine, bus: SmbusBus) -> None:
    machine.plug(Plain("plain", bus=bus, address=0x20))
    bus.quick(0x20, False)
    assert bus.receive_byte(0x20) == 0xFF
    with pytest.raises(Nack):
        bus.send_byte(0x20, 1)


def test_a_device_whose_code_raises_is_broken_and_silent(machine: Machine, bus: SmbusBus, device: Recorder) -> None:
    faulty = Faulty("faulty", bus=bus, address=0x20)
    machine.plug(faulty)
    for _ in range(2):
        with pytest.raises(Nack):
            bus.receive_byte(0x20)
    assert faulty.broken
    bus.quick(0x50, True)
    assert not device.broken


def test_an_address_is_had_once(machine: Machine, bus: SmbusBus, device: Recorder) -> None:
    other = Recorder("other", bus=bus, address=0x50)
    with pytest.raises(RealizeError, match=r"^other: smbus\.0 address 0x50 is taken by it$"):
        machine.plug(other)
    assert bus.targets() == {0x50: device}
    machine.unplug(device)
    assert bus.targets() == {}
    machine.plug(other)
    assert bus.targets() == {0x50: other}
