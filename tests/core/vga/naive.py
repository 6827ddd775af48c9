"""A VGA bit by bit, from the reference manual, as slow and plain as can be: planes of bytes, and pictures of them."""

from __future__ import annotations

from collections.abc import Mapping


class Planes:
    """Four planes of 64 KiB, behind the graphics controller. Registers as `sr[i]`, `gr[i]`."""

    def __init__(self) -> None:
        self.planes = [bytearray(0x10000) for _ in range(4)]
        self.latches = [0] * 4
        self.sr: dict[int, int] = {}
        self.gr: dict[int, int] = {}

    def place(self, address: int) -> tuple[list[int], int]:
        """The planes that an address in a 64 KiB window reaches, and where in them."""
        if self.sr[4] & 8:
            return [address & 3], address >> 2
        if self.gr[5] & 0x10:
            return [0, 2] if address % 2 == 0 else [1, 3], address >> 1
        return [0, 1, 2, 3], address

    def write(self, address: int, value: int) -> None:
        """The CPU stores a byte."""
        reached, at = self.place(address)
        for plane in reached:
            if self.sr[2] >> plane & 1:
                bits = [self.bit(plane, number, value) for number in range(8)]
                self.planes[plane][at] = sum(bit << number for number, bit in enumerate(bits))

    def bit(self, plane: int, number: int, value: int) -> int:
        """What is stored in one bit."""
        latch = self.latches[plane] >> number & 1
        mode = self.gr[5] & 3
        if mode == 1:
            return latch
        rotated = value >> ((number + (self.gr[3] & 7)) % 8) & 1
        set_reset = self.gr[0] >> plane & 1
        masked = self.gr[8] >> number & 1
        if mode == 0:
            data = set_reset if self.gr[1] >> plane & 1 else rotated
        elif mode == 2:
            data = value >> plane & 1
        else:
            data = set_reset
            masked &= rotated
        if not masked:
            return latch
        function = self.gr[3] >> 3 & 3
        return [data, data & latch, data | latch, data ^ latch][function]

    def read(self, address: int) -> int:
        """The CPU loads a byte."""
        reached, at = self.place(address)
        self.latches = [self.planes[plane][at] for plane in range(4)]
        if self.gr[5] & 8:
            result = 0
            for number in range(8):
                cared = [plane for plane in range(4) if self.gr[7] >> plane & 1]
                same = all(self.latches[p] >> number & 1 == self.gr[2] >> p & 1 for p in cared)
                result |= same << number
            return result
        if self.sr[4] & 8:
            return self.latches[reached[0]]
        if self.gr[5] & 0x10:
            return self.latches[self.gr[4] & 2 | address & 1]
        return self.latches[self.gr[4] & 3]


def planar_pixel(memory: bytes, start: int, x: int) -> int:
    """The 4-bit pixel `x` of a row that starts at byte `start` of interleaved planes."""
    at = start + x // 8 * 4
    return sum((memory[at + plane] >> 7 - x % 8 & 1) << plane for plane in range(4))


def six_bits(color: tuple[int, int, int]) -> int:
    """A colour of the DAC, as it is shown."""
    red, green, blue = (part << 2 | (3 if part & 1 else 0) for part in color)
    return red << 16 | green << 8 | blue


def text_pixel(memory: bytes, cell: int, x: int, y: int, colors: Mapping[int, int], *, font: int = 0) -> int:
    """A pixel of the character cell at byte `cell`, 9 wide, of which the palette's numbers are `colors`."""
    code, attribute = memory[cell], memory[cell + 1]
    row = memory[4 * (font + 32 * code + y) + 2]
    ninth = row & 1 if 0xC0 <= code <= 0xDF else 0
    lit = row >> 7 - x & 1 if x < 8 else ninth
    return colors[attribute & 15 if lit else attribute >> 4 & 7]
