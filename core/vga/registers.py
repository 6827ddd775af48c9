"""A VGA's registers (IBM PS/2 Hardware Interface Technical Reference, "Video Subsystem": VGA function).

Ports 3C0h to 3CFh, and 3B0h to 3BBh or 3D0h to 3DBh, as MISC_OUTPUT says, lead to the registers of five blocks, most of
them by an index: sequencer (SR), CRT controller (CR), graphics controller (GR), attribute controller (AR), and the
palette with its converters (DAC). Cards derive from `Vga`, and declare further ones in the same banks.
"""

from __future__ import annotations

from collections.abc import Callable

from ..banks import Bank, MmioBank, PortBank
from ..component import Component, State
from ..registers import RO, WO, RegisterSpec, bit, bits
from .memory import WINDOW_SIZE, VgaMemory

MONO, COMMON, COLOR = 0x3B0, 0x3C0, 0x3D0
"""Where the ports begin."""

DAC_SIZE = 256 * 3
FRAME_NS = 16_683_333
"""A picture's time: 59.94 a second, whatever the CRT controller is programmed for."""
RETRACE_SHARE = 20
"""The last twentieth of it is the beam's way back up; of a line, the last fifth its way back to the left."""

CR7_LINE_COMPARE = 0x10
PALETTE_SOURCE = 0x20
"""ATTRIBUTE_INDEX: the picture shows; else the screen is blank, and the palette is the CPU's."""


class IndexedBank(Bank):
    """Registers that an index register chooses from. What isn't there reads as zero."""

    unmapped = 0

    def __init__(self, doc: str) -> None:
        super().__init__(256, internal=True, doc=doc)


def _color(attributes: Bank, index: int) -> RegisterSpec:
    return attributes.register(index, fields={"COLOR": bits(0, 5)}, doc=f"The colour of pixels {index}.")


