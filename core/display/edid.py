"""EDID: what a monitor tells of itself (VESA Enhanced EDID Standard, release A, revision 2: EDID 1.4), one block.

The monitor is a made-up one that shows every size; the one that it prefers comes first.
"""

from __future__ import annotations

import math
import struct
from typing import NamedTuple

SIZE = 128
"""Of a block, in bytes."""
LARGEST_SIDE = 4095
"""That a detailed timing has room for, in pixels."""
SLOWEST_KHZ, FASTEST_KHZ = 10_000, 655_350
"""Pixel clocks that monitors have, and that it has room for."""

_HEADER = bytes.fromhex("00 ff ff ff ff ff ff 00")
_VERSION = bytes([1, 4])
_DIGITAL_8_BITS = 0xA5
"""Video input definition: digital, eight bits a colour, DisplayPort (table 3.11)."""
_GAMMA_2_2 = 120
_SRGB_AND_NATIVE = 0x06
"""Feature support: sRGB is the colour space, the first timing is the native one."""
_SRGB = bytes.fromhex("ee 91 a3 54 4c 99 26 0f 50 54")
"""Chromaticity coordinates (appendix A)."""
_ESTABLISHED = bytes([0x21, 0x08, 0])
"""640x480, 800x600 and 1024x768 at 60 Hz."""
_STANDARD = ((1920, 1080), (1680, 1050), (1600, 1200), (1440, 900), (1280, 1024), (1280, 960), (1280, 800), (1152, 864))
_ASPECTS = {(16, 10): 0, (4, 3): 1, (5, 4): 2, (16, 9): 3}
_DOTS_PER_MM = 100 / 25.4
_NAME, _RANGE_LIMITS, _DUMMY = 0xFC, 0xFD, 0x10


class _Timing(NamedTuple):
    """Reduced blanking (VESA Coordinated Video Timings 1.1, section 3.4.2), at 60 Hz; in pixels and lines."""

    h_blank: int
    h_front: int
    h_sync: int
    v_blank: int
    v_front: int
    v_sync: int
    khz: int
    """The pixel clock."""


def edid(width: int, height: int, *, vendor: str = "SBR", product: int = 0x1111, name: str = "Southbridge") -> bytes:
    """The block of a monitor that prefers `width` by `height` pixels. `vendor` is three capital letters.

    Raises ValueError for a size that has no room in it.
    """
    timing = _timing(width, height)
    across, down = (round(side / _DOTS_PER_MM) for side in (width, height))
    letters = 0
    for letter in vendor:
        letters = letters << 5 | ord(letter) - 0x40
    block = b"".join(
        (
            _HEADER,
            struct.pack(">H", letters),
            struct.pack("<HIBB", product, 0, 0, 2026 - 1990),
            _VERSION,
            bytes([_DIGITAL_8_BITS, -(-across // 10) & 0xFF, -(-down // 10) & 0xFF, _GAMMA_2_2, _SRGB_AND_NATIVE]),
            _SRGB,
            _ESTABLISHED,
            b"".join(map(_standard, _STANDARD)),
            _detailed(width, height, across, down, timing),
            _descriptor(_RANGE_LIMITS, bytes([50, 125, 30, 160, FASTEST_KHZ // 10_000, 1]) + b"\n      "),
            _descriptor(_NAME, (name[:12] + "\n").ljust(13).encode("ascii")),
            _descriptor(_DUMMY, bytes(13)),
            bytes([0]),
        )
    )
    return block + bytes([-sum(block) & 0xFF])


def _timing(width: int, height: int) -> _Timing:
    if not (0 < width <= LARGEST_SIDE and 0 < height <= LARGEST_SIDE):
        raise ValueError(f"{width} by {height} pixels: there is room for {LARGEST_SIDE} each way")
    sync = {(4, 3): 4, (16, 9): 5, (16, 10): 6, (5, 4): 7}.get(_aspect(width, height), 10)
    line_us = (1_000_000 / 60 - 460) / height
    blank = max(math.floor(460 / line_us) + 1, 3 + sync + 6)
    khz = 60 * (height + blank) * (width + 160) // 1000 // 250 * 250
    if not SLOWEST_KHZ <= khz <= FASTEST_KHZ:
        raise ValueError(f"{width} by {height} pixels at 60 Hz: {khz} kHz, not {SLOWEST_KHZ} to {FASTEST_KHZ}")
    return _Timing(160, 48, 32, blank, 3, sync, khz)


def _aspect(width: int, height: int) -> tuple[int, int]:
    for aspect in _ASPECTS:
        if abs(width * aspect[1] - height * aspect[0]) < 8 * aspect[1]:
            return aspect
    return width, height


def _standard(size: tuple[int, int]) -> bytes:
    """A standard timing at 60 Hz (section 3.9)."""
    return bytes([size[0] // 8 - 31, _ASPECTS[_aspect(*size)] << 6])


def _detailed(width: int, height: int, across: int, down: int, timing: _Timing) -> bytes:
    """The preferred timing (section 3.10.2); `across` and `down` are the picture's size in millimetres."""
    t = timing
    return struct.pack("<H", t.khz // 10) + bytes(
        [
            width & 0xFF,
            t.h_blank & 0xFF,
            width >> 8 << 4 | t.h_blank >> 8,
            height & 0xFF,
            t.v_blank & 0xFF,
            height >> 8 << 4 | t.v_blank >> 8,
            t.h_front,
            t.h_sync,
            t.v_front << 4 | t.v_sync,
            0,
            across & 0xFF,
            down & 0xFF,
            across >> 8 << 4 | down >> 8,
            0,
            0,
            0x1A,  # digital separate syncs: horizontal positive, vertical negative
        ]
    )


def _descriptor(tag: int, data: bytes) -> bytes:
    """A display descriptor (section 3.10.3)."""
    return bytes([0, 0, 0, tag, 0]) + data
