"""What a picture is made of: a `Mode`, as it follows from the registers, and where its lines are in the memory."""

from __future__ import annotations

import enum
from typing import TYPE_CHECKING, NamedTuple

from .registers import PALETTE_SOURCE

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from .registers import Vga

LINE_COMPARE_OFF = 0x3FF


class Kind(enum.Enum):
    """How pixels are stored."""

    BLANK = "blank"
    TEXT = "text"
    PLANES = "four planes"
    CGA = "two bits"
    BYTES = "a byte for two pixels"
    PALETTE = "8 bits"
    RGB15 = "15 bits"
    RGB16 = "16 bits"
    RGB24 = "24 bits"
    RGB32 = "32 bits"


PIXEL_BYTES = {Kind.PALETTE: 1, Kind.RGB15: 2, Kind.RGB16: 2, Kind.RGB24: 3, Kind.RGB32: 4}
"""Of packed pixels."""

ROW_BITS = {Kind.PLANES: 4, Kind.CGA: 4, Kind.BYTES: 8, **{kind: 8 * size for kind, size in PIXEL_BYTES.items()}}
"""Bits of memory for a pixel that isn't doubled."""


class Mode(NamedTuple):
    """A picture of `width` by `height` pixels, as they are shown."""

    kind: Kind
    width: int
    height: int
    start: int = 0
    """Where it begins, in bytes of the card's memory."""
    pitch: int = 0
    """From a row to the next."""
    row_lines: int = 1
    """How many lines show the same row."""
    line_repeat: int = 1
    """How often each of those is shown."""
    doubled: bool = False
    """Each pixel is two wide."""
    split: int = LINE_COMPARE_OFF
    """The line below which the memory's beginning is shown."""
    panning: int = 0
    """Pixels by which it is moved to the left."""
    split_pans: bool = True
    """Also below `split`."""
    address_lines: int = 3
    """CR17's low bits: address bits 13 and 14 are not bits 0 and 1 of the line in its row."""
    address_shift: int = 14
    """Which bit of an address in the card's memory the line's bit 0 takes the place of."""
    cell: tuple[int, int] = (8, 16)
    """Text: a character's width and height."""
    columns: int = 80
    rows: int = 25
    fonts: tuple[int, int] = (0, 0)
    """Text: where the two fonts are, in bytes of plane 2: for attributes with bit 3 clear, and set."""
    flags: tuple[bool, bool] = (False, False)
    """Text: a ninth column repeats the eighth in line graphics; bit 7 of an attribute isn't a colour."""
    underline: int = -1
    """Text: the line of a cell that underlines, where attributes are a monochrome adapter's; -1: they aren't."""

    @property
    def row_bytes(self) -> int:
        """How many bytes a row has."""
        bits = ROW_BITS[self.kind]
        return (self.width // (2 if self.doubled else 1) * bits + 7) // 8

    @property
    def stored_bytes(self) -> int:
        """How many bytes what is shown of a row is taken from: with panning, some more."""
        return self.row_bytes + (4 if self.panning and self.kind not in PIXEL_BYTES else 0)

    def lines(self) -> npt.NDArray[np.int64]:
        """Where each line of the picture is in the card's memory."""
        import numpy as np  # only who draws needs it

        lines = np.arange(self.height)
        below = lines > self.split
        lines = np.where(below, lines - self.split - 1, lines) // self.line_repeat
        rows, scans = lines // self.row_lines, lines % self.row_lines
        found = np.where(below, 0, self.start) + rows * self.pitch
        for number in (0, 1):
            if not self.address_lines >> number & 1:
                bit = 1 << self.address_shift + number
                found = found & ~bit | (scans >> number & 1) * bit
        return found


def vga_mode(vga: Vga) -> Mode:
    """What a VGA's registers say."""
    width = 8 * (vga.CR01.value + 1)
    height = (vga.CR12.value | vga.CR07.DISPLAY_END_8 << 8 | vga.CR07.DISPLAY_END_9 << 9) + 1
    pitch = vga.CR13.value << 3
    start = (vga.CR0C.value << 8 | vga.CR0D.value) << 2
    split = vga.CR18.value | vga.CR07.LINE_COMPARE_8 << 8 | vga.CR09.LINE_COMPARE_9 << 9
    if not vga.GR06.GRAPHICS:
        return _text_mode(vga, height, start, pitch, split)
    shift = vga.GR05.SHIFT
    kind = Kind.PLANES if shift == 0 else Kind.CGA if shift == 1 else Kind.BYTES
    doubled = bool(vga.SR01.HALF_CLOCK) and kind is not Kind.BYTES
    return Mode(
        shown(vga, kind),
        2 * width if doubled else width,
        height,
        start=start,
        pitch=pitch,
        row_lines=vga.CR09.LINES + 1,
        line_repeat=1 << vga.CR09.DOUBLE,
        doubled=doubled or kind is Kind.BYTES,
        split=split,
        panning=vga.AR13.PIXELS & 7,
        split_pans=not vga.AR10.PANNING,
        address_lines=vga.CR17.value & 3,
        address_shift=15 if vga.CR17.BYTE else 14,
    )


def shown(vga: Vga, kind: Kind, *, off: bool | None = None) -> Kind:
    """`kind`, unless the screen is blank; `off` takes the place of SR01.OFF."""
    off = bool(vga.SR01.OFF) if off is None else off
    return kind if vga.ATTRIBUTE_INDEX.value & PALETTE_SOURCE and not off else Kind.BLANK


def _text_mode(vga: Vga, height: int, start: int, pitch: int, split: int) -> Mode:
    cell_height = vga.CR09.LINES + 1
    cell_width = 16 if vga.SR01.HALF_CLOCK else 8 if vga.SR01.EIGHT else 9
    columns = vga.CR01.value + 1
    rows = 100 if vga.CR06.value == 100 else max(height // cell_height, 1)
    select = vga.SR03
    return Mode(
        shown(vga, Kind.TEXT),
        columns * cell_width,
        rows * cell_height,
        start=start,
        pitch=pitch,
        split=split,
        cell=(cell_width, cell_height),
        columns=columns,
        rows=rows,
        fonts=((select.MAP_B << 1 | select.MAP_B_HIGH) << 13, (select.MAP_A << 1 | select.MAP_A_HIGH) << 13),
        flags=(bool(vga.AR10.LINE_GRAPHICS), bool(vga.AR10.BLINK)),
        underline=vga.CR14.LINE if vga.AR10.MONO else -1,
    )


def resized(mode: Mode, width: int, height: int) -> Mode:
    """The same, of another size."""
    return mode._replace(width=width, height=height)
