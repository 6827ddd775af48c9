"""The floppy disk controller, driven through its ports; what it must not do, by the faults of others."""

from __future__ import annotations

from random import Random

import pytest
from southbridge import SouthbridgeError
from southbridge.plugins.fdc.formats import FORMATS, Format, format_of
from southbridge.testing import Bench
from southbridge.testing.ide import MemoryDisk

from tests.plugins.fdc.controller import BUFFER, BUSY, DIO, DOR, FIFO, LAST, MSR, NON_DMA, RQM, Controller

SIZE = 1_474_560
READ, WRITE, VERIFY, FORMAT, READ_TRACK = 0xE6, 0xC5, 0xF6, 0x4D, 0x42
ONE_SIDE = 0x46
"""READ DATA without MT."""


def place(track: int, head: int, sector: int) -> int:
    return ((track * 2 + head) * 18 + sector - 1) * 512


@pytest.fixture
def disk() -> MemoryDisk:
    return MemoryDisk(Random("floppy").randbytes(SIZE))


@pytest.fixture
def floppy(bench: Bench, disk: MemoryDisk) -> Controller:
    return Controller(bench, disk)


# --- moving data -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("code", "where", "sectors", "after"),
    [
        (READ, (0, 0, 1), 1, [0, 0, 2]),
        (READ, (0, 0, 18), 1, [0, 1, 1]),
        (READ, (3, 0, 17), 4, [3, 1, 3]),
        (READ, (79, 1, 18), 1, [80, 0, 1]),
        (ONE_SIDE, (3, 1, 10), 9, [4, 1, 1]),
        (READ_TRACK, (5, 0, 1), 18, [6, 0, 1]),
    ],
)
def test_reading(
    bench: Bench,
    floppy: Controller,
    disk: MemoryDisk,
    code: int,
    where: tuple[int, int, int],
    sectors: int,
    after: list[int],
) -> None:
    """Until the DMA controller says that it is enough; the result says which sector would come next."""
    floppy.seek(where[0])
    result, data = floppy.read(code, *where, sectors * 512)
    start = place(*where)
    assert data == disk.data[start : start + sectors * 512]
    assert result == [after[1] << 2, 0, 0, *after, 2]
    assert not bench.irq(6)


def test_writing(floppy: Controller, disk: MemoryDisk) -> None:
    """The rest of a sector that isn't written whole is zeros."""
    data = Random(1).randbytes(1300)
    floppy.seek(40)
    assert floppy.write(WRITE, 40, 0, 18, data) == [4, 0, 0, 40, 1, 3, 2]
    start = place(40, 0, 18)
    assert disk.data[start : start + 1536] == data.ljust(1536, b"\0")
    assert disk.data[start + 1536 : start + 2048] == Random("floppy").randbytes(SIZE)[start + 1536 : start + 2048]


@pytest.mark.parametrize(("last", "status1"), [(18, 0x80), (30, 0x04)])
def test_without_an_end_it_looks_for_one_more(floppy: Controller, last: int, status1: int) -> None:
    """The end of the cylinder; or a sector that isn't there."""
    result, _ = floppy.read(ONE_SIDE, 0, 0, 17, 4096, last)
    assert result[:2] == [0x40, status1]


def test_without_dma(bench: Bench, floppy: Controller, disk: MemoryDisk) -> None:
    floppy.send(0x03, 0xAF, 0x03)
    floppy.send(ONE_SIDE, 0, 0, 0, 17, 2, 18, 0x1B, 0xFF)
    data = bytearray()
    while floppy.status() & NON_DMA:
        assert floppy.status() == RQM | DIO | NON_DMA | BUSY
        assert bench.irq(6)
        data.append(bench.read_port(FIFO))
    assert data == disk.data[16 * 512 : 18 * 512]
    assert floppy.result() == [0x40, 0x80, 0, 1, 0, 1, 2]
    floppy.send(0x45, 0, 0, 0, 18, 2, 18, 0x1B, 0xFF)
    for value in range(512):
        assert floppy.status() == RQM | NON_DMA | BUSY
        bench.write_port(FIFO, value & 0xFF)
    assert floppy.result()[:2] == [0x40, 0x80]
    assert disk.data[17 * 512 : 18 * 512] == bytes(range(256)) * 2


