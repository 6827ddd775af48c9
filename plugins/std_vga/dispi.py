"""The VBE extensions of Bochs' card (Bochs: vbe_display_api.txt; QEMU: docs/specs/standard-vga): modes by their size.

While ENABLE.ENABLED is set, they say what the picture is; the VGA's registers only say whether there is one.
"""

from __future__ import annotations

from collections.abc import Callable

from southbridge.component import Component
from southbridge.display.console import LARGEST_SIDE
from southbridge.registers import RO, bit
from southbridge.vga import IndexedBank, Kind, Mode, Vga, shown

LATEST, OLDEST = 0xB0C5, 0xB0C0
MOST_WIDE, MOST_HIGH, MOST_BITS = LARGEST_SIDE, LARGEST_SIDE, 32
"""What CAPABILITIES shows."""
BANK_SHIFT = 16
KINDS = {
    4: Kind.PLANES,
    8: Kind.PALETTE,
    15: Kind.RGB15,
    16: Kind.RGB16,
    24: Kind.RGB24,
    32: Kind.RGB32,
}
PIXEL_BITS = {4: 4, 8: 8, 15: 16, 16: 16, 24: 24, 32: 32}


class Dispi(Component):
    """The registers. `vga` and `vram_size` are the card's; `changed` is called when the picture may be another."""

    numbers = IndexedBank("What the index at port 1CEh chooses from: words, by their number, twice.")
    ID = numbers.register(0x0, 2, reset=LATEST, doc="Which version of this interface.")
    XRES = numbers.register(0x2, 2, doc="Pixels in a row.")
    YRES = numbers.register(0x4, 2, doc="Rows.")
    BPP = numbers.register(0x6, 2, doc="Bits of a pixel: 4, 8, 15, 16, 24 or 32.")
    ENABLE = numbers.register(
        0x8,
        2,
        fields={
            "ENABLED": bit(0),
            "CAPABILITIES": bit(1, doc="XRES, YRES and BPP read as the most that there is."),
            "DAC_8_BITS": bit(5),
            "LINEAR": bit(6),
            "KEEP_MEMORY": bit(7, doc="Enabling doesn't clear the memory."),
        },
        doc="Enables all of this.",
    )
    BANK = numbers.register(0xA, 2, doc="Which 64 KiB of the memory A0000h shows.")
    VIRT_WIDTH = numbers.register(0xC, 2, doc="Pixels from a row to the next.")
    VIRT_HEIGHT = numbers.register(0xE, 2, access=RO, doc="Rows that the memory has room for.")
    X_OFFSET = numbers.register(0x10, 2, doc="The pixel of a row that is shown first.")
    Y_OFFSET = numbers.register(0x12, 2, doc="The row that is shown first.")
    MEMORY_64K = numbers.register(0x14, 2, reset=None, access=RO, doc="How much memory there is, in 64 KiB.")

    vga: Vga
    vram_size: int
    clear: Callable[[int], None]
    """Clears the first bytes of the memory."""
    changed: Callable[[], None]
    bank_changed: Callable[[], None]

    # --- what is written ---------------------------------------------------------------------------------------------

    @ID.write
    def _write_id(self, value: int) -> None:
        if OLDEST <= value <= LATEST:
            self.ID.value = value

    @XRES.read
    def _read_width(self) -> int:
        return MOST_WIDE if self.ENABLE.CAPABILITIES else self.XRES.value

    @YRES.read
    def _read_height(self) -> int:
        return MOST_HIGH if self.ENABLE.CAPABILITIES else self.YRES.value

    @BPP.read
    def _read_bits(self) -> int:
        return MOST_BITS if self.ENABLE.CAPABILITIES else self.BPP.value

    @XRES.written
    @YRES.written
    @BPP.written
    @VIRT_WIDTH.written
    @X_OFFSET.written
    @Y_OFFSET.written
    def _size_written(self, value: int) -> None:
        if self.ENABLE.ENABLED:
            self._fit()
            self.changed()

    @ENABLE.write
    def _write_enable(self, value: int) -> None:
        before = self.ENABLE.ENABLED
        self.ENABLE.value = value & 0xFF
        self.vga.dac_bits = 8 if self.ENABLE.DAC_8_BITS else 6
        if self.ENABLE.ENABLED and not before:
            self.X_OFFSET.value = self.Y_OFFSET.value = self.BANK.value = 0
            self.VIRT_WIDTH.value = self.XRES.value
            if self.BPP.value not in KINDS:
                self.guest_error(f"enabled with {self.BPP.value} bits a pixel")
                self.BPP.value = 8
            self._fit()
            self._set_vga_up()
            if not self.ENABLE.KEEP_MEMORY:
                self.clear(min(self.YRES.value * self.pitch, self.vram_size))
        elif not self.ENABLE.ENABLED:
            self.BANK.value = 0
        self.bank_changed()
        self.changed()

    @BANK.written
    def _bank_written(self, value: int) -> None:
        if not self.ENABLE.ENABLED:
            self.BANK.value = 0
        self.bank_changed()

    # --- what follows ------------------------------------------------------------------------------------------------

    @property
    def bank(self) -> int:
        """Where in the memory A0000h leads, in bytes."""
        bank = self.BANK.value << BANK_SHIFT
        return (4 * bank if self.BPP.value == 4 else bank) % self.vram_size

    @property
    def pitch(self) -> int:
        """Bytes of the memory from a row to the next."""
        return self.VIRT_WIDTH.value * PIXEL_BITS.get(self.BPP.value, 8) // 8

    def _fit(self) -> None:
        """Makes sizes and offsets such that the picture lies in the memory."""
        if self.BPP.value not in KINDS:
            return
        bits = PIXEL_BITS[self.BPP.value]
        widest = min(MOST_WIDE, self.vram_size * 8 // bits) & ~7
        self.XRES.value = min(max(self.XRES.value & ~7, 8), widest)
        self.VIRT_WIDTH.value = min(max(self.VIRT_WIDTH.value & ~7, self.XRES.value), widest)
        rows = self.vram_size // self.pitch
        self.YRES.value = min(max(self.YRES.value, 1), rows, MOST_HIGH)
        self.VIRT_HEIGHT.value = min(rows, 0xFFFF)
        self.Y_OFFSET.value = min(self.Y_OFFSET.value, rows - self.YRES.value)
        self.X_OFFSET.value = min(self.X_OFFSET.value, self.VIRT_WIDTH.value - self.XRES.value)

    def _set_vga_up(self) -> None:
        """Graphics, and the way to the memory that fits the pixels: four planes, or bytes one after the other."""
        vga = self.vga
        packed = self.BPP.value != 4
        vga.GR06.value = vga.GR06.value & ~0x0C | 0x05
        vga.GR05.SHIFT = 2 if packed else 0
        vga.SR01.HALF_CLOCK = 0
        if packed:
            vga.SR04.CHAIN_4 = 1
            vga.SR02.PLANES = 0xF

    def mode(self) -> Mode | None:
        """The picture, if this says what it is."""
        if not self.ENABLE.ENABLED or self.BPP.value not in KINDS:
            return None
        x = self.X_OFFSET.value
        planes = self.BPP.value == 4
        skipped = x >> 3 << 2 if planes else x * PIXEL_BITS[self.BPP.value] // 8
        return Mode(
            shown(self.vga, KINDS[self.BPP.value]),
            self.XRES.value,
            self.YRES.value,
            start=self.Y_OFFSET.value * self.pitch + skipped,
            pitch=self.pitch,
            panning=x & 7 if planes else 0,
            split=1 << 16,
        )
