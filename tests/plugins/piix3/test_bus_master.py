"""PIIX3's IDE bus masters: descriptor tables of every kind, and what the status register says afterwards."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from southbridge.memory.regions import Io
from southbridge.testing import Bench
from southbridge.testing.ide import DRQ, ERR, LAST, TABLE, IdeDriver, MemoryDisk

READ_DMA, WRITE_DMA, READ_DMA_EXT = 0xC8, 0xCA, 0x25
ACTIVE, ERROR, INTERRUPT = 0x01, 0x02, 0x04
BUFFER = 0x10_0000
KIB64 = 0x1_0000
SECTOR = 512
MASTER_ABORT = 0x2000


def result(host: IdeDriver) -> int:
    return host.bench.read_port(host.master + 2) & (ACTIVE | ERROR | INTERRUPT)


def test_reads_through_one_descriptor(bench: Bench, host: IdeDriver, disk: MemoryDisk) -> None:
    host.write_table([(BUFFER, 4 * SECTOR | LAST)])
    host.issue(READ_DMA, lba=3, count=4)
    assert host.status() & DRQ
    host.start(to_memory=True)
    assert result(host) == INTERRUPT
    assert bench.irq(14)
    assert host.read(7) == 0x50
    assert not bench.irq(14)
    assert bench.read_memory(BUFFER, 4 * SECTOR) == disk.data[3 * SECTOR : 7 * SECTOR]
    assert bench.guest_errors == []


def test_writes_through_one_descriptor(bench: Bench, host: IdeDriver, disk: MemoryDisk) -> None:
    bench.write_memory(BUFFER, b"southbridge" + bytes(1013))
    host.write_table([(BUFFER, 2 * SECTOR | LAST)])
    host.issue(WRITE_DMA, lba=100, count=2)
    host.start(to_memory=False)
    assert result(host) == INTERRUPT
    assert disk.data[100 * SECTOR : 102 * SECTOR] == b"southbridge" + bytes(1013)


def test_the_bus_master_may_be_started_before_the_command(bench: Bench, host: IdeDriver, disk: MemoryDisk) -> None:
    host.write_table([(BUFFER, SECTOR | LAST)])
    host.start(to_memory=True)
    assert result(host) == ACTIVE
    host.issue(READ_DMA, lba=9, count=1)
    assert result(host) == INTERRUPT
    assert bench.read_memory(BUFFER, SECTOR) == disk.data[9 * SECTOR : 10 * SECTOR]


@pytest.mark.parametrize("to_memory", [True, False])
def test_data_scatter_over_descriptors(bench: Bench, host: IdeDriver, disk: MemoryDisk, to_memory: bool) -> None:
    """Pieces of odd places and sizes, across the windows in which memory can be mapped; a length of 0 is 64 KiB."""
    pieces = [
        (BUFFER + 0x0FFE, 0x0006),
        (BUFFER + 0x2_FF00, 0x0400),
        (BUFFER + 0x4_0002, 0),
        (BUFFER + 0x8_8000, 0xFBF6),
    ]
    total = sum(length or KIB64 for _, length in pieces)
    count = total // SECTOR
    assert count * SECTOR + SECTOR > total >= count * SECTOR
    pieces[-1] = (pieces[-1][0], pieces[-1][1] - total % SECTOR | LAST)
    if not to_memory:
        for at, (address, length) in enumerate(pieces):
            bench.write_memory(address, bytes([at + 1]) * ((length & 0xFFFE) or KIB64))
    host.write_table(pieces)
    host.issue(READ_DMA if to_memory else WRITE_DMA, lba=1, count=count)
    host.start(to_memory)
    assert result(host) == INTERRUPT
    memory = b"".join(bench.read_memory(address, (length & 0xFFFE) or KIB64) for address, length in pieces)
    assert memory == disk.data[SECTOR : SECTOR * (count + 1)]


def test_a_long_transfer_goes_in_chunks(bench: Bench, host: IdeDriver, disk: MemoryDisk) -> None:
    """More than the drive asks of its image at once."""
    count = 0xC00
    host.write_table([(BUFFER + at * KIB64, 0) for at in range(23)] + [(BUFFER + 23 * KIB64, LAST)])
    host.issue(READ_DMA_EXT, lba=0, count=count, extended=True)
    host.start(to_memory=True)
    assert result(host) == INTERRUPT
    assert bench.read_memory(BUFFER, count * SECTOR) == disk.data[: count * SECTOR]


def test_a_table_longer_than_the_transfer_stays_active(bench: Bench, host: IdeDriver) -> None:
    host.write_table([(BUFFER, 0), (BUFFER + KIB64, LAST)])
    host.issue(READ_DMA, count=1)
    host.start(to_memory=True)
    assert result(host) == ACTIVE | INTERRUPT
    bench.write_memory(BUFFER + SECTOR, b"untouched")
    assert host.stop() & ACTIVE
    assert result(host) == INTERRUPT
    assert bench.read_memory(BUFFER + SECTOR, 9) == b"untouched"


def test_a_table_shorter_than_the_transfer_leaves_the_drive_waiting(
    bench: Bench, host: IdeDriver, disk: MemoryDisk
) -> None:
    host.write_table([(BUFFER, SECTOR | LAST)])
    host.issue(READ_DMA, lba=4, count=3)
    host.start(to_memory=True)
    assert result(host) == 0, "inactive, no error, no interrupt"
    assert host.status() & DRQ
    host.stop()
    host.write_table([(BUFFER + SECTOR, 2 * SECTOR | LAST)])
    host.start(to_memory=True)
    assert result(host) == INTERRUPT
    assert bench.read_memory(BUFFER, 3 * SECTOR) == disk.data[4 * SECTOR : 7 * SECTOR]


def test_stopping_lets_a_software_reset_recover(bench: Bench, host: IdeDriver, disk: MemoryDisk) -> None:
    host.write_table([(BUFFER, SECTOR | LAST)])
    host.issue(READ_DMA, lba=4, count=3)
    host.start(to_memory=True)
    host.stop()
    host.reset()
    assert host.status() == 0x50
    host.issue(0x20, lba=2, count=1)
    assert host.read_all() == disk.data[2 * SECTOR : 3 * SECTOR]


def failed(bench: Bench, host: IdeDriver, adapter: Any) -> bool:
    """The bus master stopped with an error, and PCI's status tells of an abort; the guest's doing was noted."""
    aborted = bench.config_read(adapter, 0x06, 2) & MASTER_ABORT
    return result(host) & (ACTIVE | ERROR) == ERROR and bool(aborted) and bench.guest_errors != []


@pytest.mark.parametrize("command", [READ_DMA, WRITE_DMA])
def test_memory_that_is_not_there_is_an_error(bench: Bench, host: IdeDriver, adapter: Any, command: int) -> None:
    host.write_table([(0xF000_0000, SECTOR | LAST)])
    host.issue(command, count=1)
    host.start(to_memory=command == READ_DMA)
    assert failed(bench, host, adapter)
    host.reset()
    assert host.status() == 0x50


def test_a_table_that_is_not_there_is_an_error(bench: Bench, host: IdeDriver, adapter: Any) -> None:
    bench.write_port(host.master + 4, 0xFFFF_FFFC, 4)
    host.issue(READ_DMA, count=1)
    host.start(to_memory=True)
    assert failed(bench, host, adapter)


@pytest.mark.parametrize("part", ["table", "data in", "data out"])
def test_dma_to_registers_is_refused(bench: Bench, host: IdeDriver, adapter: Any, part: str) -> None:
    """CVE-2021-3929 and its like: a device reached through another one's DMA, or its own."""
    entered: list[int] = []

    def read(offset: int, size: int) -> int:
        entered.append(offset)
        return 0

    def write(offset: int, size: int, value: int) -> None:
        entered.append(offset)

    registers = Io("registers", 0x1000, read, write)
    bench.machine.memory.root.add(0xE000_0000, registers)
    if part == "table":
        bench.write_port(host.master + 4, 0xE000_0000, 4)
    else:
        host.write_table([(0xE000_0000, SECTOR | LAST)])
    host.issue(WRITE_DMA if part == "data out" else READ_DMA, count=1)
    host.start(to_memory=part != "data out")
    assert failed(bench, host, adapter)
    assert entered == []


