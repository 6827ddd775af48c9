"""The SMBus host controller: transactions, how they end, and guests that ask for what there isn't."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from southbridge.plugins.piix4_acpi import Piix4Acpi
from southbridge.smbus import SmbusDevice
from southbridge.testing import Bench

BASE = 0x700
STATUS, CONTROL, COMMAND, ADDRESS, DATA0, DATA1, BLOCK = (BASE + offset for offset in (0, 2, 3, 4, 5, 6, 7))
BUSY, INTER, DEV_ERR, FAILED = 0x01, 0x02, 0x04, 0x10
INTEREN, KILL, START = 0x01, 0x02, 0x40
QUICK, BYTE, BYTE_DATA, WORD_DATA, BLOCK_DATA = (command << 2 for command in (0, 1, 2, 3, 5))
SCI = 9
IT, NOBODY = 0x2C, 0x2D


class Clerk(SmbusDevice):
    """Keeps what it is sent; what it is asked for is `answers`."""

    def __init__(self, id: str, **properties: Any) -> None:
        super().__init__(id, **properties)
        self.sent = bytearray()
        self.answers = b""
        self.starts: list[bool] = []

    def smbus_start(self, read: bool) -> None:
        self.starts.append(read)

    def smbus_write(self, value: int) -> None:
        self.sent.append(value)

    def smbus_read(self) -> int:
        value, self.answers = self.answers[0], self.answers[1:]
        return value


class Deaf(SmbusDevice):
    """Refuses all but its address."""


class Board:
    """A bench with the chip, set up as firmware does it, and a device on its bus."""

    def __init__(self, bench: Bench) -> None:
        self.bench = bench
        self.chip: Piix4Acpi = bench.plug("piix4_acpi")
        self.clerk: Clerk = bench.plug(Clerk, address=IT)
        self.set_up()

    def set_up(self) -> None:
        for offset, size, value in ((0x90, 4, BASE), (0xD2, 1, 0x09), (0x04, 2, 1)):
            self.bench.config_write(self.chip, offset, size, value)

    def begin(self, command: int, address: int = IT, *, read: bool = False, control: int = 0) -> None:
        """Starts a transaction."""
        self.bench.write_port(ADDRESS, address << 1 | read)
        self.bench.write_port(CONTROL, command | control)
        self.bench.write_port(CONTROL, command | control | START)

    def end(self) -> int:
        """Waits for the end of the transaction; gives its status, and clears it."""
        assert self.status() == BUSY
        self.bench.clock.advance(ms=10)
        status = self.status()
        self.bench.write_port(STATUS, status)
        return status

    def transact(self, command: int, address: int = IT, *, read: bool = False) -> int:
        """A whole transaction; gives its status."""
        self.begin(command, address, read=read)
        return self.end()

    def status(self) -> int:
        return self.bench.read_port(STATUS)

    def put(self, port: int, value: int) -> None:
        self.bench.write_port(port, value)

    def get(self, port: int) -> int:
        return self.bench.read_port(port)


@pytest.fixture
def board(bench: Bench) -> Board:
    return Board(bench)


# --- every command ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("read", [False, True])
def test_quick(board: Board, read: bool) -> None:
    assert board.transact(QUICK, read=read) == INTER
    assert board.clerk.starts == [read]


def test_byte(board: Board) -> None:
    board.put(COMMAND, 0x42)
    assert board.transact(BYTE) == INTER
    board.clerk.answers = b"\x99"
    assert board.transact(BYTE, read=True) == INTER
    assert (bytes(board.clerk.sent), board.get(DATA0)) == (b"\x42", 0x99)


def test_byte_data(board: Board) -> None:
    board.put(COMMAND, 0x10)
    board.put(DATA0, 0x20)
    assert board.transact(BYTE_DATA) == INTER
    board.clerk.answers = b"\x99"
    assert board.transact(BYTE_DATA, read=True) == INTER
    assert (bytes(board.clerk.sent), board.get(DATA0)) == (b"\x10\x20\x10", 0x99)


def test_word_data(board: Board) -> None:
    board.put(COMMAND, 0x10)
    board.put(DATA0, 0x20)
    board.put(DATA1, 0x30)
    assert board.transact(WORD_DATA) == INTER
    board.clerk.answers = b"\x98\x99"
    assert board.transact(WORD_DATA, read=True) == INTER
    assert bytes(board.clerk.sent) == b"\x10\x20\x30\x10"
    assert (board.get(DATA0), board.get(DATA1)) == (0x98, 0x99)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=30)
@given(data=st.binary(min_size=1, max_size=32))
def test_blocks(board: Board, data: bytes) -> None:
    board.clerk.sent.clear()
    board.put(COMMAND, 0x10)
    board.put(DATA0, len(data))
    board.get(CONTROL)
    for byte in data:
        board.put(BLOCK, byte)
    assert board.transact(BLOCK_DATA) == INTER
    assert bytes(board.clerk.sent) == bytes([0x10, len(data)]) + data
    board.clerk.answers = bytes([len(data)]) + data[::-1]
    assert board.transact(BLOCK_DATA, read=True) == INTER
    assert board.get(DATA0) == len(data)
    board.get(CONTROL)
    assert bytes(board.get(BLOCK) for _ in data) == data[::-1]


def test_a_read_of_control_begins_the_block_anew_and_it_wraps(board: Board) -> None:
    board.get(CONTROL)
    for byte in range(34):
        board.put(BLOCK, byte)
    board.get(CONTROL)
    assert [board.get(BLOCK) for _ in range(33)] == [32, 33, *range(2, 32), 32]


# --- time and ends ---------------------------------------------------------------------------------------------------


def test_a_transaction_takes_its_time(board: Board) -> None:
    """A byte that is read by command: four bytes of nine bits, with start and stop, at 100 kHz."""
    board.clerk.answers = b"\x99"
    board.begin(BYTE_DATA, read=True)
    board.bench.clock.advance(us=379)
    assert board.status() == BUSY
    assert board.clerk.starts == []
    board.bench.clock.advance(us=1)
    assert board.status() == INTER


def test_start_reads_as_zero(board: Board) -> None:
    board.begin(QUICK)
    assert board.get(CONTROL) == QUICK


@pytest.mark.parametrize("command", [QUICK, BYTE, BYTE_DATA, WORD_DATA, BLOCK_DATA])
@pytest.mark.parametrize("read", [False, True])
def test_nobody_acknowledges(board: Board, command: int, read: bool) -> None:
    board.put(DATA0, 2)
    assert board.transact(command, NOBODY, read=read) == DEV_ERR
    assert board.clerk.starts == []
    assert board.get(DATA0) == 2


def test_a_byte_isnt_acknowledged(board: Board) -> None:
    board.bench.plug(Deaf, address=NOBODY)
    assert board.transact(QUICK, NOBODY) == INTER
    assert board.transact(BYTE_DATA, NOBODY) == DEV_ERR


@pytest.mark.parametrize("number", [4, 6, 7])
def test_a_command_that_there_isnt(board: Board, number: int) -> None:
    assert board.transact(number << 2) == DEV_ERR
    assert board.clerk.starts == []
    assert len(board.bench.guest_errors) == 1


@pytest.mark.parametrize("length", [0, 33, 255])
def test_a_block_of_a_wrong_length_isnt_sent(board: Board, length: int) -> None:
    board.put(DATA0, length)
    assert board.transact(BLOCK_DATA) == DEV_ERR
    assert board.clerk.starts == []


@pytest.mark.parametrize("length", [0, 33, 255])
def test_a_device_that_says_a_wrong_length(board: Board, length: int) -> None:
    """The guest learns of it; no more is taken than there is room for."""
    board.clerk.answers = bytes([length]) + bytes(range(0x40, 0x40 + 64))
    assert board.transact(BLOCK_DATA, read=True) == INTER
    assert board.get(DATA0) == length
    board.get(CONTROL)
    assert board.get(BLOCK) == (0x40 if length else 0)
    assert len(board.clerk.answers) == (32 if length else 64)


def test_a_start_in_mid_transaction_is_refused(board: Board) -> None:
    board.begin(QUICK)
    board.put(CONTROL, QUICK | START)
    assert len(board.bench.guest_errors) == 1
    assert board.end() == INTER
    assert board.clerk.starts == [False]


def test_kill(board: Board) -> None:
    board.begin(WORD_DATA)
    board.put(CONTROL, KILL)
    assert board.status() == FAILED
    board.bench.clock.advance(ms=10)
    assert (board.status(), board.clerk.starts) == (FAILED, [])
    board.put(STATUS, FAILED)
    board.put(CONTROL, KILL | START)
    assert board.status() == FAILED
    board.put(STATUS, FAILED)
    assert board.transact(QUICK) == INTER


def test_a_reset_ends_it(board: Board) -> None:
    board.begin(WORD_DATA)
    board.chip.reset()
    board.bench.clock.advance(ms=10)
    board.set_up()
    assert (board.status(), board.clerk.starts) == (0, [])


def test_a_transaction_survives_in_saved_state(board: Board) -> None:
    board.clerk.answers = b"\x99"
    board.begin(BYTE_DATA, read=True)
    saved = board.chip.save()
    board.chip.reset()
    board.chip.load(saved)
    assert board.end() == INTER
    assert board.get(DATA0) == 0x99


# --- interrupts ------------------------------------------------------------------------------------------------------


def test_the_end_interrupts_by_irq_9_until_it_is_cleared(board: Board) -> None:
    board.begin(QUICK, control=INTEREN)
    assert not board.bench.irq(SCI)
    board.bench.clock.advance(ms=1)
    assert board.bench.irq(SCI)
    board.put(STATUS, INTER)
    assert not board.bench.irq(SCI)
    board.begin(QUICK, NOBODY, control=INTEREN)
    board.bench.clock.advance(ms=1)
    assert board.bench.irq(SCI)
    board.put(CONTROL, 0)
    assert not board.bench.irq(SCI)


def test_polled_or_by_smi_it_doesnt_interrupt(board: Board) -> None:
    board.begin(QUICK)
    board.bench.clock.advance(ms=1)
    assert not board.bench.irq(SCI)
    board.put(CONTROL, INTEREN)
    assert board.bench.irq(SCI)
    board.bench.config_write(board.chip, 0xD2, 1, 0x01)
    assert not board.bench.irq(SCI)


# --- where it is -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("offset", "size", "value"), [(0xD2, 1, 0x08), (0x04, 2, 0)])
def test_it_is_decoded_while_both_enable_it(board: Board, offset: int, size: int, value: int) -> None:
    assert board.status() == 0
    board.bench.config_write(board.chip, offset, size, value)
    assert board.status() == 0xFF


def test_it_moves(board: Board) -> None:
    board.bench.config_write(board.chip, 0x90, 4, 0xFFFF_B10F)
    assert board.bench.config_read(board.chip, 0x90, 4) == 0xB101
    assert (board.status(), board.bench.read_port(0xB100)) == (0xFF, 0)


def test_revision(board: Board) -> None:
    assert board.bench.config_read(board.chip, 0xD6, 1) == 0


def test_the_bus_goes_with_it(bench: Bench) -> None:
    chip = bench.plug("piix4_acpi")
    assert "smbus.0" in bench.machine.buses
    bench.machine.unplug(chip)
    assert "smbus.0" not in bench.machine.buses
