"""What a CL-GD5446 has beyond a VGA's registers (Technical Reference Manual, chapters on extension registers)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from southbridge.component import State
from southbridge.registers import RO, bit, bits
from southbridge.units import MiB
from southbridge.vga import Kind, Mode, Vga, shown, vga_mode

UNLOCKED, LOCKED = 0x12, 0x0F
PART_ID = 0xB8
"""CR27: a CL-GD5446."""
HIDDEN_AFTER = 4
"""So many reads of PEL_MASK lead to the hidden register."""
HIDDEN_SIZE = 16 * 3
MEMORY_4M = 0x98
CURSOR_X, CURSOR_Y = 0x10, 0x11
BANK_SIZE = 0x8000
FIRST_OF_BLITS = 0x10
"""The graphics controller's registers from here on are about blits alone."""
MEMORY = 4 * MiB
ISA_BUS = 7
"""SR17.BUS of a card on the ISA bus."""
MMIO_IN_WINDOW, MMIO_SIZE = 0x1_8000, 256
MAPPED, MAPPED_LOW = 0x44, 0x04
"""Of SR17: the blitter's registers are at the end of the linear memory; at B8000h."""


class Memory(Protocol):
    """The memory of packed modes, by the way that stores and loads take there."""

    def read(self, offset: int, size: int) -> int:
        """Loads `size` bytes."""

    def write(self, offset: int, size: int, value: int) -> None:
        """Stores them."""