class Vga(Component):
    """The registers. `changed` is called when a picture may look different because of them.

    Beside them, the path to the memory (`memory`), and the palette.
    """

    mono = PortBank(12, doc="At 3B0h: the CRT controller, while it is a monochrome display's.")
    common = PortBank(16, doc="At 3C0h: everything else.")
    color = PortBank(12, doc="At 3D0h: the CRT controller, while it is a colour display's.")
    window = MmioBank(WINDOW_SIZE, doc="At A0000h: the memory, by way of the graphics controller.")
    planes = window.window(0, WINDOW_SIZE, widths=(1, 2, 4, 8), coalesced=True, doc="See `VgaMemory`.")
    mono_crtc = mono.window(4, 2, widths=(1,), doc="Index and data of CR00 to CR18.")
    mono_status = mono.window(0xA, 1, widths=(1,), doc="Reads INPUT_STATUS_1, writes FEATURE.")
    color_crtc = color.window(4, 2, widths=(1,), doc="Index and data of CR00 to CR18.")
    color_status = color.window(0xA, 1, widths=(1,), doc="Reads INPUT_STATUS_1, writes FEATURE.")

    ATTRIBUTE = common.register(0x0, doc="In turn: the index with PAS, and the data of AR00 to AR14.")
    ATTRIBUTE_READ = common.register(0x1, access=RO, doc="What the attribute index chooses.")
    INPUT_STATUS_0 = common.register(0x2, access=RO, doc="Whether a display is there.")
    MISC_OUTPUT_WRITE = common.register(0x2, access=WO, doc="Where MISC_OUTPUT is written.")
    SEQ_INDEX = common.register(0x4, doc="Which of SR00 to SR04 SEQ_DATA is.")
    SEQ_DATA = common.register(0x5, doc="A register of the sequencer.")
    PEL_MASK = common.register(0x6, reset=0xFF, doc="Which bits of a pixel get to the palette.")
    DAC_READ_INDEX = common.register(0x7, doc="Written: the colour to be read. Read: what the last index was for.")
    DAC_WRITE_INDEX = common.register(0x8, doc="The colour to be written.")
    DAC_DATA = common.register(0x9, doc="Red, green and blue, one after the other.")
    FEATURE = common.register(0xA, access=RO, doc="Feature control.")
    MISC_OUTPUT = common.register(
        0xC,
        access=RO,
        fields={
            "COLOR": bit(0, doc="The CRT controller is at 3D4h, not 3B4h."),
            "RAM": bit(1, doc="Its memory answers the CPU."),
            "CLOCK": bits(2, 3),
            "PAGE": bit(5, doc="Which half odd/even addressing uses."),
            "SYNC": bits(6, 7),
        },
        doc="What is left.",
    )
    GRAPHICS_INDEX = common.register(0xE, doc="Which of GR00 to GR08 GRAPHICS_DATA is.")
    GRAPHICS_DATA = common.register(0xF, doc="A register of the graphics controller.")

    sequencer = IndexedBank("What SEQ_INDEX chooses from.")
    SR00 = sequencer.register(0x00, fields={"ASYNCHRONOUS": bit(0), "SYNCHRONOUS": bit(1)}, doc="Reset.")
    SR01 = sequencer.register(
        0x01,
        fields={
            "EIGHT": bit(0, doc="Characters are 8 pixels wide, not 9."),
            "SHIFT_LOAD": bit(2),
            "HALF_CLOCK": bit(3, doc="Pixels are twice as wide."),
            "SHIFT_4": bit(4),
            "OFF": bit(5, doc="The screen is blank."),
        },
        doc="Clocking mode.",
    )
    SR02 = sequencer.register(0x02, fields={"PLANES": bits(0, 3)}, doc="Map mask: the planes that are written.")
    SR03 = sequencer.register(
        0x03,
        fields={"MAP_B": bits(0, 1), "MAP_A": bits(2, 3), "MAP_B_HIGH": bit(4), "MAP_A_HIGH": bit(5)},
        doc="Character map select: where characters with attribute bit 3 clear (B) and set (A) are drawn.",
    )
    SR04 = sequencer.register(
        0x04,
        fields={"EXTENDED": bit(1), "ODD_EVEN_OFF": bit(2), "CHAIN_4": bit(3)},
        doc="Memory mode.",
    )

    crtc = IndexedBank("What the CRT controller's index chooses from.")
    CRTC_INDEX = crtc.register(0xFF, doc="The index. It is a port; this is where its value is kept.")
    CR00 = crtc.register(0x00, doc="Horizontal total, in characters, less 5.")
    CR01 = crtc.register(0x01, doc="Horizontal display end, in characters, less 1.")
    CR02 = crtc.register(0x02, doc="Start of horizontal blanking.")
    CR03 = crtc.register(0x03, doc="End of horizontal blanking.")
    CR04 = crtc.register(0x04, doc="Start of horizontal retrace.")
    CR05 = crtc.register(0x05, doc="End of horizontal retrace.")
    CR06 = crtc.register(0x06, doc="Vertical total, in lines, less 2: bits 7:0.")
    CR07 = crtc.register(
        0x07,
        fields={
            "TOTAL_8": bit(0),
            "DISPLAY_END_8": bit(1),
            "RETRACE_START_8": bit(2),
            "BLANK_START_8": bit(3),
            "LINE_COMPARE_8": bit(4),
            "TOTAL_9": bit(5),
            "DISPLAY_END_9": bit(6),
            "RETRACE_START_9": bit(7),
        },
        doc="Overflow: more bits of other registers.",
    )
    CR08 = crtc.register(0x08, fields={"ROW_SCAN": bits(0, 4), "BYTES": bits(5, 6)}, doc="Preset row scan.")
    CR09 = crtc.register(
        0x09,
        fields={"LINES": bits(0, 4), "BLANK_START_9": bit(5), "LINE_COMPARE_9": bit(6), "DOUBLE": bit(7)},
        doc="Maximum scan line: of a row of characters; how often each line is shown, less 1.",
    )
    CR0A = crtc.register(0x0A, fields={"LINE": bits(0, 4), "OFF": bit(5)}, doc="Text cursor: first line.")
    CR0B = crtc.register(0x0B, fields={"LINE": bits(0, 4), "SKEW": bits(5, 6)}, doc="Text cursor: last line.")
    CR0C = crtc.register(0x0C, doc="Start address, bits 15:8.")
    CR0D = crtc.register(0x0D, doc="Start address, bits 7:0.")
    CR0E = crtc.register(0x0E, doc="Text cursor's address, bits 15:8.")
    CR0F = crtc.register(0x0F, doc="Text cursor's address, bits 7:0.")
    CR10 = crtc.register(0x10, doc="Start of vertical retrace, bits 7:0.")
    CR11 = crtc.register(
        0x11,
        fields={"LINE": bits(0, 3), "INTERRUPT_CLEAR": bit(4), "INTERRUPT_OFF": bit(5), "PROTECT": bit(7)},
        doc="End of vertical retrace. PROTECT: CR00 to CR07 can't be written.",
    )
    CR12 = crtc.register(0x12, doc="Vertical display end, in lines, less 1: bits 7:0.")
    CR13 = crtc.register(0x13, doc="Offset: from one row to the next, in double words of one plane's 16 bits.")
    CR14 = crtc.register(0x14, fields={"LINE": bits(0, 4), "BY_4": bit(5), "DOUBLE_WORD": bit(6)}, doc="Underline.")
    CR15 = crtc.register(0x15, doc="Start of vertical blanking.")
    CR16 = crtc.register(0x16, doc="End of vertical blanking.")
    CR17 = crtc.register(
        0x17,
        fields={
            "NOT_CGA": bit(0, doc="Clear: address bit 13 is the line's bit 0."),
            "NOT_HERCULES": bit(1, doc="Clear: address bit 14 is the line's bit 1."),
            "BY_2": bit(3),
            "WRAP": bit(5),
            "BYTE": bit(6),
            "RUN": bit(7, doc="Clear: there is no picture."),
        },
        doc="Mode control.",
    )
    CR18 = crtc.register(0x18, doc="Line compare, bits 7:0: the line below which the picture begins at address 0.")
    CR22 = crtc.register(0x22, access=RO, doc="The latch of the plane that GR04 says.")

    graphics = IndexedBank("What GRAPHICS_INDEX chooses from.")
    GR00 = graphics.register(0x00, fields={"PLANES": bits(0, 3)}, doc="Set/reset: bits for the planes.")
    GR01 = graphics.register(0x01, fields={"PLANES": bits(0, 3)}, doc="Enable set/reset: the planes that get them.")
    GR02 = graphics.register(0x02, fields={"PLANES": bits(0, 3)}, doc="Color compare, of read mode 1.")
    GR03 = graphics.register(
        0x03, fields={"ROTATE": bits(0, 2), "FUNCTION": bits(3, 4)}, doc="Data rotate, and what is done with latches."
    )
    GR04 = graphics.register(0x04, fields={"PLANE": bits(0, 1)}, doc="Read map select.")
    GR05 = graphics.register(
        0x05,
        fields={
            "WRITE": bits(0, 1),
            "READ": bit(3),
            "ODD_EVEN": bit(4),
            "SHIFT": bits(5, 6, doc="0: a pixel from four planes; 1: CGA's two bits; 2, 3: bytes."),
        },
        doc="Mode: write mode, read mode, shift mode.",
    )
    GR06 = graphics.register(
        0x06,
        fields={"GRAPHICS": bit(0), "CHAIN": bit(1), "MAP": bits(2, 3, doc="128 or 64 KiB at A0000h; B0000h; B8000h.")},
        doc="Miscellaneous: text or graphics, and where the memory is.",
    )
    GR07 = graphics.register(0x07, fields={"PLANES": bits(0, 3)}, doc="Color don't care: the planes compared.")
    GR08 = graphics.register(0x08, doc="Bit mask: the bits that are written; the others come from the latches.")

    attributes = IndexedBank("What ATTRIBUTE chooses from. AR00 to AR0F are the palette.")
    ATTRIBUTE_INDEX = attributes.register(0xFF, doc="The index with PAS. It is a port; here its value is kept.")
    AR00 = _color(attributes, 0x00)
    AR01 = _color(attributes, 0x01)
    AR02 = _color(attributes, 0x02)
    AR03 = _color(attributes, 0x03)
    AR04 = _color(attributes, 0x04)
    AR05 = _color(attributes, 0x05)
    AR06 = _color(attributes, 0x06)
    AR07 = _color(attributes, 0x07)
    AR08 = _color(attributes, 0x08)
    AR09 = _color(attributes, 0x09)
    AR0A = _color(attributes, 0x0A)
    AR0B = _color(attributes, 0x0B)
    AR0C = _color(attributes, 0x0C)
    AR0D = _color(attributes, 0x0D)
    AR0E = _color(attributes, 0x0E)
    AR0F = _color(attributes, 0x0F)
    AR10 = attributes.register(
        0x10,
        fields={
            "GRAPHICS": bit(0),
            "MONO": bit(1),
            "LINE_GRAPHICS": bit(2, doc="A ninth column repeats the eighth in characters C0h to DFh."),
            "BLINK": bit(3, doc="Bit 7 of an attribute blinks, rather than being a bright background."),
            "PANNING": bit(5, doc="Below line compare there is no panning."),
            "BYTES": bit(6, doc="A pixel has 8 bits."),
            "COLORS": bit(7, doc="Bits 5:4 of a colour come from AR14."),
        },
        doc="Attribute mode control.",
    )
    AR11 = attributes.register(0x11, doc="Overscan.")
    AR12 = attributes.register(0x12, fields={"PLANES": bits(0, 3), "TEST": bits(4, 5)}, doc="Planes that show.")
    AR13 = attributes.register(0x13, fields={"PIXELS": bits(0, 3)}, doc="Horizontal panning.")
    AR14 = attributes.register(0x14, fields={"BITS_5_4": bits(0, 1), "BITS_7_6": bits(2, 3)}, doc="Colour select.")

    next_is_data: bool = State(False, doc="What ATTRIBUTE takes next.")
    dac: bytes = State(bytes(DAC_SIZE), min_length=DAC_SIZE, max_length=DAC_SIZE, doc="The palette.")
    dac_part: bytes = State(b"", max_length=2, doc="What of a colour came so far.")
    dac_next: int = State(0, ge=0, le=2, doc="Which part of a colour is read next.")
    dac_reading: bool = State(False, doc="What the last index was for.")
    latches: int = State(0, ge=0, le=0xFFFF_FFFF, doc="A byte of each plane, plane 0 in bits 7:0.")

    dac_bits = 6
    """How many bits a part of a colour has."""
    memory: VgaMemory
    changed: Callable[[], None] = staticmethod(lambda: None)
    """A register was written that the picture may depend on."""
    memory_path_changed: Callable[[], None] = staticmethod(lambda: None)
    """A register was written that the way to the memory may depend on."""

    # --- from elsewhere ----------------------------------------------------------------------------------------------

    def read_port(self, offset: int, size: int) -> int:
        """Ports 3C0h to 3DBh, for cards that show them elsewhere, too; `offset` counts from 3C0h."""
        return self.common.read(offset, size) if offset < 0x10 else self.color.read(offset - 0x10, size)

    def write_port(self, offset: int, size: int, value: int) -> None:
        """See `read_port`."""
        if offset < 0x10:
            self.common.write(offset, size, value)
        else:
            self.color.write(offset - 0x10, size, value)

    # --- memory ------------------------------------------------------------------------------------------------------

    @planes.read
    def _read_memory(self, offset: int, size: int) -> int:
        return self.memory.read(offset, size)

    @planes.write
    def _write_memory(self, offset: int, size: int, value: int) -> None:
        self.memory.write(offset, size, value)

    # --- sequencer, graphics controller ------------------------------------------------------------------------------

    @SEQ_DATA.read
    def _read_sequencer(self) -> int:
        return self.sequencer.read(self.SEQ_INDEX.value, 1)

    @SEQ_DATA.write
    def _write_sequencer(self, value: int) -> None:
        self.sequencer.write(self.SEQ_INDEX.value, 1, value)
        self.memory_path_changed()
        self.changed()

    @GRAPHICS_DATA.read
    def _read_graphics(self) -> int:
        return self.graphics.read(self.GRAPHICS_INDEX.value, 1)

    @GRAPHICS_DATA.write
    def _write_graphics(self, value: int) -> None:
        self.graphics.write(self.GRAPHICS_INDEX.value, 1, value)
        self.memory_path_changed()
        if 5 <= self.GRAPHICS_INDEX.value <= 6:
            self.changed()

    # --- CRT controller ----------------------------------------------------------------------------------------------

    @mono_crtc.read
    def _read_mono_crtc(self, offset: int, size: int) -> int:
        return 0xFF if self.MISC_OUTPUT.COLOR else self.read_crtc(offset)

    @mono_crtc.write
    def _write_mono_crtc(self, offset: int, size: int, value: int) -> None:
        if not self.MISC_OUTPUT.COLOR:
            self.write_crtc(offset, value)

    @color_crtc.read
    def _read_color_crtc(self, offset: int, size: int) -> int:
        return self.read_crtc(offset) if self.MISC_OUTPUT.COLOR else 0xFF

    @color_crtc.write
    def _write_color_crtc(self, offset: int, size: int, value: int) -> None:
        if self.MISC_OUTPUT.COLOR:
            self.write_crtc(offset, value)

    def read_crtc(self, offset: int) -> int:
        """The index, or the register that it chooses."""
        index = self.CRTC_INDEX.value
        if offset == 0:
            return index
        if index == 0xFF:
            return 0
        return self.crtc.read(index, 1)

    def write_crtc(self, offset: int, value: int) -> None:
        """Likewise. Protected registers stay as they are, but for the line compare's bit."""
        index = self.CRTC_INDEX.value
        if offset == 0:
            self.CRTC_INDEX.value = value
        elif index < 8 and self.CR11.PROTECT:
            if index == 7:
                self.CR07.value = self.CR07.value & ~CR7_LINE_COMPARE | value & CR7_LINE_COMPARE
                self.changed()
        elif index != 0xFF:
            self.crtc.write(index, 1, value)
            self.changed()

    @CR22.read
    def _read_latch(self) -> int:
        return self.latches >> 8 * self.GR04.PLANE & 0xFF

    # --- status ------------------------------------------------------------------------------------------------------

    @mono_status.read
    def _read_mono_status(self, offset: int, size: int) -> int:
        return 0xFF if self.MISC_OUTPUT.COLOR else self._status()

    @mono_status.write
    def _write_mono_feature(self, offset: int, size: int, value: int) -> None:
        if not self.MISC_OUTPUT.COLOR:
            self.FEATURE.value = value

    @color_status.read
    def _read_color_status(self, offset: int, size: int) -> int:
        return self._status() if self.MISC_OUTPUT.COLOR else 0xFF

    @color_status.write
    def _write_color_feature(self, offset: int, size: int, value: int) -> None:
        if self.MISC_OUTPUT.COLOR:
            self.FEATURE.value = value

    def _status(self) -> int:
        """INPUT_STATUS_1: bit 0 while nothing is shown, bit 3 in vertical retrace. ATTRIBUTE takes an index next."""
        self.next_is_data = False
        lines = max(self.CR06.value | self.CR07.TOTAL_8 << 8 | self.CR07.TOTAL_9 << 9, 1) + 2
        into = self.clock.now() % FRAME_NS
        if into >= FRAME_NS - FRAME_NS // RETRACE_SHARE:
            return 0x09
        line = FRAME_NS // lines
        return 0x01 if into % line > line * 4 // 5 else 0x00

    @MISC_OUTPUT_WRITE.write
    def _write_misc_output(self, value: int) -> None:
        self.MISC_OUTPUT.value = value & 0xEF
        self.memory_path_changed()
        self.changed()

    # --- attribute controller ----------------------------------------------------------------------------------------

    @ATTRIBUTE.read
    def _read_attribute_index(self) -> int:
        return self.ATTRIBUTE_INDEX.value

    @ATTRIBUTE.write
    def _write_attribute(self, value: int) -> None:
        index = self.ATTRIBUTE_INDEX.value & 0x1F
        if not self.next_is_data:
            self.ATTRIBUTE_INDEX.value = value & 0x3F
        elif index < 0x10 and self.ATTRIBUTE_INDEX.value & PALETTE_SOURCE:
            pass  # the palette is the display's, not the CPU's
        else:
            self.attributes.write(index, 1, value)
        self.next_is_data = not self.next_is_data
        self.changed()

    @ATTRIBUTE_READ.read
    def _read_attribute(self) -> int:
        return self.attributes.read(self.ATTRIBUTE_INDEX.value & 0x1F, 1)

    def attribute_palette(self) -> list[int]:
        """AR00 to AR0F."""
        return [vars(self)[name].value for name in _PALETTE]

    # --- palette -----------------------------------------------------------------------------------------------------

    @DAC_READ_INDEX.read
    def _read_dac_state(self) -> int:
        return 3 if self.dac_reading else 0

    @DAC_READ_INDEX.written
    def _start_reading(self, value: int) -> None:
        self.dac_reading, self.dac_next = True, 0

    @DAC_WRITE_INDEX.written
    def _start_writing(self, value: int) -> None:
        self.dac_reading, self.dac_part = False, b""

    @DAC_DATA.read
    def _read_dac(self) -> int:
        value = self.dac[3 * self.DAC_READ_INDEX.value + self.dac_next]
        self.dac_next += 1
        if self.dac_next == 3:
            self.dac_next = 0
            self.DAC_READ_INDEX.value = self.DAC_READ_INDEX.value + 1 & 0xFF
        return value

    @DAC_DATA.write
    def _write_dac(self, value: int) -> None:
        part = self.dac_part + bytes([value & (1 << self.dac_bits) - 1])
        if len(part) < 3:
            self.dac_part = part
            return
        at = 3 * self.DAC_WRITE_INDEX.value
        self.dac = self.dac[:at] + part + self.dac[at + 3 :]
        self.dac_part = b""
        self.DAC_WRITE_INDEX.value = self.DAC_WRITE_INDEX.value + 1 & 0xFF
        self.changed()

    @PEL_MASK.written
    def _mask_written(self, value: int) -> None:
        self.changed()


_PALETTE = [f"AR{index:02X}" for index in range(16)]
