"""How a VGA's memory answers the CPU: four planes of bytes, behind the graphics controller's latches and functions.

Plane p's byte at address a is byte 4a + p of the card's memory. So an address' four planes are one 32-bit word, and
what is addressed chained by four, as pixels of 8 bits are, is the card's memory as it is.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from ..memory.ram import RamBlock

if TYPE_CHECKING:
    from .registers import Vga

WINDOW_SIZE = 0x2_0000
"""From A0000h on."""
MAPS = ((0x0_0000, 0x2_0000), (0x0_0000, 0x1_0000), (0x1_0000, 0x8000), (0x1_8000, 0x8000))
"""By GR06.MAP: where in the window the memory shows, and how much."""

SPREAD = tuple(sum(0xFF << 8 * plane for plane in range(4) if mask >> plane & 1) for mask in range(16))
"""By a mask of planes: all bits of their bytes."""
EACH = 0x0101_0101
ALL_PLANES = 0xF
ODD_PLANES, EVEN_PLANES = 0b1010, 0b0101
MASK_32 = 0xFFFF_FFFF


class VgaMemory:
    """What the window at A0000h does, as the registers of `vga` say. `block` is the card's memory."""

    def __init__(self, vga: Vga, block: RamBlock) -> None:
        self._vga = vga
        self.block = block
        self._bytes = block.view
        self._words = block.view.cast("I")
        self._limit = len(self._words)
        self._store: Callable[[int, int], None] | None = None
        self.bank = 0
        """Added to addresses, in bytes of the card's memory."""

    def place(self, offset: int) -> int | None:
        """Where in the memory the window's byte at `offset` leads, as an address of the CPU's; None: nowhere."""
        start, size = MAPS[self._vga.GR06.MAP]
        return offset - start if start <= offset < start + size and self._vga.MISC_OUTPUT.RAM else None

    @property
    def linear(self) -> bool:
        """The window is the card's memory as it is: chained by four, and nothing is done to what is written."""
        vga = self._vga
        return bool(vga.SR04.CHAIN_4 and vga.SR02.PLANES == ALL_PLANES and not vga.GR05.READ and self._stores_as_it_is)

    # --- reading -----------------------------------------------------------------------------------------------------

    def read(self, offset: int, size: int) -> int:
        """What the CPU reads of the window."""
        value = 0
        for index in range(size):
            value |= self.read_byte(offset + index) << 8 * index
        return value

    def read_byte(self, offset: int) -> int:
        """One byte of it. The latches take the byte of each plane."""
        vga = self._vga
        address = self.place(offset)
        if address is None:
            return 0xFF
        if vga.SR04.CHAIN_4:
            plane = address & 3
            address = (address + self.bank) >> 2
        elif vga.GR05.ODD_EVEN:
            plane = vga.GR04.PLANE & 2 | address & 1
            address = (address >> 1) + (self.bank >> 2)
        else:
            plane = vga.GR04.PLANE
            address += self.bank >> 2
        if address >= self._limit:
            return 0xFF
        latches = vga.latches = self._words[address]
        if vga.GR05.READ:
            return self._compared(latches)
        return latches >> 8 * plane & 0xFF

    def _compared(self, latches: int) -> int:
        """Read mode 1: ones where the pixel has the colour of GR02, in the planes of GR07."""
        vga = self._vga
        different = (latches ^ SPREAD[vga.GR02.PLANES]) & SPREAD[vga.GR07.PLANES]
        return ~(different | different >> 8 | different >> 16 | different >> 24) & 0xFF

    # --- writing ---------------------------------------------------------------------------------------------------

    def changed(self) -> None:
        """Registers that matter were written, or the bank is another one."""
        self._store = None

    def write(self, offset: int, size: int, value: int) -> None:
        """What the CPU writes to the window."""
        store = self._store or self._make_store()
        for index in range(size):
            store(offset + index, value >> 8 * index & 0xFF)

    def _make_store(self) -> Callable[[int, int], None]:
        """What stores a byte, as long as the registers stay as they are."""
        vga, words, limit, block = self._vga, self._words, self._limit, self.block
        start, length = MAPS[vga.GR06.MAP]
        if not vga.MISC_OUTPUT.RAM:
            length = 0
        planes = vga.SR02.PLANES
        shift = 0
        masks: tuple[int, ...] = (SPREAD[planes],) * 4
        if vga.SR04.CHAIN_4:
            shift, masks = 2, tuple(SPREAD[planes & 1 << plane] for plane in range(4))
        elif vga.GR05.ODD_EVEN:
            shift, masks = 1, (SPREAD[planes & EVEN_PLANES], SPREAD[planes & ODD_PLANES]) * 2
        bank = self.bank if shift == 2 else self.bank >> (2 - shift)
        written = (lambda value: value * EACH) if self._stores_as_it_is else self.written

        def store(offset: int, value: int) -> None:
            address = offset - start
            if not 0 <= address < length:
                return
            mask = masks[address & 3]
            address = address + bank >> shift
            if mask and address < limit:
                words[address] = words[address] & ~mask | written(value) & mask
                if block.dirty:
                    block.mark_dirty(4 * address, 4)

        self._store = store
        return store

    @property
    def _stores_as_it_is(self) -> bool:
        """Nothing is done to what is written, on its way to the planes."""
        vga = self._vga
        plain = not (vga.GR01.PLANES or vga.GR03.value or vga.GR05.value & 7)
        return plain and vga.GR08.value == 0xFF

    def written(self, value: int) -> int:
        """What becomes of a byte on its way to the planes: the write modes of GR05."""
        vga = self._vga
        mode = vga.GR05.WRITE
        if mode == 1:
            return vga.latches
        bit_mask = vga.GR08.value
        if mode == 2:
            data = SPREAD[value & 0xF]
        else:
            rotate = vga.GR03.ROTATE
            value = (value >> rotate | value << 8 - rotate) & 0xFF
            if mode == 3:
                bit_mask &= value
                data = SPREAD[vga.GR00.PLANES]
            else:
                fixed = SPREAD[vga.GR01.PLANES]
                data = value * EACH & ~fixed | SPREAD[vga.GR00.PLANES] & fixed
        latches = vga.latches
        function = vga.GR03.FUNCTION
        if function == 1:
            data &= latches
        elif function == 2:
            data |= latches
        elif function == 3:
            data ^= latches
        kept = ~(bit_mask * EACH) & MASK_32
        return data & ~kept | latches & kept