def test_without_bus_mastering_nothing_moves(bench: Bench, host: IdeDriver, adapter: Any) -> None:
    bench.config_write(adapter, 0x04, 2, 0x0001)
    bench.write_memory(BUFFER, b"untouched")
    host.write_table([(BUFFER, SECTOR | LAST)])
    host.issue(READ_DMA, count=1)
    host.start(to_memory=True)
    assert failed(bench, host, adapter)
    assert bench.read_memory(BUFFER, 9) == b"untouched"


@pytest.mark.parametrize("command", [READ_DMA, WRITE_DMA])
def test_the_wrong_direction_is_an_error(
    bench: Bench, host: IdeDriver, adapter: Any, disk: MemoryDisk, command: int
) -> None:
    before = bytes(disk.data)
    bench.write_memory(BUFFER, b"untouched")
    host.write_table([(BUFFER, SECTOR | LAST)])
    host.issue(command, count=1)
    host.start(to_memory=command != READ_DMA)
    assert failed(bench, host, adapter)
    assert bench.read_memory(BUFFER, 9) == b"untouched"
    assert disk.data == before


def test_a_table_without_an_end_stops_at_its_64_kib_page(bench: Bench, host: IdeDriver, adapter: Any) -> None:
    """A walk is bounded: a table does not wrap round to its own beginning."""
    table = 0x2_0000
    host.write_table([(BUFFER, 2)] * (KIB64 // 8), table=table)
    host.issue(READ_DMA, count=200)
    host.start(to_memory=True)
    assert failed(bench, host, adapter)
    assert host.status() & DRQ, "the drive has more"


@pytest.mark.parametrize("offset", [KIB64 - 8, KIB64 - 4])
def test_a_table_may_not_cross_a_64_kib_page(bench: Bench, host: IdeDriver, adapter: Any, offset: int) -> None:
    host.write_table([(BUFFER, 2), (BUFFER, SECTOR | LAST)], table=0x2_0000 + offset)
    host.issue(READ_DMA, count=1)
    host.start(to_memory=True)
    assert failed(bench, host, adapter)


def test_a_descriptor_is_copied_once(bench: Bench, host: IdeDriver, disk: MemoryDisk) -> None:
    """The data overwrite the table itself: the descriptor in use stays what it was, the next one is what is there."""
    host.write_table([(TABLE, SECTOR), (BUFFER, SECTOR | LAST)])
    disk.data[8:16] = (BUFFER + 0x4000).to_bytes(4, "little") + (SECTOR | LAST).to_bytes(4, "little")
    host.issue(READ_DMA, count=2)
    host.start(to_memory=True)
    assert result(host) == INTERRUPT
    assert bench.read_memory(TABLE, SECTOR) == disk.data[:SECTOR]
    assert bench.read_memory(BUFFER + 0x4000, SECTOR) == disk.data[SECTOR : 2 * SECTOR]


def test_low_bits_of_addresses_and_lengths_do_not_count(bench: Bench, host: IdeDriver, disk: MemoryDisk) -> None:
    host.write_table([(BUFFER + 1, SECTOR + 1 | LAST)])
    bench.write_port(host.master + 4, TABLE + 3)
    assert bench.read_port(host.master + 4, 4) == TABLE
    host.issue(READ_DMA, count=1)
    host.start(to_memory=True)
    assert result(host) == INTERRUPT
    assert bench.read_memory(BUFFER, SECTOR) == disk.data[:SECTOR]


def test_status_bits_are_cleared_by_ones_and_capabilities_are_stored(bench: Bench, host: IdeDriver) -> None:
    bench.write_port(host.master + 2, 0x60)
    assert bench.read_port(host.master + 2) == 0x60
    host.issue(0xEC)
    assert bench.read_port(host.master + 2) == 0x64
    bench.write_port(host.master + 2, 0x60)
    assert bench.read_port(host.master + 2) == 0x64
    bench.write_port(host.master + 2, 0x64)
    assert bench.read_port(host.master + 2) == 0x60


def test_a_read_error_ends_a_transfer(bench: Bench, host: IdeDriver, disk: MemoryDisk) -> None:
    disk.bad = {3 * SECTOR + 7}
    host.write_table([(BUFFER, 8 * SECTOR | LAST)])
    host.issue(READ_DMA, lba=1, count=8)
    host.start(to_memory=True)
    assert result(host) == ACTIVE | INTERRUPT
    registers = host.task_file()
    assert registers.status & ERR
    assert registers.error == 0x40
    assert registers.lba28 == 3, "the first that can't be read"
    assert bench.read_memory(BUFFER, 2 * SECTOR) == disk.data[SECTOR : 3 * SECTOR], "those before it were delivered"


def test_a_transfer_under_way_is_restored(bench: Bench, host: IdeDriver, adapter: Any, drive: Any) -> None:
    """Saved while the drive waits for its image and the bus master for the drive."""
    disk = drive.drive
    host.write_table([(BUFFER, 4 * SECTOR | LAST)])
    host.start(to_memory=True)
    for register, value in ((6, 0x40), (2, 4), (3, 8), (4, 0), (5, 0), (7, READ_DMA)):
        bench.machine.ports.write(host.base + register, 1, value)
    assert bench.machine.ports.read(host.control, 1) & 0x80
    saved = adapter.save(), drive.save()
    for device in (adapter, drive):
        device.reset()
    bench.executor.run_all()
    assert bench.read_memory(BUFFER, 4) == bytes(4), "a reset drive has forgotten"
    adapter.load(saved[0])
    drive.load(saved[1])
    assert result(host) == INTERRUPT
    assert bench.read_memory(BUFFER, 4 * SECTOR) == disk.data[8 * SECTOR : 12 * SECTOR]


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    table=st.integers(0, (1 << 32) - 1),
    descriptors=st.lists(st.tuples(st.integers(0, (1 << 32) - 1), st.integers(0, (1 << 32) - 1)), max_size=20),
    count=st.integers(0, 255),
    command=st.sampled_from([READ_DMA, WRITE_DMA]),
    to_memory=st.booleans(),
)
def test_no_table_does_harm(
    bench: Bench,
    host: IdeDriver,
    table: int,
    descriptors: list[tuple[int, int]],
    count: int,
    command: int,
    to_memory: bool,
) -> None:
    host.write_table(descriptors)
    if table % 3 == 0:
        bench.write_port(host.master + 4, table, 4)
    host.issue(command, lba=1, count=count)
    host.start(to_memory)
    host.stop()
    host.reset()
    assert host.status() == 0x50
