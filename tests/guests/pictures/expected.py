"""The pictures that the guest in boot.asm draws, made from what it fills memory with, and what the modes are."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
import numpy.typing as npt

Picture = npt.NDArray[np.uint32]
Bytes = npt.NDArray[np.uint8]

BANK = 0x10000
PLANES, PACKED, DIRECT = 3, 4, 6
"""VBE's memory models."""
MONO = 7
TEXT_MODES = {0: (40, 16), 1: (40, 16), 2: (80, 9), 3: (80, 9), MONO: (80, 9)}
"""Columns, and a character's width."""
PLANE_MODES = {0xD: (320, 200), 0xE: (640, 200), 0xF: (640, 350), 0x10: (640, 350), 0x11: (640, 480), 0x12: (640, 480)}


@dataclass(frozen=True)
class Said:
    """A line of the guest's."""

    vbe: bool
    mode: int
    width: int
    height: int
    bits: int
    pitch: int
    model: int
    planes: int
    """AR12."""

    @classmethod
    def of(cls, line: str) -> Said:
        """As it was said."""
        kind, mode, *numbers = line.split()
        *more, planes = (int(number, 16) for number in numbers)
        width, height, bits, pitch, model = more or (0, 0, 0, 0, 0)
        return cls(kind == "V", int(mode, 16), width, height, bits, pitch, model, planes & 0xF)


@cache
def sequence() -> npt.NDArray[np.uint16]:
    """The words that memory is filled with."""
    words, state = [], 1
    for _ in range(BANK // 2):
        state = (state * 1664525 + 1013904223) & 0xFFFF_FFFF
        words.append(state >> 16)
    return np.array(words, np.uint16)


def filled(size: int, plane: int = 0) -> Bytes:
    """`size` bytes of memory, or of a plane."""
    banks = [sequence() ^ np.uint16((bank * 0x0107 + plane * 0x3355) & 0xFFFF) for bank in range(-(-size // BANK))]
    return np.concatenate(banks).view(np.uint8)[:size]


def colors(numbers: npt.NDArray[np.integer]) -> Picture:
    """The colours of these numbers in the palette."""
    parts = [[index & 63, index >> 2, 63 - (index & 63)] for index in range(256)]
    eight = [[part << 2 | (3 if part & 1 else 0) for part in color] for color in parts]
    table = np.array([red << 16 | green << 8 | blue for red, green, blue in eight], np.uint32)
    found: Picture = table[numbers]
    return found


def picture(said: Said, *, underlines: bool = True) -> Picture:
    """What shows. `underlines`: in the monochrome mode, as a monochrome adapter does."""
    if said.vbe:
        return _linear(said) if said.model != PLANES else _planes(said.width, said.height, said.pitch, said.planes)
    if said.mode in TEXT_MODES:
        return _text(*TEXT_MODES[said.mode], underlines=underlines and said.mode == MONO)
    if said.mode in PLANE_MODES:
        width, height = PLANE_MODES[said.mode]
        drawn = _planes(width, height, width // 8, said.planes)
        return _enlarged(drawn, 640 // width, 2 if height == 200 else 1)
    if said.mode == 0x13:
        return _enlarged(colors(filled(64000).reshape(200, 320)), 2, 2)
    return _cga(said.mode, said.planes)


def _linear(said: Said) -> Picture:
    rows = filled(said.pitch * said.height).reshape(said.height, said.pitch)
    if said.bits == 8:
        return colors(rows[:, : said.width])
    size = -(-said.bits // 8)
    parts = rows[:, : size * said.width].reshape(said.height, said.width, size).astype(np.uint32)
    values: Any = sum(parts[:, :, index] << np.uint32(8 * index) for index in range(size))
    if said.bits in (15, 16):
        green_bits = said.bits - 10
        blue, green, red = values & 31, values >> 5 & (1 << green_bits) - 1, values >> (5 + green_bits) & 31
        green = green << 8 - green_bits | green >> 2 * green_bits - 8
        values = (red << 3 | red >> 2) << 16 | green << 8 | blue << 3 | blue >> 2
    drawn: Picture = (values & 0xFF_FFFF).astype(np.uint32)
    return drawn


def _planes(width: int, height: int, pitch: int, shown: int) -> Picture:
    pixels = np.zeros((height, width), np.uint8)
    for plane in range(4):
        if shown >> plane & 1:
            rows = filled(pitch * height, plane).reshape(height, pitch)
            pixels |= np.unpackbits(rows, axis=1)[:, :width] << plane
    return colors(pixels)


def _cga(mode: int, shown: int) -> Picture:
    memory = filled(0x4000)
    rows = np.stack([memory[y % 2 * 0x2000 + y // 2 * 80 :][:80] for y in range(200)])
    bits = np.unpackbits(rows, axis=1)
    pixels = bits & shown if mode == 6 else (bits[:, 0::2] << 1 | bits[:, 1::2]) & shown
    return _enlarged(colors(pixels), 1 if mode == 6 else 2, 2)


def _text(columns: int, width: int, *, underlines: bool) -> Picture:
    font = sequence()[:2048].view(np.uint8).reshape(256, 16)
    cells = sequence()[: columns * 25].reshape(25, columns) & 0xFF7F
    pixels = np.zeros((400, columns * width), np.uint8)
    for row in range(25):
        for column in range(columns):
            code, attribute = int(cells[row, column]) & 0xFF, int(cells[row, column]) >> 8
            bits = np.unpackbits(font[code][:, None], axis=1)
            lit = np.repeat(bits, 2, axis=1) if width == 16 else np.pad(bits, ((0, 0), (0, width - 8)))
            if underlines and attribute & 0x77 == 1:
                lit[15] = True
            cell = np.where(lit, attribute & 15, attribute >> 4)
            pixels[16 * row : 16 * row + 16, width * column : width * (column + 1)] = cell
    return colors(pixels)


def _enlarged(pixels: Picture, across: int, down: int) -> Picture:
    return np.repeat(np.repeat(pixels, across, axis=1), down, axis=0)
