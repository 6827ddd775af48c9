"""Firmware boots a floppy disk, and reads and writes it by int 13h."""

from __future__ import annotations

import sysconfig
from pathlib import Path

from tests.guests.build import GUESTS, assemble
from tests.guests.conversation import talk

PROGRAM = Path(sysconfig.get_path("scripts"), "southbridge-system-x86_64")
SIZE, SECTOR = 1_474_560, 512
GREETING = b"what the last sector says"


def test_a_boot_sector_reads_and_writes(images: Path, tmp_path: Path) -> None:
    boot = assemble(GUESTS / "floppy" / "boot.asm", images).read_bytes()
    disk = tmp_path / "floppy.img"
    disk.write_bytes(boot.ljust(SIZE - SECTOR, b"\0") + GREETING.ljust(SECTOR, b"\0"))
    options = ["-nodefaults", "-accel", "tcg", "-fda", str(disk), "-boot", "a", "-serial", "stdio", "-display", "none"]
    result = talk([PROGRAM, *options, "-device", "isa-debug-exit"], timeout_s=120)
    assert GREETING in result.output
    assert result.status == 1
    assert disk.read_bytes()[SECTOR : 2 * SECTOR] == GREETING.ljust(SECTOR, b"\0")
