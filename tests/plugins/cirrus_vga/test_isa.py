"""The same chip as an ISA card: no BARs; banks at A0000h, the blitter's registers at B8000h."""

from __future__ import annotations

from pathlib import Path
from random import Random
from typing import Any

import pytest
from southbridge.errors import RealizeError
from southbridge.testing import Bench

from tests.core.vga.cards import Guest

MMIO = 0xB_8000 - 0xA_0000
PITCH = 64


class IsaGuest(Guest):
    """The card, and what its guest does; in a packed mode of 8 bits."""

    def __init__(self, bench: Bench) -> None:
        self.device: Any = bench.plug("isa_cirrus_vga", romfile="")
        super().__init__(bench, self.device)
        self.misc(0xE3)
        self.sequencer({6: 0x12, 4: 0xE, 2: 0xF, 7: 1, 0x17: 0x04})
        self.graphics({5: 0x40, 6: 5, 0xB: 0x20})


@pytest.fixture
def card(bench: Bench) -> IsaGuest:
    return IsaGuest(bench)


def test_it_says_which_bus_it_is_on(card: IsaGuest) -> None:
    card.bench.write_port(0x3C4, 0x17)
    assert card.bench.read_port(0x3C5) >> 3 & 7 == 7
    card.bench.write_port(0x3D4, 0x27)
    assert card.bench.read_port(0x3D5) == 0xB8


def test_memory_by_banks(card: IsaGuest) -> None:
    memory = card.device.vram.block.view
    memory[:] = Random("isa").randbytes(len(memory))
    for bank in (0, 1, 0x17, 0xFF):
        card.graphics({9: bank})
        at = (bank << 14) + 0x123
        assert card.window.read(0x123, 1) == memory[at]
        card.window.write(0x123, 1, 0x5A)
        assert memory[at] == 0x5A


def test_a_blit_by_registers_in_memory(card: IsaGuest) -> None:
    memory = card.device.vram.block.view
    memory[0x1000:0x1100] = data = Random("blit").randbytes(0x100)
    for offset, value, size in (
        *((0x08, 7, 2), (0x0A, 3, 2), (0x0C, PITCH, 2), (0x0E, PITCH, 2), (0x10, 0x2000, 3), (0x14, 0x1000, 3)),
        *((0x18, 0, 1), (0x1A, 0x0D, 1), (0x40, 0x02, 1)),
    ):
        for index in range(size):
            card.window.write(MMIO + offset + index, 1, value >> 8 * index & 0xFF)
    for row in range(4):
        at = row * PITCH
        assert memory[0x2000 + at : 0x2000 + at + 8] == data[at : at + 8]
        assert not any(memory[0x2000 + at + 8 : 0x2000 + at + PITCH])


def test_it_keeps_its_bus_when_it_is_reset_or_written_to(card: IsaGuest) -> None:
    card.sequencer({0x17: 0x00})
    assert card.device.vga.SR17.BUS == 7
    card.device.reset()
    assert card.device.vga.SR17.BUS == 7


def test_firmware_gets_its_bios_by_fw_cfg(bench: Bench, tmp_path: Path) -> None:
    image = tmp_path / "bios.bin"
    image.write_bytes(b"\x55\xaa\x01" + bytes(508) + b"\x56")
    bench.plug("isa_cirrus_vga", romfile=str(image))
    assert bench.machine.firmware_config.files["vgaroms/vgabios-cirrus.bin"] == image.read_bytes()
    with pytest.raises(RealizeError):
        bench.plug("isa_cirrus_vga", id="other", romfile=str(image))
