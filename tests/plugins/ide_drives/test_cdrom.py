"""The CD-ROM drive: the ATAPI protocol, and what its packet commands answer."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from southbridge.testing import Bench
from southbridge.testing.ide import DRQ, ERR, LAST, IdeDriver, MemoryDisk

BLOCK = 2048
BUFFER = 0x10_0000
ABRT = 0x04

NOT_READY, MEDIUM_ERROR, ILLEGAL, ATTENTION = 2, 3, 5, 6
READ_CD = 0xBE


@pytest.fixture
def guest(cdrom: Any, host: IdeDriver) -> IdeDriver:
    """A driver that has taken note of the reset."""
    host.packet([0x00])
    host.packet([0x03, 0, 0, 0, 18])
    return host


def sense(host: IdeDriver) -> tuple[int, int, int]:
    """REQUEST SENSE: key, code, qualifier."""
    data = host.packet([0x03, 0, 0, 0, 18])
    assert (len(data), data[0], data[7]) == (18, 0x70, 10)
    return data[2], data[12], data[13]


def failed(host: IdeDriver) -> tuple[int, int, int]:
    """The sense of the packet command that just failed."""
    registers = host.task_file()
    assert registers.status & (ERR | DRQ) == ERR
    assert registers.sector_count & 0x03 == 0x03
    data = sense(host)
    assert registers.error >> 4 == data[0]
    return data


def read_10(first: int, count: int) -> list[int]:
    return [0x28, 0, *first.to_bytes(4, "big"), 0, *count.to_bytes(2, "big")]


def read_12(first: int, count: int) -> list[int]:
    return [0xA8, 0, *first.to_bytes(4, "big"), *count.to_bytes(4, "big")]


def blocks(contents: MemoryDisk, first: int, count: int) -> bytes:
    return bytes(contents.data[first * BLOCK : (first + count) * BLOCK])


# --- ATA commands ---


@pytest.mark.parametrize("command", [0xEC, 0x20])
def test_a_disk_s_commands_are_aborted_with_the_signature(guest: IdeDriver, command: int) -> None:
    registers = guest.run(command, lba=0x123456)
    assert (registers.status & ERR, registers.error) == (ERR, ABRT)
    assert (registers.lba_mid, registers.lba_high) == (0x14, 0xEB)


def test_identify_packet_device(guest: IdeDriver) -> None:
    guest.issue(0xA1)
    data = guest.read_all()
    assert data[0:2] == bytes([0xC0, 0x85])
    assert data[54:70] == b"BSIRGD EDCR-MO  "
    assert sum(data) & 0xFF == 0


@pytest.mark.parametrize(("reset", "control"), [("device", 0), ("software", 1), ("hardware", 2)])
def test_resets_leave_the_signature(bench: Bench, guest: IdeDriver, cdrom: Any, reset: str, control: int) -> None:
    guest.issue(0xA0, lba=0x2000)
    assert guest.status() & DRQ
    if reset == "device":
        guest.write(7, 0x08)
    elif reset == "software":
        guest.reset()
    else:
        cdrom.reset()
    assert guest.status() == 0x00
    assert (guest.read(2), guest.read(3), guest.read(4), guest.read(5)) == (1, 1, 0x14, 0xEB)
    assert not bench.irq(14)


def test_a_device_reset_gets_through_to_a_busy_drive(bench: Bench, guest: IdeDriver) -> None:
    guest.issue(0xA0, lba=BLOCK << 8)
    packet = bytes(read_10(0, 4)).ljust(12, b"\0")
    for at in range(0, 12, 2):
        bench.machine.ports.write(0x1F0, 2, int.from_bytes(packet[at : at + 2], "little"))
    assert bench.machine.ports.read(0x3F6, 1) & 0x80
    bench.machine.ports.write(0x1F7, 1, 0x08)
    bench.executor.run_all()
    assert guest.status() == 0x00
    assert guest.packet(read_10(1, 1)) != b""


def test_but_not_to_one_that_srst_holds_in_its_reset(bench: Bench, guest: IdeDriver) -> None:
    """Found by `southbridge fuzz ide-cd --seed 22946`."""
    bench.machine.ports.write(0x3F6, 1, 0x04)
    bench.machine.ports.write(0x1F7, 1, 0x08)
    assert bench.machine.ports.read(0x3F6, 1) == 0x80
    bench.machine.ports.write(0x3F6, 1, 0)
    assert guest.status() == 0x00


@pytest.mark.parametrize(
    ("command", "features", "count"), [(0xEF, 3, 0x22), (0xEF, 0x66, 0), (0xE0, 0, 0), (0xE7, 0, 0)]
)
def test_ata_commands_that_succeed(guest: IdeDriver, command: int, features: int, count: int) -> None:
    assert guest.run(command, features=features, count=count).status == 0x50


@pytest.mark.parametrize(
    ("command", "features", "count"), [(0xEF, 3, 0x99), (0xEF, 0x77, 0), (0xC8, 0, 1), (0xB0, 0, 0)]
)
def test_ata_commands_that_do_not(guest: IdeDriver, command: int, features: int, count: int) -> None:
    assert guest.run(command, features=features, count=count).error == ABRT


def test_power_mode_and_sleep(guest: IdeDriver) -> None:
    assert guest.run(0xE5).sector_count & 0xFF == 0xFF
    guest.run(0xE6)
    guest.issue(0xA0)
    assert not guest.status() & DRQ
    guest.write(7, 0x08)
    assert guest.packet([0x12, 0, 0, 0, 36]) != b""


# --- the protocol ---


def test_the_phases_of_a_packet_command(bench: Bench, guest: IdeDriver, contents: MemoryDisk) -> None:
    guest.issue(0xA0, lba=BLOCK << 8)
    assert guest.status() & (DRQ | 0x80) == DRQ
    assert guest.read(2) & 3 == 1, "a command is expected"
    assert not bench.irq(14)
    guest.write_block(bytes(read_10(5, 2)).ljust(12, b"\0"))
    for block in range(2):
        assert guest.wait() & DRQ
        assert bench.irq(14)
        assert guest.read(2) & 3 == 2, "data to the host"
        assert guest.read(4) | guest.read(5) << 8 == BLOCK
        guest.read(7)
        assert guest.read_block(BLOCK) == blocks(contents, 5 + block, 1)
    assert bench.irq(14)
    assert guest.read(2) & 3 == 3, "status"
    assert guest.read(7) == 0x50


@pytest.mark.parametrize("limit", [0xFFFE, 0xFFFF, 2048, 4096, 2046, 512, 31, 2, 1])
def test_blocks_are_no_longer_than_the_host_said(guest: IdeDriver, contents: MemoryDisk, limit: int) -> None:
    guest.send_packet(read_10(3, 9), limit=limit)
    data = b""
    while guest.wait() & DRQ:
        length = guest.read(4) | guest.read(5) << 8
        assert 0 < length <= max(limit, 2)
        assert length % 2 == 0 or len(data) + length == 9 * BLOCK
        data += guest.read_block(length)
    assert data == blocks(contents, 3, 9)


def test_no_room_at_all_is_refused(guest: IdeDriver) -> None:
    guest.send_packet(read_10(0, 1), limit=0)
    registers = guest.task_file()
    assert (registers.status & (ERR | DRQ), registers.error & ABRT) == (ERR, ABRT)


def test_an_odd_answer_is_announced_as_such(guest: IdeDriver) -> None:
    assert guest.packet([0x12, 0, 0, 0, 5]) == guest.packet([0x12, 0, 0, 0, 36])[:5]
    assert guest.packet([0x12, 0, 0, 0, 0]) == b""
    assert guest.status() == 0x50


@pytest.mark.parametrize("count", [1, 32, 700])
def test_reads_by_dma(bench: Bench, guest: IdeDriver, contents: MemoryDisk, count: int) -> None:
    length = count * BLOCK
    pieces = [(BUFFER + at, min(length - at, 0xF000)) for at in range(0, length, 0xF000)]
    pieces[-1] = (pieces[-1][0], pieces[-1][1] | LAST)
    guest.write_table(pieces)
    guest.send_packet(read_12(300, count), dma=True)
    guest.start(to_memory=True)
    assert guest.stop() & 0x07 == 0x04
    assert bench.irq(14)
    assert guest.read(2) & 3 == 3
    assert guest.read(7) == 0x50
    assert bench.read_memory(BUFFER, length) == blocks(contents, 300, count)


def test_answers_by_dma(bench: Bench, guest: IdeDriver) -> None:
    guest.write_table([(BUFFER, 8 | LAST)])
    guest.send_packet([0x25], dma=True)
    guest.start(to_memory=True)
    assert bench.read_memory(BUFFER, 8) == (1023).to_bytes(4, "big") + BLOCK.to_bytes(4, "big")


# --- commands ---


def test_the_first_command_after_a_reset_is_told_of_it(cdrom: Any, host: IdeDriver) -> None:
    assert host.packet([0x12, 0, 0, 0, 36])[0] == 5, "INQUIRY doesn't mind"
    host.packet([0x00])
    assert failed(host) == (ATTENTION, 0x29, 0x00)
    host.packet([0x00])
    assert host.status() == 0x50
    assert sense(host) == (0, 0, 0)


def test_request_sense_takes_the_attention_too(cdrom: Any, host: IdeDriver) -> None:
    assert sense(host) == (ATTENTION, 0x29, 0x00)
    host.packet([0x00])
    assert host.status() == 0x50


def test_inquiry(guest: IdeDriver) -> None:
    data = guest.packet([0x12, 0, 0, 0, 96])
    assert len(data) == 36
    assert data[:2] == b"\x05\x80"
    assert data[8:32] == b"SBRIDGE CD-ROM          "
    guest.packet([0x12, 1, 0x80, 0, 96])
    assert failed(guest) == (ILLEGAL, 0x24, 0x00)


def test_capacity(guest: IdeDriver) -> None:
    assert guest.packet([0x25]) == (1023).to_bytes(4, "big") + BLOCK.to_bytes(4, "big")


@pytest.mark.parametrize("make", [read_10, read_12])
@pytest.mark.parametrize(("first", "count"), [(0, 1), (1023, 1), (100, 200), (0, 1024)])
def test_reads(guest: IdeDriver, contents: MemoryDisk, make: Any, first: int, count: int) -> None:
    assert guest.packet(make(first, count)) == blocks(contents, first, count)
    assert guest.status() == 0x50


@pytest.mark.parametrize(
    "packet",
    [
        read_10(1024, 1),
        read_10(1023, 2),
        read_10(0xFFFF_FFFF, 0xFFFF),
        read_12(0xFFFF_FFFF, 0xFFFF_FFFF),
        read_12(1, 1024),
        read_10(1024, 0),
        [0x2B, 0, 0, 0, 4, 0],
        [READ_CD, 0, 0, 0, 4, 0, 0, 0, 1, 0xF8],
        [READ_CD, 0, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0x10],
    ],
)
def test_address_and_count_are_checked_together(bench: Bench, guest: IdeDriver, packet: list[int]) -> None:
    """CVE-2020-29443: a block number beyond the disc, or one whose count leads there."""
    assert guest.packet(packet) == b""
    assert failed(guest) == (ILLEGAL, 0x21, 0x00)


def test_reading_nothing_succeeds(guest: IdeDriver) -> None:
    for packet in (read_10(5, 0), read_12(5, 0), [0x2B, 0, 0, 0, 0, 5], [READ_CD, 0, 0, 0, 0, 5, 0, 0, 0, 0x10]):
        assert guest.packet(packet) == b""
        assert guest.read(7) == 0x50


def test_read_cd(guest: IdeDriver, contents: MemoryDisk) -> None:
    assert guest.packet([READ_CD, 0, 0, 0, 0, 7, 0, 0, 3, 0x10]) == blocks(contents, 7, 3)
    raw = guest.packet([READ_CD, 0, 0, 0, 0, 7, 0, 0, 3, 0xF8])
    assert len(raw) == 3 * 2352
    for index in range(3):
        block = raw[index * 2352 : (index + 1) * 2352]
        assert block[:12] == b"\0" + b"\xff" * 10 + b"\0"
        assert block[12:16] == bytes([0x00, 0x02, 0x07 + index, 0x01]), "minute, second, frame in BCD; mode 1"
        assert block[16 : 16 + BLOCK] == blocks(contents, 7 + index, 1)


@pytest.mark.parametrize("fields", [(0x04, 0x10, 0), (0x00, 0x40, 0), (0x00, 0x10, 1)])
def test_read_cd_of_what_is_not_there(guest: IdeDriver, fields: tuple[int, int, int]) -> None:
    kind, parts, subchannel = fields
    guest.packet([READ_CD, kind, 0, 0, 0, 7, 0, 0, 3, parts, subchannel])
    assert failed(guest) == (ILLEGAL, 0x24, 0x00)


def test_a_bad_block_is_found_among_good_ones(guest: IdeDriver, contents: MemoryDisk) -> None:
    contents.bad = {12 * BLOCK + 5}
    assert guest.packet(read_10(10, 20), limit=BLOCK) == blocks(contents, 10, 2)
    assert failed(guest) == (MEDIUM_ERROR, 0x11, 0x00)


@pytest.mark.parametrize(
    ("packet", "answer"),
    [
        ([0x43, 0, 0, 0, 0, 0, 1, 0, 20], "0012 0101 00140100 00000000 0014aa00 00000400"),
        ([0x43, 2, 0, 0, 0, 0, 1, 0, 20], "0012 0101 00140100 00000200 0014aa00 00000f31"),
        ([0x43, 0, 0, 0, 0, 0, 0xAA, 0, 20], "000a 0101 0014aa00 00000400"),
        ([0x43, 0, 1, 0, 0, 0, 0, 0, 20], "000a 0101 00140100 00000000"),
        ([0x43, 0, 0, 0, 0, 0, 0, 0, 20, 0x40], "000a 0101 00140100 00000000"),
        (
            [0x43, 0, 2, 0, 0, 0, 0, 0, 99],
            "002e 0101 011400a0 00000000 010000 011400a1 00000000 010000"
            "011400a2 00000000 000f31 01140001 00000000 000200",
        ),
        ([0x43, 0, 0, 0, 0, 0, 1, 0, 4], "0012 0101"),
    ],
)
def test_read_toc(guest: IdeDriver, packet: list[int], answer: str) -> None:
    assert guest.packet(packet) == bytes.fromhex(answer)


@pytest.mark.parametrize("packet", [[0x43, 0, 0, 0, 0, 0, 2, 0, 20], [0x43, 0, 5, 0, 0, 0, 0, 0, 20]])
def test_read_toc_of_what_is_not_there(guest: IdeDriver, packet: list[int]) -> None:
    guest.packet(packet)
    assert failed(guest) == (ILLEGAL, 0x24, 0x00)


@pytest.mark.parametrize("page", [0x01, 0x0D, 0x2A, 0x3F])
def test_mode_sense(guest: IdeDriver, page: int) -> None:
    long = guest.packet([0x5A, 0, page, 0, 0, 0, 0, 0, 128])
    short = guest.packet([0x1A, 0, page, 0, 128])
    assert int.from_bytes(long[:2], "big") == len(long) - 2
    assert short[0] == len(short) - 1
    assert long[8:] == short[4:]
    assert page in (0x3F, long[8])
    at = 8
    while at < len(long):
        at += 2 + long[at + 1]
    assert at == len(long), "the pages fill it exactly"


@pytest.mark.parametrize(("field", "code"), [(0x05, 0x24), (0xC1, 0x39)])
def test_mode_sense_of_what_is_not_there(guest: IdeDriver, field: int, code: int) -> None:
    guest.packet([0x5A, 0, field, 0, 0, 0, 0, 0, 128])
    assert failed(guest) == (ILLEGAL, code, 0x00)


def test_get_configuration(guest: IdeDriver) -> None:
    data = guest.packet([0x46, 0, 0, 0, 0, 0, 0, 2, 0])
    assert int.from_bytes(data[:4], "big") == len(data) - 4
    assert data[6:8] == b"\x00\x08", "a CD is in"
    features = []
    at = 8
    while at < len(data):
        features.append(int.from_bytes(data[at : at + 2], "big"))
        at += 4 + data[at + 3]
    assert at == len(data)
    assert features == [0x00, 0x01, 0x02, 0x03, 0x10, 0x1E, 0x1F]
    one = guest.packet([0x46, 2, 0, 0x10, 0, 0, 0, 2, 0])
    assert one[8:10] == b"\x00\x10"
    assert len(one) == 20
    current = guest.packet([0x46, 1, 0, 0x1E, 0, 0, 0, 2, 0])
    assert current[8:10] == b"\x00\x1e"
    assert len(current) == 16


def test_a_large_disc_is_a_dvd(bench: Bench, adapter: Any) -> None:
    image = MemoryDisk(bytes(BLOCK), writable=False)
    image.size = 4 << 30
    bench.plug("ide-cd", "dvd", drive=image, bus="ide.1")
    host = IdeDriver(bench, adapter, 1)
    assert host.packet([0x46, 0, 0, 0, 0, 0, 0, 0, 8])[6:8] == b"\x00\x10"


def test_other_information(guest: IdeDriver) -> None:
    assert guest.packet([0xBD, 0, 0, 0, 0, 0, 0, 0, 0, 8]) == bytes([0, 0, 0, 0, 0, 1, 0, 0])
    disc = guest.packet([0x51, 0, 0, 0, 0, 0, 0, 0, 34])
    assert (len(disc), disc[2], disc[3]) == (34, 0x0E, 1)


@pytest.mark.parametrize("packet", [[0x2A], [0x04], [0x15], [0xFF], [0xA1], [0x55]])
def test_unknown_packets_are_refused(guest: IdeDriver, packet: list[int]) -> None:
    guest.packet(packet)
    assert failed(guest) == (ILLEGAL, 0x20, 0x00)


# --- the disc ---


@pytest.mark.parametrize(
    "packet",
    [
        [0x00],
        [0x25],
        read_10(0, 1),
        read_12(0, 0),
        [0x2B],
        [0x43, 0, 0, 0, 0, 0, 0, 0, 20],
        [0x51],
        [READ_CD, 0, 0, 0, 0, 0, 0, 0, 1, 0x10],
    ],
)
def test_an_empty_drive_is_not_ready(bench: Bench, adapter: Any, packet: list[int]) -> None:
    bench.plug("ide-cd")
    host = IdeDriver(bench, adapter)
    sense(host)
    host.packet(packet)
    assert failed(host) == (NOT_READY, 0x3A, 0x00)


def event(host: IdeDriver) -> tuple[int, int]:
    """Media event, and media status."""
    data = host.packet([0x4A, 1, 0, 0, 0x10, 0, 0, 0, 8])
    assert data[:4] == bytes([0, 6, 4, 0x10])
    return data[4], data[5]


def test_the_guest_ejects_and_loads(guest: IdeDriver) -> None:
    guest.packet([0x1B, 0, 0, 0, 0x02])
    assert event(guest) == (3, 1), "removed; the tray is open"
    assert event(guest) == (0, 1), "reported once"
    guest.packet([0x00])
    assert failed(guest) == (NOT_READY, 0x3A, 0x00)
    guest.packet([0x1B, 0, 0, 0, 0x03])
    assert event(guest) == (2, 2)
    guest.packet([0x00])
    assert failed(guest) == (ATTENTION, 0x28, 0x00)
    guest.packet([0x00])
    assert guest.status() == 0x50


def test_a_locked_tray_stays_shut(guest: IdeDriver, cdrom: Any) -> None:
    guest.packet([0x1E, 0, 0, 0, 1])
    guest.packet([0x1B, 0, 0, 0, 0x02])
    assert failed(guest) == (ILLEGAL, 0x53, 0x02)
    assert not cdrom.tray_open
    guest.packet([0x1E, 0, 0, 0, 0])
    guest.packet([0x1B, 0, 0, 0, 0x02])
    assert cdrom.tray_open


def test_starting_and_stopping_moves_no_tray(guest: IdeDriver, cdrom: Any) -> None:
    for action in (0, 1):
        guest.packet([0x1B, 0, 0, 0, action])
        assert guest.status() == 0x50
    assert not cdrom.tray_open


def test_events_of_other_classes_and_asynchronous_ones(guest: IdeDriver) -> None:
    assert guest.packet([0x4A, 1, 0, 0, 0x02, 0, 0, 0, 8]) == bytes([0, 2, 0x80, 0x10])
    guest.packet([0x4A, 0, 0, 0, 0x10, 0, 0, 0, 8])
    assert failed(guest) == (ILLEGAL, 0x24, 0x00)


def test_the_host_changes_the_disc(bench: Bench, guest: IdeDriver, cdrom: Any) -> None:
    with bench.machine.lock:
        cdrom.change_medium(MemoryDisk(b"\x77" * 8 * BLOCK, writable=False))
    assert event(guest) == (2, 2)
    guest.packet(read_10(0, 1))
    assert failed(guest) == (ATTENTION, 0x28, 0x00)
    assert guest.packet([0x25])[:4] == (7).to_bytes(4, "big")
    assert guest.packet(read_10(7, 1)) == b"\x77" * BLOCK
    with bench.machine.lock:
        cdrom.change_medium(None)
    assert event(guest) == (3, 0)
    guest.packet(read_10(0, 1))
    assert failed(guest) == (NOT_READY, 0x3A, 0x00)


@pytest.mark.parametrize("words", [0, 100])
@pytest.mark.parametrize("new", [True, False])
def test_the_disc_goes_in_the_middle_of_a_read(
    bench: Bench, guest: IdeDriver, cdrom: Any, words: int, new: bool
) -> None:
    """No byte of the new disc is given for the old one's."""
    guest.issue(0xA0, lba=BLOCK << 8)
    packet = bytes(read_10(0, 1000)).ljust(12, b"\0")
    for at in range(0, 12, 2):
        bench.machine.ports.write(0x1F0, 2, int.from_bytes(packet[at : at + 2], "little"))
    if words:
        guest.wait()
        guest.read_block(2 * words)
    with bench.machine.lock:
        cdrom.change_medium(MemoryDisk(bytes(1000 * BLOCK), writable=False) if new else None)
    assert guest.wait() & (ERR | DRQ) == ERR
    assert bench.irq(14)
    assert failed(guest) == (NOT_READY, 0x3A, 0x00)


