"""The chip, a CL-GD5446 with 4 MiB (Technical Reference Manual), as cards on any bus have it."""

from __future__ import annotations

from typing import ClassVar

import numpy as np
import numpy.typing as npt
from southbridge.component import Part
from southbridge.memory.regions import Alias
from southbridge.properties import Property
from southbridge.vga import Mode, VgaAdapter, VgaWindow

from .blitter import Blitter
from .cursor import Placed, draw_cursor, placed
from .registers import BANK_SIZE, MEMORY, CirrusRegisters

MMIO_REGISTERS = {
    0x00: 0x00,
    0x01: 0x10,
    0x02: 0x12,
    0x03: 0x14,
    0x04: 0x01,
    0x05: 0x11,
    0x06: 0x13,
    0x07: 0x15,
    0x08: 0x20,
    0x09: 0x21,
    0x0A: 0x22,
    0x0B: 0x23,
    0x0C: 0x24,
    0x0D: 0x25,
    0x0E: 0x26,
    0x0F: 0x27,
    0x10: 0x28,
    0x11: 0x29,
    0x12: 0x2A,
    0x14: 0x2C,
    0x15: 0x2D,
    0x16: 0x2E,
    0x17: 0x2F,
    0x18: 0x30,
    0x1A: 0x32,
    0x1B: 0x33,
    0x1C: 0x34,
    0x1D: 0x35,
    0x20: 0x38,
    0x21: 0x39,
    0x40: 0x31,
}
"""The graphics controller's register that each byte of the blitter's memory-mapped ones is."""


class CirrusChip(VgaAdapter):
    """A VGA with packed modes, a blitter and a hardware cursor."""

    default_rom: ClassVar[str] = "vgabios-cirrus.bin"

    vgamem_mb: int = Property(4, ge=4, le=16, doc="Taken for QEMU's sake: the chip has 4 MiB, whatever it says.")

    vga: CirrusRegisters = Part(CirrusRegisters)
    blitter: Blitter = Part(Blitter)

    @property
    def vram_size(self) -> int:
        """See VgaAdapter."""
        return MEMORY

    def realize(self) -> None:
        """See VgaAdapter."""
        super().realize()
        self._memory: npt.NDArray[np.uint8] = np.frombuffer(self.vram.block.view, np.uint8)
        self._cursor: Placed | None = None
        self.vga.cursor_changed = self._cursor_changed
        self.vga.packed = PackedMemory(self)
        self.vga.read_blitter, self.vga.write_blitter = self.read_blitter, self.write_blitter
        self.blitter.attach(self.vga, self.vram.block, self.path_changed)
        self.vga.memory_path_changed = self.path_changed
        self.screen.overlay = self._draw_cursor
        self.screen.prepare = self._cursor_changed

    def make_window(self) -> VgaWindow:
        """See VgaAdapter."""
        return CirrusWindow(self)

    def find_mode(self) -> Mode:
        """See VgaAdapter."""
        return self.vga.mode()

    def loaded(self) -> None:
        """See Device."""
        self.blitter.check_transfer()
        super().loaded()

    def registers_changed(self) -> None:
        """See VgaAdapter."""
        super().registers_changed()
        self.path_changed()

    @property
    def is_plain(self) -> bool:
        """Loads and stores are the memory's: no transfer, no write mode, no scaled address is in between."""
        return not (self.blitter.latched or self.vga.write_mode or self.vga.scale)

    def path_changed(self) -> None:
        """Who answers where follows the registers."""
        self.window.follow()

    # --- the blitter's registers as memory ---------------------------------------------------------------------------

    def read_blitter(self, offset: int, size: int) -> int:
        """The CPU loads `size` bytes from `offset` in them."""
        value = 0
        for index in range(size):
            value |= self._read_blit_byte(offset + index) << 8 * index
        return value

    def _read_blit_byte(self, offset: int) -> int:
        register = MMIO_REGISTERS.get(offset)
        return 0xFF if register is None else self.vga.graphics.read(register, 1)

    def write_blitter(self, offset: int, size: int, value: int) -> None:
        """The CPU stores there."""
        index = self.vga.GRAPHICS_INDEX.value
        for number in range(size):
            register = MMIO_REGISTERS.get(offset + number)
            if register is not None:
                self.vga.GRAPHICS_INDEX.value = register
                self.vga._write_graphics(value >> 8 * number & 0xFF)
        self.vga.GRAPHICS_INDEX.value = index

    # --- hardware cursor ---------------------------------------------------------------------------------------------

    def _cursor_changed(self) -> None:
        """Its registers, or its picture in the memory: lines where it was and where it is are drawn anew."""
        now = placed(self.vga, self._memory)
        if now != self._cursor:
            for cursor in (self._cursor, now):
                if cursor is not None:
                    self.screen.redraw_lines(cursor.y, cursor.y + cursor.size)
            self._cursor = now

    def _draw_cursor(self, lines: npt.NDArray[np.bool_]) -> None:
        if self._cursor is not None:
            draw_cursor(self._cursor, self.screen.console.surface.pixels, lines)


