"""Reading and writing a hard disk through the data register, in every addressing mode; what errors look like."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from southbridge.testing import Bench
from southbridge.testing.ide import BSY, DF, DRQ, ERR, IdeDriver, MemoryDisk

pytestmark = pytest.mark.usefixtures("disk")

ABRT, IDNF, UNC = 0x04, 0x10, 0x40
SECTOR = 512
READ, READ_EXT, READ_MULTIPLE, READ_MULTIPLE_EXT = 0x20, 0x24, 0xC4, 0x29
WRITE, WRITE_EXT, WRITE_MULTIPLE, WRITE_MULTIPLE_EXT = 0x30, 0x34, 0xC5, 0x39
SET_FEATURES, SET_MULTIPLE, VERIFY, VERIFY_EXT = 0xEF, 0xC6, 0x40, 0x42


def sectors(contents: MemoryDisk, first: int, count: int) -> bytes:
    return bytes(contents.data[first * SECTOR : (first + count) * SECTOR])


@pytest.mark.parametrize("width", [2, 4])
@pytest.mark.parametrize(
    ("command", "lba", "count", "extended"),
    [
        (READ, 0, 1, False),
        (READ, 4095, 1, False),
        (0x21, 17, 5, False),
        (READ, 100, 0, False),
        (READ_EXT, 70, 300, True),
        (READ_EXT, 4096 - 2100, 2100, True),
    ],
)
def test_reads(
    host: IdeDriver, contents: MemoryDisk, command: int, lba: int, count: int, extended: bool, width: int
) -> None:
    host.issue(command, lba, count, extended=extended)
    assert host.read_all(width=width) == sectors(contents, lba, count or 256)
    assert host.status() == 0x50


@pytest.mark.parametrize("width", [2, 4])
@pytest.mark.parametrize(
    ("command", "lba", "count", "extended"),
    [(WRITE, 0, 1, False), (0x31, 4090, 6, False), (WRITE_EXT, 9, 257, True), (WRITE_EXT, 1, 2100, True)],
)
def test_writes(
    bench: Bench, host: IdeDriver, contents: MemoryDisk, command: int, lba: int, count: int, extended: bool, width: int
) -> None:
    before = bytes(contents.data)
    data = bytes(reversed(sectors(contents, 1000, count)))
    host.issue(command, lba, count, extended=extended)
    assert not bench.irq(14), "the first block is asked for without an interrupt"
    host.write_all(data, width=width)
    assert bench.irq(14)
    assert host.read(7) == 0x50
    end = (lba + count) * SECTOR
    assert contents.data == before[: lba * SECTOR] + data + before[end:]


@pytest.mark.parametrize(("multiple", "count"), [(1, 3), (4, 4), (16, 40), (8, 9)])
def test_multiple_moves_several_sectors_an_interrupt(
    bench: Bench, host: IdeDriver, contents: MemoryDisk, multiple: int, count: int
) -> None:
    host.run(SET_MULTIPLE, count=multiple)
    host.issue(READ_MULTIPLE, lba=50, count=count)
    data = b""
    while len(data) < count * SECTOR:
        assert host.wait() & DRQ
        assert bench.irq(14)
        host.read(7)
        length = min(multiple * SECTOR, count * SECTOR - len(data))
        data += host.read_block(length - 2)
        assert not bench.irq(14), "one interrupt a block"
        data += host.read_block(2)
    assert data == sectors(contents, 50, count)
    assert host.status() == 0x50
    host.issue(WRITE_MULTIPLE, lba=200, count=count)
    host.write_all(data, block=multiple * SECTOR)
    assert sectors(contents, 200, count) == data


@pytest.mark.parametrize("command", [READ_MULTIPLE, WRITE_MULTIPLE, READ_MULTIPLE_EXT, WRITE_MULTIPLE_EXT])
def test_multiple_without_a_setting_is_aborted(host: IdeDriver, command: int) -> None:
    host.run(SET_MULTIPLE, count=0)
    assert host.run(command, count=1, extended=command < 0x40).error == ABRT


@pytest.mark.parametrize(("cylinder", "head", "sector"), [(0, 0, 1), (0, 1, 1), (1, 0, 1), (3, 15, 63), (2, 7, 9)])
def test_cylinder_head_and_sector(host: IdeDriver, contents: MemoryDisk, cylinder: int, head: int, sector: int) -> None:
    host.issue_chs(READ, cylinder, head, sector)
    assert host.read_all() == sectors(contents, (cylinder * 16 + head) * 63 + sector - 1, 1)


def test_the_host_sets_the_translation(host: IdeDriver, contents: MemoryDisk) -> None:
    host.issue_chs(0x91, 0, 3, 0, count=20)
    host.issue_chs(READ, 5, 2, 7)
    assert host.read_all() == sectors(contents, (5 * 4 + 2) * 20 + 6, 1)


@pytest.mark.parametrize(("cylinder", "head", "sector"), [(0, 0, 0), (0, 0, 64), (5, 0, 1), (0xFFFF, 15, 63)])
def test_places_that_do_not_exist(host: IdeDriver, cylinder: int, head: int, sector: int) -> None:
    host.issue_chs(READ, cylinder, head, sector)
    registers = host.task_file()
    assert (registers.status, registers.error) == (0x51, IDNF)


@pytest.mark.parametrize(
    ("command", "lba", "count", "extended"),
    [
        (READ, 4095, 2, False),
        (WRITE, 4000, 0, False),
        (READ_EXT, 1 << 47, 1, True),
        (READ_EXT, 4090, 0, True),
        (WRITE_EXT, (1 << 48) - 1, 0, True),
        (0xC8, 0x0FFF_FFFF, 255, False),
        (0x35, 4096, 1, True),
        (VERIFY, 4095, 2, False),
        (VERIFY_EXT, 1 << 40, 2, True),
    ],
)
def test_address_and_count_are_checked_together(
    bench: Bench, host: IdeDriver, contents: MemoryDisk, command: int, lba: int, count: int, extended: bool
) -> None:
    """CVE-2020-29443: an address from the guest and a length that were checked apart, or not at all."""
    before = bytes(contents.data)
    host.issue(command, lba, count, extended=extended)
    assert host.wait() & (DRQ | ERR) == ERR
    assert bench.irq(14)
    registers = host.task_file()
    assert registers.error == IDNF
    assert (registers.lba48 if extended else registers.lba28) == max(lba, 4096), "the first that isn't there"
    assert contents.data == before


def test_a_bad_sector_is_found_among_good_ones(host: IdeDriver, contents: MemoryDisk) -> None:
    contents.bad = {105 * SECTOR + 100}
    host.issue(READ, lba=100, count=20)
    assert host.read_all() == sectors(contents, 100, 5)
    registers = host.task_file()
    assert (registers.status, registers.error, registers.lba28) == (0x51, UNC, 105)


def test_a_bad_sector_spoils_its_block_of_a_multiple(host: IdeDriver, contents: MemoryDisk) -> None:
    contents.bad = {105 * SECTOR + 100}
    host.run(SET_MULTIPLE, count=4)
    host.issue(READ_MULTIPLE, lba=100, count=20)
    assert host.read_all(block=4 * SECTOR) == sectors(contents, 100, 4)
    assert host.task_file().error == UNC


@pytest.mark.parametrize(("bad", "status"), [(None, 0x50), (700, 0x51)])
def test_verify_reads_the_medium(host: IdeDriver, contents: MemoryDisk, bad: int | None, status: int) -> None:
    contents.bad = set() if bad is None else {bad * SECTOR}
    registers = host.run(VERIFY_EXT, lba=1, count=2100, extended=True)
    assert registers.status == status
    if bad is not None:
        assert (registers.error, registers.lba48) == (UNC, bad)


def test_a_write_that_fails_is_a_device_fault(host: IdeDriver, contents: MemoryDisk) -> None:
    contents.bad = {10 * SECTOR}
    host.issue(WRITE, lba=10, count=1)
    host.write_all(bytes(SECTOR))
    registers = host.task_file()
    assert registers.status & (ERR | DF) == ERR | DF
    assert registers.error == ABRT


def test_a_read_only_image_is_not_written(host: IdeDriver, contents: MemoryDisk) -> None:
    contents.writable = False
    assert host.run(WRITE, lba=10, count=1).error == ABRT


def test_without_a_cache_a_write_is_durable_when_it_is_done(host: IdeDriver, contents: MemoryDisk) -> None:
    host.run(SET_FEATURES, features=0x82)
    flushes = contents.flushes
    host.issue(WRITE, lba=1, count=2)
    host.write_all(bytes(2 * SECTOR))
    assert contents.flushes == flushes + 1
    assert host.read(7) == 0x50


# --- what a guest must not do ---


def poke(bench: Bench, port: int, value: int, size: int = 1) -> None:
    """A guest's write, before the image has had time to answer."""
    bench.machine.ports.write(port, size, value)


