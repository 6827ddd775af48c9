"""Bit block transfers of a CL-GD5446 (Technical Reference Manual, "BitBLT engine"): what one is, and doing it (NumPy).

A row of the source is read before the destination's row is written. The hardware reads ahead, too, as far as its FIFO
goes: where source and destination overlap such that it matters, software chooses the direction.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

Bytes = npt.NDArray[np.uint8]
Mask = npt.NDArray[np.bool_]

BACKWARDS, TO_SYSTEM, FROM_SYSTEM, TRANSPARENT = 0x01, 0x02, 0x04, 0x08
PATTERN, EXPAND = 0x40, 0x80
"""Of GR30; bits 5:4 are a pixel's bytes, less 1."""
DOUBLE_WORDS, INVERTED, SOLID = 0x01, 0x02, 0x04
"""Of GR33."""

REGISTERS = 0x40
"""A blit is what these first registers of the graphics controller were when it was started."""
ADDRESS = 0x3F_FFFF

Operation = Callable[[Any, Any], Any]

OPERATIONS: dict[int, Operation] = {
    0x00: lambda s, d: np.zeros_like(d),
    0x05: lambda s, d: s & d,
    0x06: lambda s, d: d,
    0x09: lambda s, d: s & ~d,
    0x0B: lambda s, d: ~d,
    0x0D: lambda s, d: s,
    0x0E: lambda s, d: np.full_like(d, 0xFF),
    0x50: lambda s, d: ~s & d,
    0x59: lambda s, d: s ^ d,
    0x6D: lambda s, d: s | d,
    0x90: lambda s, d: ~(s & d),
    0x95: lambda s, d: ~(s ^ d),
    0xAD: lambda s, d: s | ~d,
    0xD0: lambda s, d: ~s,
    0xD6: lambda s, d: ~s | d,
    0xDA: lambda s, d: ~(s | d),
}
"""GR32: what becomes of source and destination."""
NOTHING = 0x06


@dataclass(frozen=True)
class Extent:
    """The bytes from `first` to before `end`."""

    first: int
    end: int

    def overlaps(self, other: Extent) -> bool:
        """Whether they have any in common."""
        return self.first < other.end and other.first < self.end


