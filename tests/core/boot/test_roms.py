"""The option ROMs: their bytes are what NASM makes of the assembly beside them; what firmware checks is right."""

from __future__ import annotations

from pathlib import Path

import pytest
from southbridge.boot import flat_rom, linux_rom
from southbridge.boot.rom import BLOCK, assembly, code, option_rom

from tests.guests.build import need, run_tool

LISTINGS = {"linux": linux_rom.LISTING, "flat": flat_rom.LISTING}


@pytest.mark.parametrize("name", LISTINGS)
def test_nasm_gives_the_same(name: str, tmp_path: Path) -> None:
    source, result = tmp_path / "rom.asm", tmp_path / "rom.bin"
    source.write_text(assembly(LISTINGS[name]))
    run_tool([need("nasm", "nasm"), "-f", "bin", "-w+all", "-o", result, source])
    assert result.read_bytes() == code(LISTINGS[name])


@pytest.mark.parametrize("name", LISTINGS)
@pytest.mark.parametrize("more", [0, 77, 1000])
def test_an_option_rom(name: str, more: int) -> None:
    rom = option_rom(code(LISTINGS[name]) + bytes(more))
    assert rom[:2] == b"\x55\xaa"
    assert rom[2] * BLOCK == len(rom)
    assert sum(rom) & 0xFF == 0
    header = int.from_bytes(rom[0x1A:0x1C], "little")
    assert header % 2 == 0
    assert rom[header : header + 4] == b"$PnP"
    assert sum(rom[header : header + 16 * rom[header + 5]]) & 0xFF == 0
    assert int.from_bytes(rom[header + 26 : header + 28], "little") < len(rom)