def test_formatting(bench: Bench, floppy: Controller, disk: MemoryDisk) -> None:
    """Sectors in any order; those that the image has no room for are nowhere."""
    floppy.seek(7)
    ids = b"".join(bytes([7, 1, sector, 2]) for sector in (*range(18, 0, -1), 19))
    bench.write_memory(BUFFER, ids)
    floppy.program_dma(0x4A, len(ids))
    assert floppy.ask(FORMAT, 4, 2, 19, 0x54, 0xF6)[:3] == [4, 0, 0]
    start = place(7, 1, 1)
    assert disk.data[start : start + 18 * 512] == b"\xf6" * 18 * 512
    assert disk.data[start - 1] == Random("floppy").randbytes(SIZE)[start - 1]
    assert disk.data[start + 18 * 512] == Random("floppy").randbytes(SIZE)[start + 18 * 512]


def test_verifying(floppy: Controller, disk: MemoryDisk) -> None:
    assert floppy.ask(0x56, 0, 0, 0, 1, 2, 18, 0x1B, 0xFF) == [0, 0, 0, 1, 0, 1, 2]
    assert floppy.ask(0x56, 0x80, 0, 0, 3, 2, 18, 0x1B, 4) == [0, 0, 0, 0, 0, 7, 2]
    disk.bad = {place(0, 0, 5)}
    assert floppy.ask(0x56, 0, 0, 0, 1, 2, 18, 0x1B, 0xFF) == [0x40, 0x20, 0x20, 0, 0, 5, 2]


@pytest.mark.parametrize(
    ("code", "change", "status2"),
    [(0x51, 0, 8), (0x51, 1, 4), (0x59, 1, 0), (0x59, -1, 4), (0x5D, -1, 0), (0x5D, 1, 4), (0x59, 0, 8)],
)
def test_scanning(floppy: Controller, disk: MemoryDisk, code: int, change: int, status2: int) -> None:
    """Equal, low or equal, high or equal; a byte of ones is any."""
    disk.data[:512] = bytes([100]) * 511 + b"\xff"
    wanted = bytes([100] * 510 + [100 + change, 7])
    assert floppy.write(code, 0, 0, 1, wanted)[:3] == [0, 0, status2]


def test_a_sector_that_cannot_be_read(floppy: Controller, disk: MemoryDisk) -> None:
    """What is before it comes."""
    disk.bad = {place(0, 0, 3) + 9}
    result, data = floppy.read(ONE_SIDE, 0, 0, 1, 4 * 512)
    assert result == [0x40, 0x20, 0x20, 0, 0, 3, 2]
    assert data == disk.data[:1024] + bytes(1024)
    assert floppy.read(ONE_SIDE, 0, 0, 1, 2 * 512)[0][:3] == [0, 0, 0]


@pytest.mark.parametrize(
    ("command", "statuses"),
    [
        ((ONE_SIDE, 1, 0, 0, 1, 2, 18, 0, 0), [0x41, 0x01, 0]),
        ((ONE_SIDE, 0, 5, 0, 1, 2, 18, 0, 0), [0x40, 0x04, 0x10]),
        ((ONE_SIDE, 0, 0, 1, 1, 2, 18, 0, 0), [0x40, 0x04, 0]),
        ((ONE_SIDE, 0, 0, 0, 19, 2, 19, 0, 0), [0x40, 0x04, 0]),
        ((ONE_SIDE, 0, 0, 0, 1, 3, 18, 0, 0), [0x40, 0x04, 0]),
        ((0x06, 0, 0, 0, 1, 2, 18, 0, 0), [0x40, 0x01, 0]),
        ((0x4C, 0, 0, 0, 1, 2, 18, 0, 0), [0x40, 0x04, 0x40]),
    ],
)
def test_what_is_not_on_the_disk(floppy: Controller, command: tuple[int, ...], statuses: list[int]) -> None:
    """No drive, another track, side or size, no such sector, FM instead of MFM, deleted sectors."""
    assert floppy.ask(*command)[:3] == statuses


def test_another_data_rate(floppy: Controller, bench: Bench) -> None:
    bench.write_port(LAST, 2)
    assert floppy.read(READ, 0, 0, 1, 512)[0][:2] == [0x40, 0x01]
    assert floppy.ask(0x4A, 0)[:2] == [0x40, 0x01]


