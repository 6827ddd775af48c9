"""A card for tests: a VGA and nothing else."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt
from southbridge.component import Part
from southbridge.display import View
from southbridge.memory.space import AddressSpace
from southbridge.pci import PciIds
from southbridge.testing import Bench
from southbridge.units import KiB
from southbridge.vga import Mode, Vga, VgaAdapter, VgaCard, vga_mode

SIZE = 256 * KiB


class PlainCard(VgaCard):
    """A VGA with 256 KiB."""

    ids = PciIds(0x1234, 0x0001, class_code=0x03_0000)
    vga: Vga = Part(Vga)

    @property
    def vram_size(self) -> int:
        """See VgaCard."""
        return SIZE

    def find_mode(self) -> Mode:
        """See VgaCard."""
        return vga_mode(self.vga)


class Guest:
    """What a guest does to a card."""

    def __init__(self, bench: Bench, card: VgaAdapter) -> None:
        self.bench = bench
        self.card = card
        if isinstance(card, VgaCard):
            bench.config_write(card, 0x04, 2, 0x7)
        self.window = AddressSpace("window", card.window.size)
        self.window.root.add(0, card.window)
        self.view: View | None = None

    @property
    def pci(self) -> VgaCard:
        """The card, which is one for PCI."""
        assert isinstance(self.card, VgaCard)
        return self.card

    def out(self, port: int, *values: int) -> None:
        """OUT, once for each value."""
        for value in values:
            self.bench.write_port(port, value)

    def misc(self, value: int) -> None:
        """MISC_OUTPUT."""
        self.out(0x3C2, value)

    def sequencer(self, registers: Mapping[int, int]) -> None:
        """SR registers."""
        for index, value in registers.items():
            self.bench.write_port(0x3C4, value << 8 | index, 2)

    def graphics(self, registers: Mapping[int, int]) -> None:
        """GR registers."""
        for index, value in registers.items():
            self.bench.write_port(0x3CE, value << 8 | index, 2)

    def crtc(self, registers: Mapping[int, int]) -> None:
        """CR registers of a colour display."""
        for index, value in registers.items():
            self.bench.write_port(0x3D4, value << 8 | index, 2)

    def attributes(self, registers: Mapping[int, int]) -> None:
        """AR registers; the picture shows from then on."""
        self.bench.read_port(0x3DA)
        for index, value in registers.items():
            self.out(0x3C0, index, value)
        self.out(0x3C0, 0x20)

    def colors(self, values: Mapping[int, tuple[int, int, int]]) -> None:
        """Colours of the DAC."""
        for index, parts in values.items():
            self.out(0x3C8, index)
            self.out(0x3C9, *parts)

    def fill(self, data: bytes, at: int = 0) -> None:
        """Puts `data` into the card's memory, as a device's DMA does."""
        block = self.card.vram.block
        block.view[at : at + len(data)] = data
        block.mark_dirty(at, len(data))

    def picture(self) -> npt.NDArray[np.uint32]:
        """What a display that looks all the time sees."""
        if self.view is None:
            self.view = self.card.screen.console.view()
        self.view.refresh()
        return self.card.screen.console.surface.pixels.copy()


MODE_12 = {
    "misc": 0xE3,
    "sequencer": {0: 3, 1: 1, 2: 0xF, 3: 0, 4: 6},
    "crtc": {
        0: 0x5F,
        1: 0x4F,
        2: 0x50,
        3: 0x82,
        4: 0x54,
        5: 0x80,
        6: 0x0B,
        7: 0x3E,
        8: 0,
        9: 0x40,
        0xA: 0,
        0xB: 0,
        0xC: 0,
        0xD: 0,
        0x10: 0xEA,
        0x12: 0xDF,
        0x13: 0x28,
        0x14: 0,
        0x15: 0xE7,
        0x16: 4,
        0x17: 0xE3,
        0x18: 0xFF,
    },
    "graphics": {0: 0, 1: 0, 2: 0, 3: 0, 4: 0, 5: 0, 6: 5, 7: 0xF, 8: 0xFF},
    "attributes": {**{index: index for index in range(16)}, 0x10: 1, 0x11: 0, 0x12: 0xF, 0x13: 0, 0x14: 0},
}
"""640 by 480 in 16 colours (IBM's table of modes)."""
MODE_13 = {
    **MODE_12,
    "misc": 0x63,
    "sequencer": {0: 3, 1: 1, 2: 0xF, 3: 0, 4: 0xE},
    "crtc": {
        0: 0x5F,
        1: 0x4F,
        2: 0x50,
        3: 0x82,
        4: 0x54,
        5: 0x80,
        6: 0xBF,
        7: 0x1F,
        8: 0,
        9: 0x41,
        0xC: 0,
        0xD: 0,
        0x10: 0x9C,
        0x12: 0x8F,
        0x13: 0x28,
        0x14: 0x40,
        0x15: 0x96,
        0x16: 0xB9,
        0x17: 0xA3,
        0x18: 0xFF,
    },
    "graphics": {0: 0, 1: 0, 2: 0, 3: 0, 4: 0, 5: 0x40, 6: 5, 7: 0xF, 8: 0xFF},
    "attributes": {**{index: index for index in range(16)}, 0x10: 0x41, 0x12: 0xF, 0x13: 0, 0x14: 0},
}
"""320 by 200 in 256 colours, each pixel twice as wide and high."""
MODE_03 = {
    "misc": 0x67,
    "sequencer": {0: 3, 1: 0, 2: 3, 3: 0, 4: 2},
    "crtc": {
        0: 0x5F,
        1: 0x4F,
        2: 0x50,
        3: 0x82,
        4: 0x55,
        5: 0x81,
        6: 0xBF,
        7: 0x1F,
        8: 0,
        9: 0x4F,
        0xA: 0x20,
        0xB: 0x0E,
        0xC: 0,
        0xD: 0,
        0xE: 0,
        0xF: 0,
        0x10: 0x9C,
        0x12: 0x8F,
        0x13: 0x28,
        0x14: 0x1F,
        0x15: 0x96,
        0x16: 0xB9,
        0x17: 0xA3,
        0x18: 0xFF,
    },
    "graphics": {0: 0, 1: 0, 2: 0, 3: 0, 4: 0, 5: 0x10, 6: 0xE, 7: 0, 8: 0xFF},
    "attributes": {**{index: index for index in range(16)}, 0x10: 0xC, 0x11: 0, 0x12: 0xF, 0x13: 0, 0x14: 0},
}
"""80 by 25 characters of 9 by 16 pixels."""


def set_mode(guest: Guest, mode: Mapping[str, object]) -> None:
    """Programs one of the modes above."""
    guest.misc(int(str(mode["misc"])))
    guest.crtc({0x11: 0})
    for part in ("sequencer", "crtc", "graphics", "attributes"):
        registers = mode[part]
        assert isinstance(registers, dict)
        getattr(guest, part)(registers)
    guest.crtc({0x11: 0x8C})
    guest.colors({index: (index, index * 2 & 0x3F, 63 - (index & 0x3F)) for index in range(256)})