# --- what a guest must not do ---


def test_pio_stays_within_the_buffer(bench: Bench, guest: IdeDriver) -> None:
    """CVE-2015-5154: the data register beyond a packet's end, and beyond a reply's."""
    guest.issue(0xA0, lba=BLOCK << 8)
    for word in (0x12, 0x0000, 0x0024, 0, 0, 0, 0xDEAD, 0xBEEF):
        bench.write_port(0x1F0, word, 2)
    data = guest.read_block(36)
    assert data[:2] == b"\x05\x80"
    assert guest.read_block(64) == b"\xff" * 64
    assert guest.status() == 0x50
    assert len(bench.guest_errors) == 34


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(packet=st.binary(min_size=12, max_size=12), limit=st.integers(0, 0xFFFF), dma=st.booleans(), known=st.booleans())
def test_no_packet_does_harm(bench: Bench, guest: IdeDriver, packet: bytes, limit: int, dma: bool, known: bool) -> None:
    codes = bytes(
        [0x00, 0x03, 0x12, 0x1A, 0x1B, 0x1E, 0x25, 0x28, 0x2B, 0x43, 0x46, 0x4A, 0x51, 0x5A, 0xA8, 0xBD, 0xBE]
    )
    if known:
        packet = codes[packet[0] % len(codes) :][:1] + packet[1:]
    guest.send_packet(packet, limit=limit, dma=dma)
    status = guest.wait()
    assert not status & 0x80
    if status & DRQ and not dma:
        guest.read_block(min(4096, guest.read(4) | guest.read(5) << 8))
    guest.write(7, 0x08)
    assert guest.status() == 0x00
