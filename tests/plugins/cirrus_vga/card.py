"""What a guest does to the card."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from southbridge.plugins.cirrus_vga import CirrusVga
from southbridge.testing import Bench
from southbridge.units import MiB

from tests.core.vga.cards import Guest

VRAM, REGISTERS = 0xE000_0000, 0xE800_0000
DATA = VRAM + 16 * MiB
BLT = REGISTERS + 0x100
SIZE = 4 * MiB
START, RESET, BUSY, AUTOSTART = 0x02, 0x04, 0x01, 0x80


class CirrusGuest(Guest):
    """The card, and what its guest does."""

    def __init__(self, bench: Bench, **properties: Any) -> None:
        device: CirrusVga = bench.plug("cirrus_vga", romfile="", **properties)
        super().__init__(bench, device)
        self.device = device
        bench.place(device, "bar0", VRAM)
        bench.place(device, "bar1", REGISTERS)
        self.misc(0xE3)
        self.sequencer({6: 0x12})

    @property
    def memory(self) -> memoryview:
        """The video memory."""
        return self.device.vram.block.view

    def sequencer_value(self, index: int) -> int:
        """An SR register."""
        self.bench.write_port(0x3C4, index)
        return self.bench.read_port(0x3C5)

    def graphics_value(self, index: int) -> int:
        """A GR register."""
        self.bench.write_port(0x3CE, index)
        return self.bench.read_port(0x3CF)

    def hidden_dac(self, value: int) -> None:
        """The format of 16-bit pixels."""
        for _ in range(4):
            self.bench.read_port(0x3C6)
        self.out(0x3C6, value)

    def blit(self, registers: Mapping[int, int], start: int = START) -> None:
        """Starts one."""
        self.graphics(registers)
        self.graphics({0x31: 0})
        self.graphics({0x31: start})

    def set_mode(self, width: int, height: int, bits: int) -> None:
        """A packed mode, as Linux's driver sets one."""
        self.crtc({0x11: 0, 1: width // 8 - 1, 0x12: height - 1 & 0xFF})
        self.crtc({7: (height - 1 >> 8 & 1) << 1 | (height - 1 >> 9 & 1) << 6, 9: 0x40, 0x18: 0xFF, 0x17: 0xE3})
        pitch = width * (-(-bits // 8)) // 8
        self.crtc({0x13: pitch & 0xFF, 0x1B: 0x02 | pitch >> 8 << 4, 0xC: 0, 0xD: 0})
        self.sequencer({1: 1, 2: 0xF, 4: 0xE, 7: {8: 1, 15: 7, 16: 7, 24: 5, 32: 9}[bits], 0x17: 0x20})
        self.hidden_dac({8: 0, 15: 0xC0, 16: 0xC1, 24: 0xC5, 32: 0xC5}[bits])
        self.graphics({5: 0x40, 6: 5, 8: 0xFF, 0xB: 0x20})
        self.bench.read_port(0x3DA)
        self.out(0x3C0, 0x20)