def test_a_command_to_a_busy_drive_is_ignored(bench: Bench, host: IdeDriver, contents: MemoryDisk) -> None:
    host.issue(0xE5)
    for register, value in ((6, 0x40), (2, 1), (3, 9), (4, 0), (5, 0), (7, READ)):
        poke(bench, host.base + register, value)
    assert bench.machine.ports.read(host.control, 1) & BSY
    for register, value in ((2, 0xFF), (3, 0x77), (7, WRITE), (7, 0x90)):
        poke(bench, host.base + register, value)
    assert host.read_all() == sectors(contents, 9, 1)
    assert any("0x30 during 0x20" in error for error in bench.guest_errors)


@pytest.mark.parametrize("command", [READ, WRITE, 0xEC])
def test_a_command_during_a_transfer_is_ignored(bench: Bench, host: IdeDriver, command: int) -> None:
    host.issue(command, lba=3, count=1)
    host.wait()
    host.issue(0xE7, lba=0x123456, count=9)
    assert host.status() & (DRQ | ERR) == DRQ
    assert host.read(2) == 1, "nor does a register change"
    host.reset()
    assert host.status() == 0x50


@pytest.mark.parametrize("width", [2, 4])
def test_the_data_register_without_data(bench: Bench, host: IdeDriver, width: int) -> None:
    assert bench.read_port(0x1F0, width) == (1 << 8 * width) - 1
    bench.write_port(0x1F0, 0x1234, width)
    assert host.status() == 0x50
    assert len(bench.guest_errors) == 2


