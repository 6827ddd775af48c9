"""A blitter bit by bit, from the manual's description, as plain as can be."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

TRUTH = {
    # GR32: the result for (source, destination) = (0, 0), (0, 1), (1, 0), (1, 1)
    0x00: (0, 0, 0, 0),
    0x05: (0, 0, 0, 1),
    0x06: (0, 1, 0, 1),
    0x09: (0, 0, 1, 0),
    0x0B: (1, 0, 1, 0),
    0x0D: (0, 0, 1, 1),
    0x0E: (1, 1, 1, 1),
    0x50: (0, 1, 0, 0),
    0x59: (0, 1, 1, 0),
    0x6D: (0, 1, 1, 1),
    0x90: (1, 1, 1, 0),
    0x95: (1, 0, 0, 1),
    0xAD: (1, 0, 1, 1),
    0xD0: (1, 1, 0, 0),
    0xD6: (1, 1, 0, 1),
    0xDA: (1, 0, 0, 0),
}
"""Black, and, nothing, and-not, invert, copy, white, not-and, xor, or, nand, xnor, or-not, not, not-or, nor."""


@dataclass
class NaiveBlit:
    """What the registers say."""

    width: int
    height: int
    destination: int
    destination_pitch: int
    source: int
    source_pitch: int
    pixel: int
    operation: int
    foreground: int
    background: int
    backwards: bool = False
    transparent: bool = False
    pattern: bool = False
    expand: bool = False
    solid: bool = False
    inverted: bool = False
    double_words: bool = False
    key: int = 0
    left: int = 0

    def registers(self) -> dict[int, int]:
        """GR registers, but for the one that starts it."""
        width, height = self.width - 1, self.height - 1
        mode = self.backwards | self.transparent << 3 | self.pixel - 1 << 4 | self.pattern << 6 | self.expand << 7
        return {
            0x20: width & 0xFF,
            0x21: width >> 8,
            0x22: height & 0xFF,
            0x23: height >> 8,
            0x24: self.destination_pitch & 0xFF,
            0x25: self.destination_pitch >> 8,
            0x26: self.source_pitch & 0xFF,
            0x27: self.source_pitch >> 8,
            **{0x28 + index: self.destination >> 8 * index & 0xFF for index in range(3)},
            **{0x2C + index: self.source >> 8 * index & 0xFF for index in range(3)},
            0x2F: self.left,
            0x30: mode,
            0x32: self.operation,
            0x33: self.double_words | self.inverted << 1 | self.solid << 2,
            0x34: self.key & 0xFF,
            0x35: self.key >> 8,
            0x38: 0,
            0x39: 0,
            **{register: self.background >> 8 * i & 0xFF for i, register in enumerate((0x00, 0x10, 0x12, 0x14))},
            **{register: self.foreground >> 8 * i & 0xFF for i, register in enumerate((0x01, 0x11, 0x13, 0x15))},
        }

    def combine(self, source: int, destination: int) -> int:
        """A byte of the result."""
        table = TRUTH.get(self.operation, TRUTH[0x06])
        return sum(table[(source >> n & 1) << 1 | destination >> n & 1] << n for n in range(8))

    def color(self, color: int, x: int) -> int:
        """The byte of a colour that is at byte `x` of a row."""
        return color >> 8 * (x % self.pixel) & 0xFF

    def source_bytes(self, memory: bytes, y: int, given: bytes | None) -> Iterator[int | None]:
        """What a row of the destination is combined with, byte by byte; None: that byte isn't written."""
        step = -1 if self.backwards else 1
        line = self.source + y & 7
        for x in range(self.width):
            number = x // self.pixel
            if self.solid:
                yield self.color(self.foreground, x)
            elif self.expand:
                if self.pattern:
                    byte = memory[(self.source & ~7) + line] if given is None else given[line]
                    bit = byte >> 7 - number % 8 & 1
                elif given is None:
                    row = -(-self.width // (8 * self.pixel))
                    bit = memory[self.source + y * row + number // 8] >> 7 - number % 8 & 1
                else:
                    bit = given[number // 8] >> 7 - number % 8 & 1
                if not self.transparent:
                    yield self.color(self.foreground if bit else self.background, x)
                elif bit != self.inverted:
                    yield self.color(self.background if self.inverted else self.foreground, x)
                else:
                    yield None
            elif self.pattern:
                pitch = 32 if self.pixel == 3 else 8 * self.pixel
                at = line * pitch + x % (8 * self.pixel)
                yield memory[(self.source & ~(8 * pitch - 1)) + at] if given is None else given[at]
            elif given is None:
                yield memory[self.source + step * (y * self.source_pitch + x)]
            else:
                yield given[x]

    def skipped(self) -> int:
        """Bytes at the left that aren't written."""
        if not self.pattern and not self.expand:
            return 0
        return self.left & 31 if self.pixel == 3 else (self.left & 7) * self.pixel

    def run(self, memory: bytearray, given: list[bytes] | None = None) -> None:
        """Does it; `given` is what the CPU gives, by row; of a pattern, all in one."""
        before = bytes(memory)  # a pattern is read once
        keyed = self.transparent and not self.pattern and not self.expand
        step = -1 if self.backwards else 1
        for y in range(self.height):
            data = None if given is None else given[0 if self.pattern else y]
            source = list(self.source_bytes(before if self.pattern else bytes(memory), y, data))
            start = self.destination + step * y * self.destination_pitch
            row = [self.combine(s or 0, memory[start + step * x]) for x, s in enumerate(source)]
            for x in range(self.width):
                if source[x] is None or x < self.skipped():
                    continue
                if keyed and self.has_key(row, x):
                    continue
                memory[start + step * x] = row[x]

    def has_key(self, row: list[int], x: int) -> bool:
        """Whether the pixel that byte `x` belongs to has the key's colour; a part of a pixel hasn't."""
        first = x // self.pixel * self.pixel
        if first + self.pixel > len(row):
            return False
        values = row[first : first + self.pixel]
        if self.backwards:
            values.reverse()
        return values == [self.key >> 8 * index & 0xFF for index in range(self.pixel)]
