"""The floppy disk controller (Intel 82077AA, 290166) and its DMA channel (8237A, 231466)."""

from __future__ import annotations

from pathlib import Path
from random import Random

import pytest

from tests.qtest.conftest import Start
from tests.qtest.machines import Pc

DOR, MSR, FIFO, LAST = 0x3F2, 0x3F4, 0x3F5, 0x3F7
RQM, DIO, BUSY = 0x80, 0x40, 0x10
SIZE, TRACK = 1_474_560, 18 * 512
BUFFER = 0x2_0000
TO_MEMORY, FROM_MEMORY = 0x46, 0x4A


@pytest.fixture
def image(tmp_path: Path) -> Path:
    path = tmp_path / "floppy.img"
    path.write_bytes(Random("floppy").randbytes(SIZE))
    return path


@pytest.fixture
def pc(start: Start, image: Path) -> Pc:
    """One with a disk in drive A, its controller reset and its data rate set."""
    pc = start(floppy=image)
    pc.write_port(DOR, 0x00)
    pc.write_port(DOR, 0x1C)
    assert [ask(pc, 0x08)[0] for _ in range(4)] == [0xC0, 0xC1, 0xC2, 0xC3]
    pc.write_port(LAST, 0)
    return pc


def send(pc: Pc, *command: int) -> None:
    for value in command:
        pc.until(lambda: pc.read_port(MSR) & (RQM | DIO) == RQM)
        pc.write_port(FIFO, value)


def ask(pc: Pc, *command: int) -> list[int]:
    """A command and its result."""
    send(pc, *command)
    pc.until(lambda: pc.read_port(MSR) & (RQM | DIO | BUSY) == RQM | DIO | BUSY)
    found = []
    while pc.read_port(MSR) & (RQM | DIO | BUSY) == RQM | DIO | BUSY:
        found.append(pc.read_port(FIFO))
    return found


def seek(pc: Pc, track: int) -> list[int]:
    send(pc, 0x0F, 0, track)
    return ask(pc, 0x08)


def program_dma(pc: Pc, mode: int, length: int) -> None:
    for port, value in (
        *((0x0A, 6), (0x0C, 0), (0x0B, mode), (0x04, BUFFER & 0xFF), (0x04, BUFFER >> 8 & 0xFF), (0x81, BUFFER >> 16)),
        *((0x05, (length - 1) & 0xFF), (0x05, (length - 1) >> 8), (0xD6, 0xC0), (0xD4, 0), (0x0A, 2)),
    ):
        pc.write_port(port, value)


def test_heads_move(pc: Pc) -> None:
    assert seek(pc, 20) == [0x20, 20]
    assert ask(pc, 0x04, 0)[0] & 0x10 == 0
    send(pc, 0x07, 0)
    assert ask(pc, 0x08) == [0x20, 0]
    assert ask(pc, 0x04, 0)[0] & 0x10 == 0x10
    assert ask(pc, 0x08) == [0x80]
    assert pc.read_port(LAST) & 0x80 == 0


def test_a_track_is_read_and_another_one_written(pc: Pc, image: Path) -> None:
    before = image.read_bytes()
    seek(pc, 30)
    program_dma(pc, TO_MEMORY, TRACK)
    assert ask(pc, 0xE6, 0, 30, 0, 1, 2, 18, 0x1B, 0xFF) == [4, 0, 0, 30, 1, 1, 2]
    assert pc.read_memory(BUFFER, TRACK) == before[60 * TRACK : 61 * TRACK]
    seek(pc, 31)
    program_dma(pc, FROM_MEMORY, TRACK)
    assert ask(pc, 0xC5, 0, 31, 0, 1, 2, 18, 0x1B, 0xFF) == [4, 0, 0, 31, 1, 1, 2]
    pc.soon(lambda: image.read_bytes()[62 * TRACK : 63 * TRACK] == before[60 * TRACK : 61 * TRACK])
    assert pc.read_port(0x08) & 0x04 == 0x04


def test_versions_and_invalid_commands(pc: Pc) -> None:
    assert ask(pc, 0x10) == [0x90]
    assert ask(pc, 0x1F) == [0x80]
    assert ask(pc, 0x94) == [0x10]
    assert ask(pc, 0x14) == [0x00]


def test_without_a_disk(start: Start) -> None:
    """The firmware's memory has the drive's type, which is there whatever is in it."""
    pc = start()
    pc.write_port(0x70, 0x10)
    assert pc.read_port(0x71) == 0


def test_a_transfer_that_no_channel_ends(pc: Pc) -> None:
    """The controller looks for one sector more, and finds the cylinder's end; QEMU's is done."""
    program_dma(pc, TO_MEMORY, 2 * TRACK)
    assert ask(pc, 0x46, 0, 0, 0, 17, 2, 18, 0x1B, 0xFF)[:2] == ([0x40, 0x80] if pc.ours else [0x20, 0])