def test_pio_stays_within_the_buffer(bench: Bench, host: IdeDriver, contents: MemoryDisk) -> None:
    """CVE-2015-5154: more words than the block has, in either direction, and in the wrong one."""
    host.issue(READ, lba=8, count=1)
    host.wait()
    poke(bench, 0x1F0, 0xDEAD, 2)
    data = host.read_block(SECTOR)
    assert data == sectors(contents, 8, 1)
    assert host.read_block(64) == b"\xff" * 64
    host.issue(WRITE, lba=8, count=1)
    assert bench.read_port(0x1F0, 2) == 0xFFFF
    host.write_block(bytes(SECTOR) + b"\xee" * 64)
    assert sectors(contents, 8, 1) == bytes(SECTOR)
    assert sectors(contents, 9, 1) != b"\xee" * SECTOR
    assert host.wait() == 0x50
    assert bench.guest_errors != []


def test_a_wide_access_does_not_reach_into_the_next_block(bench: Bench, host: IdeDriver, contents: MemoryDisk) -> None:
    host.issue(READ, lba=8, count=2)
    host.wait()
    data = host.read_block(SECTOR - 2)
    assert bench.read_port(0x1F0, 4) == 0xFFFF_0000 | int.from_bytes(sectors(contents, 8, 1)[-2:], "little")
    assert data + host.read_all() == sectors(contents, 8, 1)[:-2] + sectors(contents, 9, 1)
    host.issue(WRITE, lba=8, count=2)
    host.wait()
    host.write_block(bytes(SECTOR - 2))
    bench.write_port(0x1F0, 0x5555_0000, 4)
    host.write_all(b"\x11" * SECTOR)
    assert sectors(contents, 8, 2) == bytes(SECTOR) + b"\x11" * SECTOR


