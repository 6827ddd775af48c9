"""PIIX3 IDE (Intel 82371SB, 290550) with a disk and a CD-ROM drive (ATA/ATAPI-4, SFF-8020i)."""

from __future__ import annotations

import struct
import time
from pathlib import Path
from random import Random
from typing import Any, cast

import pytest
from southbridge.testing.ide import BSY, DRQ, ERR, IdeDriver

from tests.qtest.conftest import Start
from tests.qtest.machines import PATIENCE, Pc

FUNCTION = (1, 1)
BUS_MASTER = 0xC000
SECTORS = 256
LAST = 0x8000_0000


class Ide(IdeDriver):
    """A channel of the PC's."""

    def __init__(self, pc: Pc, channel: int = 0) -> None:
        self.bench = cast(Any, pc)
        self.base, self.control, self.irq = ((0x1F0, 0x3F6, 14), (0x170, 0x376, 15))[channel]
        self.master = BUS_MASTER + 8 * channel
        for register in (0x40, 0x42):
            pc.config_write(*FUNCTION, register, 2, 0x8000)
        pc.config_write(*FUNCTION, 0x20, 4, BUS_MASTER)
        pc.config_write(*FUNCTION, 0x04, 2, 0x5)

    def wait(self) -> int:
        """Alternate status, once the drive isn't busy: it works on the host's time."""
        end = time.monotonic() + PATIENCE
        while (status := self.status()) & BSY:
            assert time.monotonic() < end, "the drive stays busy"
        return status

    def wait_dma(self) -> int:
        """The bus master's status, once it has finished; it is stopped then."""
        pc = cast(Pc, self.bench)
        pc.soon(lambda: pc.read_port(self.master + 2) & 0x05 != 0x01)
        self.wait()
        return self.stop()


@pytest.fixture
def contents(tmp_path: Path) -> bytes:
    data = Random("disk").randbytes(512 * SECTORS)
    (tmp_path / "disk").write_bytes(data)
    return data


@pytest.fixture
def pc(start: Start, tmp_path: Path, contents: bytes) -> Pc:
    (tmp_path / "disc").write_bytes(contents)
    return start(tmp_path / "disk", tmp_path / "disc")


def test_identify(pc: Pc) -> None:
    ide = Ide(pc)
    ide.issue(0xEC)
    words = struct.unpack("<256H", ide.read_all())
    assert words[0] & 0x8000 == 0
    assert words[60] | words[61] << 16 == SECTORS
    assert words[49] & 0x0300 == 0x0300
    assert ide.read(7) & (BSY | DRQ | ERR) == 0


def test_sectors_by_pio(pc: Pc, contents: bytes, tmp_path: Path) -> None:
    ide = Ide(pc)
    pc.intercept("ioapic")
    ide.issue(0x20, 3, 4)
    ide.wait()
    assert pc.irq(14)
    assert ide.read_all() == contents[3 * 512 : 7 * 512]
    assert not pc.irq(14)
    ide.issue(0x30, 10, 2)
    ide.write_all(b"written" * 146 + b"..")
    assert ide.read(7) & ERR == 0
    ide.run(0xE7)
    assert (tmp_path / "disk").read_bytes()[10 * 512 :].startswith(b"written" * 146 + b"..")


def test_a_sector_behind_the_end(pc: Pc) -> None:
    ide = Ide(pc)
    found = ide.run(0x20, SECTORS, 1)
    assert found.status & (ERR | DRQ) == ERR
    assert found.error & 0x14


def test_an_unknown_command(pc: Pc) -> None:
    found = Ide(pc).run(0xFF)
    assert found.status & ERR
    assert found.error == 0x04


def test_the_signature_after_a_reset(pc: Pc) -> None:
    for channel, signature in ((0, (1, 1, 0, 0)), (1, (1, 1, 0x14, 0xEB))):
        ide = Ide(pc, channel)
        ide.reset()
        assert tuple(ide.read(register) for register in (2, 3, 4, 5)) == signature


def test_nobody_is_the_second_drive(pc: Pc) -> None:
    ide = Ide(pc)
    ide.write(6, 0xB0)
    assert ide.read(7) == 0