def test_a_protected_disk(bench: Bench) -> None:
    floppy = Controller(bench, MemoryDisk(bytes(SIZE), writable=False))
    assert floppy.write(WRITE, 0, 0, 1, bytes(512))[:2] == [0x40, 0x02]
    assert floppy.ask(0x04, 0) == [0x78]


# --- the other commands ------------------------------------------------------------------------------------------


def test_heads_move(bench: Bench, floppy: Controller) -> None:
    assert floppy.seek(20) == [0x20, 20]
    assert floppy.ask(0x04, 0) == [0x28]
    floppy.send(0xCF, 0, 5)
    assert floppy.ask(0x08) == [0x20, 25]
    floppy.send(0x8F, 0, 24)
    assert floppy.ask(0x08) == [0x20, 1]
    floppy.send(0x07, 0)
    assert floppy.ask(0x08) == [0x20, 0]
    assert floppy.ask(0x04, 0) == [0x38]
    floppy.send(0x07, 2)
    assert floppy.ask(0x08) == [0x72, 0]
    assert floppy.ask(0x08) == [0x80]


def test_sectors_that_go_by(floppy: Controller) -> None:
    floppy.seek(3)
    assert [floppy.ask(0x4A, 4) for _ in range(2)] == [[4, 0, 0, 3, 1, 1, 2], [4, 0, 0, 3, 1, 2, 2]]


def test_settings_and_what_a_reset_keeps(bench: Bench, floppy: Controller) -> None:
    assert floppy.ask(0x10) == [0x90]
    floppy.send(0x03, 0xDF, 0x02)
    floppy.send(0x13, 0, 0x57, 0x0A)
    floppy.send(0x12, 0x8F)
    floppy.seek(9)
    assert floppy.ask(0x0E) == [9, 0, 0, 0, 0xDF, 0x02, 0, 0x0F, 0x57, 0x0A]
    assert floppy.ask(0x94) == [0x10]
    bench.write_port(DOR, 0x08)
    assert floppy.status() == 0
    bench.write_port(DOR, 0x0C)
    assert floppy.ask(0x0E) == [0, 0, 0, 0, 0xDF, 0x02, 0, 0x8C, 0x47, 0x0A]
    assert floppy.ask(0x14) == [0]
    bench.write_port(MSR, 0x80)
    assert floppy.ask(0x0E)[8:] == [0x60, 0]


def test_after_a_reset_the_drives_are_polled(bench: Bench, floppy: Controller) -> None:
    bench.write_port(DOR, 0x00)
    bench.write_port(DOR, 0x0C)
    assert bench.irq(6)
    assert [floppy.ask(0x08)[0] for _ in range(5)] == [0xC0, 0xC1, 0xC2, 0xC3, 0x80]
    assert not bench.irq(6)


def test_implied_seek(floppy: Controller, disk: MemoryDisk) -> None:
    floppy.send(0x13, 0, 0x57, 0)
    result, data = floppy.read(READ, 33, 1, 2, 512)
    assert result[:3] == [4, 0, 0]
    assert data == disk.data[place(33, 1, 2) : place(33, 1, 3)]


def test_the_interrupt_is_gated(bench: Bench, floppy: Controller) -> None:
    bench.write_port(DOR, 0x04)
    floppy.send(0x0F, 0, 1)
    assert not bench.irq(6)
    bench.write_port(DOR, 0x0C)
    assert bench.irq(6)


# --- disks -------------------------------------------------------------------------------------------------------