class CirrusRegisters(Vga):
    """The registers. `cursor_changed`, `blit_control_written` and `autostart` are the card's."""

    sequencer, crtc, graphics, common = Vga.sequencer, Vga.crtc, Vga.graphics, Vga.common

    SR06 = sequencer.register(0x06, reset=LOCKED, doc="Unlocks extensions: 12h is kept, all else reads as 0Fh.")
    SR07 = sequencer.register(
        0x07,
        fields={
            "PACKED": bit(0, doc="Pixels lie one after the other, as SIZE says; else it is a VGA."),
            "SIZE": bits(1, 3, doc="0: 8 bits, 1 and 3: 16, 2: 24, 4: 32."),
            "SEGMENT": bits(4, 7),
        },
        doc="Extended sequencer mode.",
    )
    SR08 = sequencer.register(0x08, doc="EEPROM and DDC wires; nothing is there.")
    SR09 = sequencer.register(0x09, reset=None, doc="Scratch.")
    SR0A = sequencer.register(0x0A, reset=None, doc="Scratch.")
    SR0B = sequencer.register(0x0B, doc="Video clock 0, numerator; kept.")
    SR0C = sequencer.register(0x0C, doc="Video clock 1, numerator; kept.")
    SR0D = sequencer.register(0x0D, doc="Video clock 2, numerator; kept.")
    SR0E = sequencer.register(0x0E, doc="Video clock 3, numerator; kept.")
    SR0F = sequencer.register(0x0F, reset=MEMORY_4M, doc="Memory control: bits 4:3 and 7 say 4 MiB.")
    SR10 = sequencer.register(0x10, doc="Hardware cursor, X, bits 10:3; bits 2:0 are the index's bits 7:5.")
    SR11 = sequencer.register(0x11, doc="Hardware cursor, Y, likewise.")
    SR12 = sequencer.register(
        0x12,
        fields={"SHOW": bit(0), "HIDDEN_COLORS": bit(1, doc="The DAC's ports lead to its colours."), "LARGE": bit(2)},
        doc="Hardware cursor: 32 by 32 or 64 by 64 pixels.",
    )
    SR13 = sequencer.register(0x13, fields={"PICTURE": bits(0, 5)}, doc="Which of the pictures in the last 16 KiB.")
    SR14 = sequencer.register(0x14, reset=None, doc="Scratch.")
    SR15 = sequencer.register(0x15, reset=None, doc="Scratch: firmware keeps the memory's size there.")
    SR16 = sequencer.register(0x16, doc="Performance; kept.")
    SR17 = sequencer.register(
        0x17,
        reset=0x20,
        fields={
            "MMIO": bit(2, doc="The blitter's registers are memory as well."),
            "BUS": bits(3, 5, RO, doc="4: PCI. 7: ISA."),
            "MMIO_LINEAR": bit(6, doc="They are at the linear memory's end, not at B8000h."),
            "DOUBLE": bit(7),
        },
        doc="Configuration.",
    )
    SR18 = sequencer.register(0x18, doc="Signature generator; kept.")
    SR1B = sequencer.register(0x1B, doc="Video clock 0, denominator; kept.")
    SR1C = sequencer.register(0x1C, doc="Video clock 1, denominator; kept.")
    SR1D = sequencer.register(0x1D, doc="Video clock 2, denominator; kept.")
    SR1E = sequencer.register(0x1E, doc="Video clock 3, denominator; kept.")
    SR1F = sequencer.register(0x1F, reset=0x2D, doc="Memory clock; kept.")

    CR19 = crtc.register(0x19, doc="Interlace end.")
    CR1A = crtc.register(0x1A, fields={"INTERLACED": bit(0), "MORE": bits(1, 7)}, doc="Interlace, blanking's overflow.")
    CR1B = crtc.register(
        0x1B,
        fields={
            "START_16": bit(0),
            "WRAP": bit(1, doc="Addresses go on beyond 256 KiB."),
            "START_18_17": bits(2, 3),
            "OFFSET_8": bit(4),
            "BLANKING": bits(5, 7),
        },
        doc="Extended display control.",
    )
    CR1C = crtc.register(0x1C, doc="Sync adjust; kept.")
    CR1D = crtc.register(0x1D, fields={"MODE": bits(0, 6), "START_19": bit(7)}, doc="Overlay control; START_19.")
    CR24 = crtc.register(0x24, access=RO, doc="Bit 7: what ATTRIBUTE takes next.")
    CR25 = crtc.register(0x25, access=RO, doc="Part status.")
    CR26 = crtc.register(0x26, access=RO, doc="The attribute index.")
    CR27 = crtc.register(0x27, reset=PART_ID, access=RO, doc="What it is.")

    GR00 = graphics.register(0x00, fields={"PLANES": bits(0, 3), "REST": bits(4, 7)}, doc="Set/reset, background 7:0.")
    GR01 = graphics.register(0x01, fields={"PLANES": bits(0, 3), "REST": bits(4, 7)}, doc="And foreground 7:0.")
    GR05 = graphics.register(
        0x05,
        fields={
            "WRITE": bits(0, 1),
            "EXTENDED": bit(2, doc="Write modes 4 and 5, if GR0B allows them."),
            "READ": bit(3),
            "ODD_EVEN": bit(4),
            "SHIFT": bits(5, 6),
        },
        doc="Mode.",
    )
    GR09 = graphics.register(0x09, doc="Offset 0: where A0000h leads, in 4 or 16 KiB.")
    GR0A = graphics.register(0x0A, doc="Offset 1: where A8000h leads, if there are two.")
    GR0B = graphics.register(
        0x0B,
        fields={
            "TWO": bit(0, doc="Two offsets."),
            "BY_8": bit(1, doc="An address is eight bytes."),
            "EXTENDED_WRITE": bit(2, doc="Write modes 4 and 5."),
            "LATCHES_8": bit(3),
            "BY_16": bit(4, doc="With EXTENDED_WRITE: an address is sixteen bytes, a pixel two."),
            "BIG": bit(5, doc="Offsets are in 16 KiB, not 4."),
        },
        doc="Mode extensions.",
    )
    GR0C = graphics.register(0x0C, doc="Color key; kept.")
    GR0D = graphics.register(0x0D, doc="Color key mask; kept.")
    GR0E = graphics.register(
        0x0E,
        fields={"CLOCK": bit(0), "STATIC_SYNC": bits(1, 2, doc="The display is off."), "REST": bits(3, 7)},
        doc="Power.",
    )
    GR10 = graphics.register(0x10, doc="Background 15:8.")
    GR11 = graphics.register(0x11, doc="Foreground 15:8.")
    GR12 = graphics.register(0x12, doc="Background 23:16.")
    GR13 = graphics.register(0x13, doc="Foreground 23:16.")
    GR14 = graphics.register(0x14, doc="Background 31:24.")
    GR15 = graphics.register(0x15, doc="Foreground 31:24.")
    GR18 = graphics.register(0x18, reset=0x0F, doc="Memory timing; kept.")
    GR20 = graphics.register(0x20, doc="Blit: width in bytes less 1, bits 7:0.")
    GR21 = graphics.register(0x21, fields={"HIGH": bits(0, 4)}, doc="Blit: width, bits 12:8.")
    GR22 = graphics.register(0x22, doc="Blit: height less 1, bits 7:0.")
    GR23 = graphics.register(0x23, fields={"HIGH": bits(0, 2)}, doc="Blit: height, bits 10:8.")
    GR24 = graphics.register(0x24, doc="Blit: destination pitch, bits 7:0.")
    GR25 = graphics.register(0x25, fields={"HIGH": bits(0, 4)}, doc="Blit: destination pitch, bits 12:8.")
    GR26 = graphics.register(0x26, doc="Blit: source pitch, bits 7:0.")
    GR27 = graphics.register(0x27, fields={"HIGH": bits(0, 4)}, doc="Blit: source pitch, bits 12:8.")
    GR28 = graphics.register(0x28, doc="Blit: destination, bits 7:0.")
    GR29 = graphics.register(0x29, doc="Blit: destination, bits 15:8.")
    GR2A = graphics.register(0x2A, fields={"HIGH": bits(0, 5)}, doc="Blit: destination, 21:16; may start it.")
    GR2C = graphics.register(0x2C, doc="Blit: source, bits 7:0.")
    GR2D = graphics.register(0x2D, doc="Blit: source, bits 15:8.")
    GR2E = graphics.register(0x2E, fields={"HIGH": bits(0, 5)}, doc="Blit: source, bits 21:16.")
    GR2F = graphics.register(0x2F, fields={"LEFT": bits(0, 4)}, doc="Blit: what isn't written at the left.")
    GR30 = graphics.register(
        0x30,
        fields={
            "BACKWARDS": bit(0),
            "TO_SYSTEM": bit(1),
            "FROM_SYSTEM": bit(2),
            "TRANSPARENT": bit(3),
            "PIXEL": bits(4, 5, doc="A pixel's bytes, less 1."),
            "PATTERN": bit(6),
            "EXPAND": bit(7),
        },
        doc="Blit: mode.",
    )
    GR31 = graphics.register(
        0x31,
        fields={
            "BUSY": bit(0, RO),
            "START": bit(1),
            "RESET": bit(2),
            "FIFO": bit(4, RO, doc="It waits for the CPU's data, or for the CPU to read."),
            "PAUSE": bit(6),
            "AUTOSTART": bit(7, doc="Writing GR2A starts it."),
        },
        doc="Blit: start and status.",
    )
    GR32 = graphics.register(0x32, doc="Blit: raster operation.")
    GR33 = graphics.register(
        0x33,
        fields={"DOUBLE_WORDS": bit(0), "INVERTED": bit(1), "SOLID": bit(2), "SYNC": bits(3, 4)},
        doc="Blit: mode extensions.",
    )
    GR34 = graphics.register(0x34, doc="Blit: key color, bits 7:0.")
    GR35 = graphics.register(0x35, doc="Blit: key color, bits 15:8.")
    GR38 = graphics.register(0x38, doc="Blit: bits of the key color that don't matter, 7:0.")
    GR39 = graphics.register(0x39, doc="Blit: and 15:8.")

    PEL_MASK = common.register(0x6, reset=0xFF, doc="Which bits of a pixel get to the palette.")
    HIDDEN_DAC = common.register(0x6, when=lambda vga: vga.mask_reads >= HIDDEN_AFTER, doc="Format of 16-bit pixels.")

    mask_reads: int = State(0, ge=0, le=HIDDEN_AFTER, doc="How often PEL_MASK was read in a row.")
    cursor_x: int = State(0, ge=0, lt=1 << 11, doc="Of the hardware cursor.")
    cursor_y: int = State(0, ge=0, lt=1 << 11, doc="Of the hardware cursor.")
    hidden_colors: bytes = State(
        bytes(HIDDEN_SIZE), min_length=HIDDEN_SIZE, max_length=HIDDEN_SIZE, doc="The cursor's: 0 and 15."
    )

    cursor_changed: Callable[[], None] = staticmethod(lambda: None)
    blit_control_written: Callable[[int, int], None] = staticmethod(lambda before, after: None)
    """GR31 was written: its value before, and what was written."""
    autostart: Callable[[], None] = staticmethod(lambda: None)

    packed: Memory
    read_blitter: Callable[[int, int], int]
    """The blitter's memory-mapped registers: offset and size."""
    write_blitter: Callable[[int, int, int], None]

    # --- the window at A0000h ----------------------------------------------------------------------------------------

    def _read_memory(self, offset: int, size: int) -> int:
        if self._is_mmio(offset):
            return self.read_blitter(offset - MMIO_IN_WINDOW, size)
        if not self.SR07.PACKED:
            return super()._read_memory(offset, size)
        place = self._banked(offset)
        return (1 << 8 * size) - 1 if place is None else self.packed.read(place, size)

    def _write_memory(self, offset: int, size: int, value: int) -> None:
        if self._is_mmio(offset):
            self.write_blitter(offset - MMIO_IN_WINDOW, size, value)
        elif not self.SR07.PACKED:
            super()._write_memory(offset, size, value)
        else:
            place = self._banked(offset)
            if place is not None:
                self.packed.write(place, size, value)

    def _is_mmio(self, offset: int) -> bool:
        return MMIO_IN_WINDOW <= offset < MMIO_IN_WINDOW + MMIO_SIZE and self.SR17.value & MAPPED == MAPPED_LOW

    def _banked(self, offset: int) -> int | None:
        """Where in the memory, before it is scaled, an offset in the window leads; None: nowhere."""
        if offset >= 2 * BANK_SIZE or not self.MISC_OUTPUT.RAM:
            return None
        start = self.bank(offset // BANK_SIZE)
        place = start + offset % BANK_SIZE
        return place if place < MEMORY else None

    # --- sequencer: extensions, hardware cursor ----------------------------------------------------------------------

    def _sequencer_index(self) -> int:
        index = self.SEQ_INDEX.value
        return index & 0x1F if index & 0x1F in (CURSOR_X, CURSOR_Y) else index

    def _read_sequencer(self) -> int:
        return self.sequencer.read(self._sequencer_index(), 1)

    def _write_sequencer(self, value: int) -> None:
        index = self._sequencer_index()
        self.sequencer.write(index, 1, value)
        if index == CURSOR_X:
            self.cursor_x = value << 3 | self.SEQ_INDEX.value >> 5
        elif index == CURSOR_Y:
            self.cursor_y = value << 3 | self.SEQ_INDEX.value >> 5
        if CURSOR_X <= index <= 0x13:
            self.cursor_changed()
        else:
            self.memory_path_changed()
            self.changed()

    @SR06.write
    def _write_lock(self, value: int) -> None:
        self.SR06.value = UNLOCKED if value & 0x17 == UNLOCKED else LOCKED

    # --- CRT controller ----------------------------------------------------------------------------------------------

    @CR24.read
    def _read_flip_flop(self) -> int:
        return self.next_is_data << 7

    @CR26.read
    def _read_attribute_index_again(self) -> int:
        return self.ATTRIBUTE_INDEX.value

    # --- graphics controller -----------------------------------------------------------------------------------------

    def _write_graphics(self, value: int) -> None:
        index = self.GRAPHICS_INDEX.value
        if index < FIRST_OF_BLITS:
            super()._write_graphics(value)
            if index == 0x0E:
                self.changed()
            return
        before = self.GR31.value
        self.graphics.write(index, 1, value)
        if index == 0x31:
            self.blit_control_written(before, value)
        elif index == 0x2A and self.GR31.AUTOSTART:
            self.autostart()

    def blit_registers(self) -> bytes:
        """The graphics controller's first registers, of which a blit is made."""
        return bytes(vars(self)[name].value if name in vars(self) else 0 for name in _BLIT_REGISTERS)

    # --- palette -----------------------------------------------------------------------------------------------------

    @PEL_MASK.read
    def _read_mask(self) -> int:
        self.mask_reads += 1
        return self.PEL_MASK.value

    @HIDDEN_DAC.read
    def _read_hidden(self) -> int:
        self.mask_reads = 0
        return self.HIDDEN_DAC.value

    @HIDDEN_DAC.written
    def _hidden_written(self, value: int) -> None:
        self.mask_reads = 0
        self.changed()

    @PEL_MASK.written
    def _mask_written(self, value: int) -> None:
        self.mask_reads = 0
        super()._mask_written(value)

    def _read_dac(self) -> int:
        if not self.SR12.HIDDEN_COLORS:
            return super()._read_dac()
        dac, self.dac = self.dac, self.hidden_colors.ljust(len(self.dac), b"\0")
        self.DAC_READ_INDEX.value &= 0xF
        value = super()._read_dac()
        self.dac = dac
        return value

    def _write_dac(self, value: int) -> None:
        if not self.SR12.HIDDEN_COLORS:
            super()._write_dac(value)
            return
        dac, self.dac = self.dac, self.hidden_colors.ljust(len(self.dac), b"\0")
        self.DAC_WRITE_INDEX.value &= 0xF
        super()._write_dac(value)
        self.dac, self.hidden_colors = dac, self.dac[:HIDDEN_SIZE]
        self.cursor_changed()

    # --- what follows ------------------------------------------------------------------------------------------------

    def mode(self) -> Mode:
        """The picture."""
        mode = vga_mode(self)
        high = self.CR1B.START_16 | self.CR1B.START_18_17 << 1 | self.CR1D.START_19 << 3
        start = mode.start + (high << 18)
        pitch = mode.pitch + (self.CR1B.OFFSET_8 << 11)
        if not self.SR07.PACKED or mode.kind is Kind.TEXT:
            return mode._replace(start=start, pitch=pitch)
        height = (self.CR12.value | self.CR07.DISPLAY_END_8 << 8 | self.CR07.DISPLAY_END_9 << 9) + 1
        return Mode(
            shown(self, self._packed_kind(), off=bool(self.GR0E.STATIC_SYNC)),
            8 * (self.CR01.value + 1),
            2 * height if self.CR1A.INTERLACED else height,
            start=start,
            pitch=pitch,
            row_lines=self.CR09.LINES + 1,
            line_repeat=1 << self.CR09.DOUBLE,
            split=mode.split,
        )

    def _packed_kind(self) -> Kind:
        size = self.SR07.SIZE
        if size in (1, 3):
            return Kind.RGB15 if self.HIDDEN_DAC.value & 0xF == 0 else Kind.RGB16
        return {2: Kind.RGB24, 4: Kind.RGB32}.get(size, Kind.PALETTE)

    def bank(self, number: int) -> int:
        """Where in the memory each half of the 64 KiB at A0000h leads."""
        offset = self.GR0A.value if number and self.GR0B.TWO else self.GR09.value
        start = offset << (14 if self.GR0B.BIG else 12)
        return start if self.GR0B.TWO else start + number * BANK_SIZE

    @property
    def scale(self) -> int:
        """By what a power of two addresses of the CPU are multiplied, in packed modes."""
        if self.GR0B.EXTENDED_WRITE and self.GR0B.BY_16:
            return 4
        return 3 if self.GR0B.BY_8 else 0

    @property
    def write_mode(self) -> int:
        """4 or 5: a byte that is written is eight pixels; 0: it is a byte."""
        mode = self.GR05.value & 7
        return mode if mode in (4, 5) and self.GR0B.EXTENDED_WRITE else 0


_BLIT_REGISTERS = [f"GR{index:02X}" for index in range(0x40)]