def test_dma_scatters(pc: Pc, contents: bytes) -> None:
    ide = Ide(pc)
    pc.intercept("ioapic")
    ide.write_table([(0x1_0000, 512), (0x2_0100, 1024 | LAST)])
    ide.issue(0xC8, 5, 3)
    ide.start(to_memory=True)
    assert ide.wait_dma() & 0x07 == 0x04
    assert pc.irq(14)
    assert ide.read(7) & ERR == 0
    assert pc.read_memory(0x1_0000, 512) + pc.read_memory(0x2_0100, 1024) == contents[5 * 512 : 8 * 512]


def test_dma_gathers(pc: Pc, tmp_path: Path) -> None:
    ide = Ide(pc)
    data = Random("written").randbytes(1024)
    pc.write_memory(0x1_0000, data[:512])
    pc.write_memory(0x2_0000, data[512:])
    ide.write_table([(0x1_0000, 512), (0x2_0000, 512 | LAST)])
    ide.issue(0xCA, 20, 2)
    ide.start(to_memory=False)
    assert ide.wait_dma() & 0x07 == 0x04
    ide.run(0xE7)
    assert (tmp_path / "disk").read_bytes()[20 * 512 : 22 * 512] == data


def test_a_table_that_is_too_long_leaves_the_bus_master_active(pc: Pc, contents: bytes) -> None:
    ide = Ide(pc)
    ide.write_table([(0x1_0000, 512), (0x2_0000, 1024 | LAST)])
    ide.issue(0xC8, 5, 1)
    ide.start(to_memory=True)
    pc.soon(lambda: bool(pc.read_port(ide.master + 2) & 0x04))
    assert ide.stop() & 0x05 == 0x05
    assert pc.read_memory(0x1_0000, 512) == contents[5 * 512 : 6 * 512]


# --- packets ------------------------------------------------------------------------------------------------------


def test_packet_identification(pc: Pc) -> None:
    ide = Ide(pc, 1)
    assert ide.run(0xEC).error & 0x04
    ide.issue(0xA1)
    words = struct.unpack("<256H", ide.read_all())
    assert words[0] >> 14 == 2
    assert words[0] >> 8 & 0x1F == 5


def ready(ide: Ide) -> None:
    """Takes the unit attention that a medium begins with."""
    while True:
        ide.send_packet([0x00])
        ide.wait()
        if not ide.read(7) & ERR:
            return
        ide.packet([0x03, 0, 0, 0, 18])


def test_inquiry(pc: Pc) -> None:
    data = Ide(pc, 1).packet([0x12, 0, 0, 0, 36])
    assert len(data) == 36
    assert (data[0], data[1]) == (0x05, 0x80)


def test_capacity_and_blocks(pc: Pc, contents: bytes) -> None:
    ide = Ide(pc, 1)
    ready(ide)
    assert ide.packet([0x25]) == struct.pack(">II", SECTORS // 4 - 1, 2048)
    assert ide.packet([0x28, 0, 0, 0, 0, 3, 0, 0, 2, 0]) == contents[3 * 2048 : 5 * 2048]


def test_a_packet_s_error_and_its_sense(pc: Pc) -> None:
    ide = Ide(pc, 1)
    ready(ide)
    ide.send_packet([0x28, 0, 0, 1, 0, 0, 0, 0, 1, 0])
    ide.wait()
    assert ide.read(7) & ERR
    assert ide.read(1) >> 4 == 5
    sense = ide.packet([0x03, 0, 0, 0, 18])
    assert (sense[0] & 0x7F, sense[2] & 0xF, sense[12]) == (0x70, 5, 0x21)


def test_blocks_by_dma(pc: Pc, contents: bytes) -> None:
    ide = Ide(pc, 1)
    ready(ide)
    ide.write_table([(0x1_0000, 2048), (0x3_0000, 2048 | LAST)])
    ide.send_packet([0x28, 0, 0, 0, 0, 5, 0, 0, 2, 0], dma=True)
    ide.start(to_memory=True)
    assert ide.wait_dma() & 0x07 == 0x04
    assert pc.read_memory(0x1_0000, 2048) + pc.read_memory(0x3_0000, 2048) == contents[5 * 2048 : 7 * 2048]