def test_a_disk_is_changed(bench: Bench, floppy: Controller, disk: MemoryDisk) -> None:
    """DSKCHG stays until the head steps with a disk in the drive."""
    floppy.seek(1)
    assert bench.read_port(LAST) == 0
    floppy.drive.change_medium(None)
    assert bench.read_port(LAST) == 0x80
    floppy.seek(2)
    assert bench.read_port(LAST) == 0x80
    assert floppy.read(READ, 2, 0, 1, 512)[0][:2] == [0x40, 0x01]
    floppy.drive.change_medium(MemoryDisk(b"new!" * (SIZE // 4)))
    assert bench.read_port(LAST) == 0x80
    floppy.seek(2)
    assert bench.read_port(LAST) == 0x80
    floppy.seek(3)
    assert bench.read_port(LAST) == 0
    assert floppy.read(READ, 3, 0, 1, 512)[1] == b"new!" * 128


@pytest.mark.parametrize("form", FORMATS, ids=lambda form: f"{form.size >> 10}K")
def test_formats(bench: Bench, form: Format) -> None:
    """The last sector of each, and that there is none behind it."""
    tracks, heads, sectors, rates, drive = form
    floppy = Controller(bench, MemoryDisk(bytes(form.size - 4) + b"last"), rate=rates[0])
    assert floppy.drive.kind == drive
    floppy.seek(tracks - 1)
    result, data = floppy.read(ONE_SIDE, tracks - 1, heads - 1, sectors, 512, sectors)
    assert result[0] & 0xC0 == 0
    assert data[-4:] == b"last"
    assert floppy.read(ONE_SIDE, tracks - 1, heads - 1, sectors + 1, 512, sectors + 1)[0][1] == 0x04


def test_images_of_other_sizes(bench: Bench) -> None:
    assert format_of(5120, "144").size == SIZE
    floppy = Controller(bench, MemoryDisk(b"x" * 1024), drive_type="144")
    assert floppy.read(READ, 0, 0, 2, 1024)[1] == b"x" * 512 + bytes(512)
    with pytest.raises(SouthbridgeError, match="more than any floppy disk has"):
        bench.plug("floppy", "b", drive=MemoryDisk(bytes(4 << 20)))


@pytest.mark.parametrize(("kind", "code"), [("120", 2), ("144", 4), ("288", 5), ("auto", 5)])
def test_what_firmware_is_told(bench: Bench, kind: str, code: int) -> None:
    Controller(bench, None, drive_type=kind)
    assert bench.machine.firmware_config.floppy_drives == {0: code}


# --- faults of others --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("code", [0x8E, 0x4A, 0x0A])
def test_venom_cve_2015_3456_commands_have_their_length(bench: Bench, floppy: Controller, code: int) -> None:
    """DRIVE SPECIFICATION, of later controllers, isn't one here; READ ID takes one byte: what else comes is refused."""
    for _ in range(2000):
        bench.write_port(FIFO, code)
    assert len(floppy.fdc.command) <= 9
    assert len(floppy.fdc.result) <= 10
    assert len(floppy.fdc.transfer.data) <= 1 << 16
    assert bench.guest_errors
    floppy.result()
    assert floppy.seek(1) == [0x20, 1]


def test_cve_2021_20196_a_drive_that_is_not_there(bench: Bench, floppy: Controller) -> None:
    for unit in range(4):
        for command in ((READ, unit, 0, 0, 1, 2, 18, 0, 0), (0x4D, unit, 2, 18, 0, 0), (0x4A, unit)):
            if unit:
                assert floppy.ask(*command)[0] & 0xC0 == 0x40
    assert floppy.seek(1) == [0x20, 1]


def test_cve_2021_3507_a_transfer_ends_with_the_track(floppy: Controller) -> None:
    """However much the DMA channel would take."""
    result, data = floppy.read(READ, 0, 0, 18, 0x1_0000, 18)
    assert result[:2] == [0x40, 0x80]
    assert data[19 * 512 :] == bytes(0x1_0000 - 19 * 512)


def test_no_floppy_disk_controller_is_there_unless_described(bench: Bench) -> None:
    assert [bench.read_port(port) for port in (DOR, MSR, FIFO)] == [0xFF] * 3


# --- saved state -------------------------------------------------------------------------------------------------


def test_a_transfer_goes_on_after_a_restore(bench: Bench, floppy: Controller, disk: MemoryDisk) -> None:
    floppy.program_dma(0x46, 1024)
    bench.write_port(0x0A, 6)
    floppy.send(READ, 0, 0, 0, 1, 2, 18, 0x1B, 0xFF)
    states = {device: device.save() for device in (floppy.fdc, floppy.drive, bench.machine.devices["dma"])}
    for device in states:
        device.reset()
    for device, state in states.items():
        device.load(state)
    bench.executor.run_all()
    bench.write_port(0x0A, 2)
    assert floppy.result() == [0, 0, 0, 0, 0, 3, 2]
    assert bench.read_memory(BUFFER, 1024) == disk.data[:1024]
