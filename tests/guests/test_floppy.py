"""Firmware boots a floppy disk, and reads and writes it by int 13h; GRUB comes from one and reads all of it."""

from __future__ import annotations

import sysconfig
import zlib
from pathlib import Path

from tests.guests.build import GUESTS, assemble, grub_floppy_image
from tests.guests.conversation import plain, talk
from tests.guests.expect import HELLO_TEXT

PROGRAM = Path(sysconfig.get_path("scripts"), "southbridge-system-x86_64")
SIZE, SECTOR = 1_474_560, 512
GREETING = b"what the last sector says"


def boots(disk: Path) -> list[str]:
    options = ["-nodefaults", "-accel", "tcg", "-fda", str(disk), "-boot", "a", "-serial", "stdio", "-display", "none"]
    return [str(PROGRAM), *options]


def test_a_boot_sector_reads_and_writes(images: Path, tmp_path: Path) -> None:
    boot = assemble(GUESTS / "floppy" / "boot.asm", images).read_bytes()
    disk = tmp_path / "floppy.img"
    disk.write_bytes(boot.ljust(SIZE - SECTOR, b"\0") + GREETING.ljust(SECTOR, b"\0"))
    result = talk([*boots(disk), "-device", "isa-debug-exit"], timeout_s=120)
    assert GREETING in result.output
    assert result.status == 1
    assert disk.read_bytes()[SECTOR : 2 * SECTOR] == GREETING.ljust(SECTOR, b"\0")


def test_grub_reads_all_of_it(images: Path) -> None:
    disk = grub_floppy_image(images)
    result = talk(boots(disk), timeout_s=120)
    said = plain(result.output).decode()
    assert f"{zlib.crc32(disk.read_bytes()):08x}" in said
    assert HELLO_TEXT in said
    assert result.status == 0