class PackedMemory:
    """The memory by way of the extended write modes and scaled addresses, and a transfer's data."""

    def __init__(self, card: CirrusChip) -> None:
        self._blitter = card.blitter
        self._vga = card.vga
        self._block = card.vram.block

    def read(self, offset: int, size: int) -> int:
        """The CPU loads `size` bytes from `offset`, which is scaled."""
        if self._blitter.gives:
            return self._blitter.take(size)
        scale = self._vga.scale
        if not scale:
            at = offset & MEMORY - 1
            return int.from_bytes(self._block.view[at : at + size], "little")
        value = 0
        for index in range(size):
            value |= self._block.view[(offset + index << scale) & MEMORY - 1] << 8 * index
        return value

    def write(self, offset: int, size: int, value: int) -> None:
        """The CPU stores."""
        if self._blitter.takes:
            self._blitter.give(size, value)
            return
        scale = self._vga.scale
        for index in range(size):
            at = (offset + index << scale) & MEMORY - 1
            byte = value >> 8 * index & 0xFF
            if self._vga.write_mode:
                self._write_pixels(at, byte)
            else:
                self._block.view[at] = byte
                self._block.mark_dirty(at, 1)

    def _write_pixels(self, at: int, byte: int) -> None:
        """Write modes 4 and 5: a pixel for each bit, of the foreground, or (5) of the background where it is clear."""
        vga = self._vga
        two_bytes = vga.scale == 4
        foreground = bytes([vga.GR01.value, vga.GR11.value])[: 1 + two_bytes]
        background = bytes([vga.GR00.value, vga.GR10.value])[: 1 + two_bytes]
        view = self._block.view
        for number in range(8):
            lit = byte >> 7 - number & 1
            start = at + number * len(foreground)
            if (lit or vga.write_mode == 5) and start + len(foreground) <= MEMORY:
                view[start : start + len(foreground)] = foreground if lit else background
        self._block.mark_dirty(at, 8 * len(foreground))


class CirrusWindow(VgaWindow):
    """The legacy window: in packed modes two banks, and the blitter's registers at B8000h."""

    def __init__(self, card: CirrusChip) -> None:
        super().__init__(card)
        self._cirrus = card
        self._banks = [Alias(f"{card.id}.bank{number}", card.vram, 0, BANK_SIZE, owner=card) for number in (0, 1)]
        for number, bank in enumerate(self._banks):
            bank.enabled = False
            self.add(number * BANK_SIZE, bank, priority=2)

    def follow(self) -> None:
        """See VgaWindow."""
        card = self._cirrus
        card.vga.memory.changed()
        packed = bool(card.vga.SR07.PACKED) and bool(card.vga.MISC_OUTPUT.RAM)
        plain = packed and card.is_plain
        with card.machine.memory.transaction():
            if packed:
                self._linear.enabled = False
            else:
                super().follow()
            for number, bank in enumerate(self._banks):
                start = card.vga.bank(number)
                shows = plain and start + BANK_SIZE <= MEMORY
                if shows:
                    bank.point(start)
                bank.enabled = shows
