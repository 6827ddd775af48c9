"""The builders: what they make is well formed, and what they lack is named."""

from __future__ import annotations

import struct
from pathlib import Path

import pytest

from tests.guests.build import PARTITION_SECTORS, PARTITION_START, SECTOR, assemble, need, need_file


def test_a_missing_tool_is_a_skip_with_the_command() -> None:
    with pytest.raises(pytest.skip.Exception, match="apt-get install assembler-package"):
        need("no-such-assembler", "assembler-package")


def test_a_missing_file_is_a_skip_with_the_command(tmp_path: Path) -> None:
    with pytest.raises(pytest.skip.Exception, match="apt-get install grub-pc-bin"):
        need_file(tmp_path / "boot.img", "grub-pc-bin")


def test_assemble_takes_defines_and_includes(tmp_path: Path) -> None:
    source = tmp_path / "source"
    source.mkdir()
    (source / "value.inc").write_text("%define VALUE 0x55\n")
    program = source / "program.asm"
    program.write_text('%include "value.inc"\n db VALUE, OTHER\n')
    assert assemble(program, tmp_path, {"OTHER": 3}).read_bytes() == b"\x55\x03"
    assert assemble(program, tmp_path, {"OTHER": 4}).read_bytes() == b"\x55\x04"


def test_assemble_shows_the_assemblers_message(tmp_path: Path) -> None:
    program = tmp_path / "wrong.asm"
    program.write_text("nonsense eax, eax, eax\n")
    with pytest.raises(AssertionError, match=r"wrong\.asm:1: error"):
        assemble(program, tmp_path)
    assert not list(tmp_path.glob("*.img"))


def test_grub_disk_has_one_partition(grub_disk: Path) -> None:
    disk = grub_disk.read_bytes()
    assert len(disk) == (PARTITION_START + PARTITION_SECTORS) * SECTOR
    assert disk[510:512] == b"\x55\xaa"
    status, kind, start, size = struct.unpack_from("<B3xB3xII", disk, 0x1BE)
    assert (status, kind, start, size) == (0x80, 0x83, PARTITION_START, PARTITION_SECTORS)
    assert not any(disk[0x1CE:0x1FE])
    (magic,) = struct.unpack_from("<H", disk, PARTITION_START * SECTOR + 1024 + 56)
    assert magic == 0xEF53  # ext2's superblock


def test_grub_cdrom_has_an_el_torito_catalogue(grub_cdrom: Path) -> None:
    boot_record = grub_cdrom.read_bytes()[17 * 2048 : 18 * 2048]
    assert boot_record[:7] == b"\0CD001\1"
    assert boot_record[7:].startswith(b"EL TORITO SPECIFICATION")