@pytest.mark.parametrize("command", [READ, WRITE, 0xC8, 0xCA, 0xE7, VERIFY])
@pytest.mark.parametrize("words", [0, 1, 255, 256, 300])
def test_reset_in_the_middle(bench: Bench, host: IdeDriver, contents: MemoryDisk, command: int, words: int) -> None:
    """SRST wherever a command has got to, the image's answer still to come."""
    for register, value in ((6, 0x40), (2, 3), (3, 20), (4, 0), (5, 0), (7, command)):
        poke(bench, host.base + register, value)
    for word in range(words):
        if word == 128:
            bench.executor.run_all()
        bench.machine.ports.read(0x1F0, 2)
        poke(bench, 0x1F0, 0, 2)
    poke(bench, host.control, 0x04)
    poke(bench, host.control, 0x00)
    assert bench.machine.ports.read(host.control, 1) == 0x50
    assert not bench.irq(14)
    bench.executor.run_all()
    assert (host.status(), bench.irq(14)) == (0x50, False), "an answer that comes late changes nothing"
    host.issue(READ, lba=33, count=2)
    assert host.read_all() == sectors(contents, 33, 2)


@settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.lists(
        st.one_of(
            st.tuples(st.sampled_from(range(0x1F1, 0x1F8)), st.integers(0, 255), st.just(1)),
            st.tuples(st.just(0x3F6), st.integers(0, 255), st.just(1)),
            st.tuples(st.just(0x1F0), st.integers(0, 0xFFFF), st.sampled_from([2, 4])),
        ),
        max_size=60,
    ),
    st.booleans(),
)
def test_no_sequence_of_accesses_does_harm(
    bench: Bench, host: IdeDriver, disk: Any, accesses: list[tuple[int, int, int]], answering: bool
) -> None:
    for port, value, size in accesses:
        poke(bench, port, value, size)
        assert 0 <= bench.machine.ports.read(port, size) < 1 << 8 * size
        if answering:
            bench.executor.run_all()
    saved = disk.save()
    disk.load(saved)
    bench.executor.run_all()
    host.reset()
    assert host.status() in (0x50, 0x7F, 0x00)


def test_strings_move_as_single_words_do(bench: Bench, host: IdeDriver, contents: MemoryDisk) -> None:
    """REP INSW and OUTSW of a sector, in pieces that don't end where a sector does."""

    def command(code: int, lba: int, sectors: int) -> None:
        for port, value in ((0x1F6, 0xE0), (0x1F2, sectors), (0x1F3, lba), (0x1F4, 0), (0x1F5, 0), (0x1F7, code)):
            bench.write_port(port, value)

    command(0x20, 4, 2)
    ports, read = bench.machine.ports, b""
    for words in (100, 156, 200, 56):
        bench.executor.run_all()
        read += ports.read_string(0x1F0, 2, words)
    assert read == contents.data[4 * 512 : 6 * 512]
    assert ports.read_string(0x1F0, 2, 2) == b"\xff" * 4
    command(0x30, 8, 2)
    written = bytes(range(256)) * 4
    for start, end in ((0, 300), (300, 512), (512, 1024)):
        bench.executor.run_all()
        ports.write_string(0x1F0, 2, written[start:end])
    bench.executor.run_all()
    assert bytes(contents.data[8 * 512 : 10 * 512]) == written