@dataclass(frozen=True)
class Blit:
    """One transfer; sizes, pitches and addresses are bytes."""

    width: int
    height: int
    destination: int
    destination_pitch: int
    source: int
    source_pitch: int
    mode: int
    operation: int
    extension: int
    foreground: bytes
    background: bytes
    key: bytes
    key_ignored: bytes
    """Bits of the key that don't matter."""
    left: int
    """GR2F: how much at the left isn't written, in pixels (of 24 bits: in bytes)."""

    @classmethod
    def of(cls, registers: bytes) -> Blit:
        """As REGISTERS of the graphics controller say."""
        gr = registers

        def word(index: int, mask: int) -> int:
            return (gr[index] | gr[index + 1] << 8) & mask

        return cls(
            width=word(0x20, 0x1FFF) + 1,
            height=word(0x22, 0x07FF) + 1,
            destination_pitch=word(0x24, 0x1FFF),
            source_pitch=word(0x26, 0x1FFF),
            destination=(word(0x28, 0xFFFF) | gr[0x2A] << 16) & ADDRESS,
            source=(word(0x2C, 0xFFFF) | gr[0x2E] << 16) & ADDRESS,
            mode=gr[0x30],
            operation=gr[0x32],
            extension=gr[0x33],
            background=bytes(gr[index] for index in (0x00, 0x10, 0x12, 0x14)),
            foreground=bytes(gr[index] for index in (0x01, 0x11, 0x13, 0x15)),
            key=gr[0x34:0x36],
            key_ignored=gr[0x38:0x3A],
            left=gr[0x2F],
        )

    # --- what it is --------------------------------------------------------------------------------------------------

    @property
    def pixel(self) -> int:
        """Bytes of a pixel."""
        return (self.mode >> 4 & 3) + 1

    @property
    def is_copy(self) -> bool:
        """The source is pixels, as many as the destination's."""
        return not self.mode & (PATTERN | EXPAND)

    @property
    def is_solid(self) -> bool:
        """The source is the foreground colour alone."""
        parts = self.mode & (TO_SYSTEM | FROM_SYSTEM | TRANSPARENT | PATTERN | EXPAND)
        return bool(self.extension & SOLID) and parts == PATTERN | EXPAND

    @property
    def is_backwards(self) -> bool:
        """Addresses go down: only copies within the memory do that."""
        return self.is_copy and bool(self.mode & BACKWARDS) and not self.mode & FROM_SYSTEM

    @property
    def is_keyed(self) -> bool:
        """Pixels that would get the key's colour aren't written."""
        return self.is_copy and bool(self.mode & TRANSPARENT)

    @property
    def pattern_pitch(self) -> int:
        """Bytes from a row of a pattern to the next."""
        return 1 if self.mode & EXPAND else 32 if self.pixel == 3 else 8 * self.pixel

    @property
    def system_row(self) -> int:
        """How many bytes the CPU gives for a row; for a pattern, in all."""
        if self.mode & PATTERN:
            return 8 if self.mode & EXPAND else 8 * self.pattern_pitch
        if self.mode & EXPAND:
            pixels = -(-self.width // self.pixel)
            return -(-pixels // 32) * 4 if self.extension & DOUBLE_WORDS else -(-pixels // 8)
        return self.width + 3 & ~3

    @property
    def skipped(self) -> int:
        """Bytes at the left that aren't written."""
        if self.is_copy:
            return 0
        return self.left & 0x1F if self.pixel == 3 else (self.left & 7) * self.pixel

    def _extent(self, start: int, pitch: int) -> Extent:
        rows = (self.height - 1) * pitch
        if self.is_backwards:
            return Extent(start - rows - self.width + 1, start + 1)
        return Extent(start, start + rows + self.width)

    @cached_property
    def written(self) -> Extent:
        """Between which bytes of the memory it may write."""
        return self._extent(self.destination, self.destination_pitch)

    @cached_property
    def read(self) -> Extent:
        """From which it may read its source."""
        if self.mode & FROM_SYSTEM or self.is_solid:
            return Extent(0, 0)
        if self.mode & PATTERN:
            size = self.system_row
            start = self.source & ~(size - 1)
            return Extent(start, start + size)
        if self.mode & EXPAND:
            return Extent(self.source, self.source + self.height * self._bit_row)
        return self._extent(self.source, self.source_pitch)

    @property
    def _bit_row(self) -> int:
        """Bytes for the bits of a row, in the memory."""
        return -(-self.width // (8 * self.pixel))

    def problem(self, size: int) -> str:
        """Why it can't be done with `size` bytes of memory; "" if it can."""
        if self.is_keyed and self.pixel > 2:
            return f"a blit with a colour key and {self.pixel} bytes a pixel"
        for what, extent in (("destination", self.written), ("source", self.read)):
            if what == "destination" and self.mode & TO_SYSTEM:
                continue
            if extent.first < 0 or extent.end > size:
                return f"a blit whose {what} is {extent.first:#x} to {extent.end - 1:#x} of {size:#x} bytes"
        return ""

    # --- doing it ----------------------------------------------------------------------------------------------------

    def run(self, memory: Bytes) -> None:
        """Does all of it, from the memory to the memory. There is no `problem`."""
        if self.operation not in OPERATIONS or self.operation == NOTHING:
            return
        one_by_one = self.destination_pitch < self.width or self._feeds_itself()
        step = 1 if one_by_one else self.height
        pattern = self._pattern(memory[self.read.first : self.read.end]) if self.mode & PATTERN else None
        for first in range(0, self.height, step):
            self._rows(memory, first, step, pattern)

    def _feeds_itself(self) -> bool:
        """A row may read what an earlier one wrote."""
        if self.mode & PATTERN or not self.read.overlaps(self.written):
            return False
        if not self.is_copy or self.source_pitch != self.destination_pitch:
            return True
        behind = self.destination > self.source
        return behind != self.is_backwards and self.source != self.destination

    def row_from_system(self, memory: Bytes, row: int, data: bytes) -> None:
        """Does one row, with what the CPU gave; of a pattern, all."""
        if self.operation not in OPERATIONS or self.operation == NOTHING:
            return
        given = np.frombuffer(data, np.uint8)
        if self.mode & PATTERN:
            pattern = self._pattern(given)
            step = 1 if self.destination_pitch < self.width else self.height
            for first in range(0, self.height, step):
                self._rows(memory, first, step, pattern)
        elif self.mode & EXPAND:
            self._write(memory, row, *self._expanded(np.unpackbits(given)[None, :]))
        else:
            self._write(memory, row, given[None, : self.width], None)

    def to_system(self, memory: Bytes) -> bytes:
        """What the CPU is to read: the rows of the source, each padded to double words."""
        rows = np.zeros((self.height, self.width + 3 & ~3), np.uint8)
        rows[:, : self.width] = self._view(memory, self.source, self.source_pitch, 0, self.height)
        return rows.tobytes()

    def _rows(self, memory: Bytes, first: int, count: int, pattern: tuple[Bytes, Mask | None] | None) -> None:
        if pattern is not None:
            pixels, mask = pattern
            lines = (self.source + first + np.arange(count)) & 7
            self._write(memory, first, pixels[lines], None if mask is None else mask[lines])
        elif self.mode & EXPAND:
            size = self._bit_row
            start = self.source + first * size
            bits = np.unpackbits(memory[start : start + count * size].reshape(count, size), axis=1)
            self._write(memory, first, *self._expanded(bits))
        else:
            self._write(memory, first, self._view(memory, self.source, self.source_pitch, first, count), None)

    def _pattern(self, data: Bytes) -> tuple[Bytes, Mask | None]:
        """The pattern's eight rows of pixels, as wide as the blit, and which of them are written, if not all."""
        count = -(-self.width // self.pixel)
        if self.is_solid:
            return np.tile(self._color(self.foreground), (8, count))[:, : self.width], None
        rows = data.reshape(8, self.pattern_pitch)
        if self.mode & EXPAND:
            return self._expanded(np.tile(np.unpackbits(rows, axis=1), (1, -(-count // 8))))
        return np.tile(rows[:, : 8 * self.pixel], (1, -(-count // 8)))[:, : self.width], None

    def _color(self, color: bytes) -> Bytes:
        return np.frombuffer(color[: self.pixel], np.uint8)

    def _expanded(self, bits: Bytes) -> tuple[Bytes, Mask | None]:
        """Each bit is a pixel of the foreground or the background; or, of one kind, isn't written."""
        count = -(-self.width // self.pixel)
        lit = bits[:, :count].view(np.bool_)
        if self.mode & TRANSPARENT:
            inverted = bool(self.extension & INVERTED)
            mask = np.repeat(~lit if inverted else lit, self.pixel, axis=1)[:, : self.width]
            color = np.tile(self._color(self.background if inverted else self.foreground), count)[: self.width]
            return np.broadcast_to(color, mask.shape), mask
        colors = np.stack((self._color(self.background), self._color(self.foreground)))
        numbers = lit.view(np.uint8)
        if self.pixel == 3:
            pixels = colors[numbers].reshape(len(bits), 3 * count)
        else:
            pixels = np.take(colors.view(f"<u{self.pixel}").ravel(), numbers).view(np.uint8)
        return pixels[:, : self.width], None

    def _write(self, memory: Bytes, first: int, source: Bytes, mask: Mask | None) -> None:
        """Combines rows from number `first` on with what is there."""
        there = self._view(memory, self.destination, self.destination_pitch, first, len(source))
        skipped = self.skipped
        if skipped:
            there, source = there[:, skipped:], source[:, skipped:]
            mask = None if mask is None else mask[:, skipped:]
        result = OPERATIONS[self.operation](source, there)
        if self.is_keyed:
            mask = self._unlike_key(result)
        if mask is None:
            there[...] = result
        else:
            np.copyto(there, result, where=mask)

    def _unlike_key(self, result: Bytes) -> Mask:
        """Which bytes belong to pixels that don't have the key's colour; a part of a pixel at the end is written."""
        size = self.pixel
        whole = result.shape[1] // size * size
        order = slice(None, None, -1) if self.is_backwards else slice(None)
        key = np.frombuffer(self.key[:size], np.uint8)[order]
        cared = ~np.frombuffer(self.key_ignored[:size], np.uint8)[order]
        pixels = result[:, :whole].reshape(len(result), -1, size)
        different = ((pixels ^ key) & cared).any(axis=2)
        mask = np.ones(result.shape, np.bool_)
        mask[:, :whole] = np.repeat(different, size, axis=1)
        return mask

    def _view(self, memory: Bytes, start: int, pitch: int, first: int, count: int) -> Bytes:
        """Rows of the memory, in the order in which bytes come: downwards, if it goes backwards."""
        sign = -1 if self.is_backwards else 1
        at = start + sign * first * pitch
        return np.lib.stride_tricks.as_strided(memory[at:], (count, self.width), (sign * pitch, sign))
