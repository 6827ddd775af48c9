"""Drawing graphics: rows of a card's memory become pixels, many at a time (NumPy)."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
import numpy.typing as npt

from ..display.surface import RGB_MASK, Pixels
from .modes import PIXEL_BYTES, Kind, Mode

Bytes = npt.NDArray[np.uint8]
Addresses = npt.NDArray[np.int64]


def regular_rows(memory: Bytes, addresses: Addresses, size: int) -> Bytes | None:
    """`size` bytes of `memory` from each of the addresses on, as a view; None unless they are equally far apart, and
    none wraps at its end.
    """
    first, last = int(addresses[0]), int(addresses[-1])
    pitch = int(addresses[1]) - first if len(addresses) > 1 else size
    inside = first >= 0 and last + size <= len(memory)
    if pitch > 0 and inside and bool((np.diff(addresses) == pitch).all()):
        return np.ndarray((len(addresses), size), np.uint8, memory, first, (pitch, 1))
    return None


def rows_at(memory: Bytes, addresses: Addresses, size: int) -> Bytes:
    """`size` bytes of `memory` from each of the addresses on, which wrap at its end: a view, if they are regular."""
    rows = regular_rows(memory, addresses, size)
    return memory[(addresses[:, None] + np.arange(size)) % len(memory)] if rows is None else rows


def draw(mode: Mode, memory: Bytes, addresses: Addresses, palette: Pixels, out: Pixels) -> None:
    """Draws the lines whose rows are at `addresses` to the rows of `out`.

    `palette` has the colours of 16 pixels for PLANES and CGA, of 256 for BYTES and PALETTE.
    """
    different = np.flatnonzero(np.diff(addresses, prepend=-1 - addresses[0]))
    if len(different) == len(addresses):
        draw_rows(mode, rows_at(memory, addresses, mode.stored_bytes), palette, out)
        return
    rows = np.empty((len(different), out.shape[1]), np.uint32)
    draw_rows(mode, rows_at(memory, addresses[different], mode.stored_bytes), palette, rows)
    counts = np.diff(np.append(different, len(addresses)))
    out[:] = np.repeat(rows, counts, axis=0)


def draw_rows(mode: Mode, rows: Bytes, palette: Pixels, out: Pixels) -> None:
    """Likewise, of the rows themselves."""
    kind = mode.kind
    if kind in PIXEL_BYTES:
        _PACKED[kind](rows, palette, out)
        return
    pixels = _UNPACKED[kind](rows)
    if mode.panning:
        skipped = mode.panning // 2 if kind is Kind.BYTES else mode.panning
        pixels = pixels[:, skipped:]
    if not mode.doubled:
        np.take(palette, pixels[:, : mode.width], out=out, mode="clip")
        return
    wide = np.take(palette, pixels[:, : (mode.width + 1) // 2], mode="clip")
    out[:, 0::2] = wide[:, : out[:, 0::2].shape[1]]
    out[:, 1::2] = wide[:, : out[:, 1::2].shape[1]]


# --- packed pixels -----------------------------------------------------------------------------------------------


def _draw_palette(rows: Bytes, palette: Pixels, out: Pixels) -> None:
    np.take(palette, rows, out=out, mode="clip")


def _draw_rgb15(rows: Bytes, palette: Pixels, out: Pixels) -> None:
    np.take(_expanded(5), rows.view("<u2"), out=out, mode="clip")


def _draw_rgb16(rows: Bytes, palette: Pixels, out: Pixels) -> None:
    np.take(_expanded(6), rows.view("<u2"), out=out, mode="clip")


def _draw_rgb24(rows: Bytes, palette: Pixels, out: Pixels) -> None:
    count, size = rows.shape
    padded = np.empty((count, size + 1), np.uint8)
    padded[:, :size] = rows
    padded[:, size] = 0
    overlapping = np.ndarray((count, size // 3), "<u4", padded, 0, (size + 1, 3))
    np.bitwise_and(overlapping, RGB_MASK, out=out)


def _draw_rgb32(rows: Bytes, palette: Pixels, out: Pixels) -> None:
    np.bitwise_and(rows.view("<u4"), RGB_MASK, out=out)


_PACKED = {
    Kind.PALETTE: _draw_palette,
    Kind.RGB15: _draw_rgb15,
    Kind.RGB16: _draw_rgb16,
    Kind.RGB24: _draw_rgb24,
    Kind.RGB32: _draw_rgb32,
}


@cache
def _expanded(green_bits: int) -> Pixels:
    """The colour of every pixel of 16 bits: five for red and blue, five or six for green."""
    pixels: npt.NDArray[Any] = np.arange(1 << 16, dtype=np.uint32)
    blue, green, red = pixels & 0x1F, pixels >> 5 & (1 << green_bits) - 1, pixels >> 5 + green_bits & 0x1F
    green = green << 2 | green >> 4 if green_bits == 6 else green << 3 | green >> 2
    colors: npt.NDArray[Any] = (red << 3 | red >> 2) << 16 | green << 8 | blue << 3 | blue >> 2
    return colors.astype(np.uint32)


# --- pixels in planes --------------------------------------------------------------------------------------------


def unpack_planes(rows: Bytes) -> Bytes:
    """Each four bytes, one of each plane, are eight pixels of four bits."""
    spread = _spread_bits()
    pixels = spread[rows[:, 0::4]]
    for plane in (1, 2, 3):
        pixels |= spread[rows[:, plane::4]] << np.uint64(plane)
    return pixels.view(np.uint8)


def _unpack_cga(rows: Bytes) -> Bytes:
    """Each four bytes are eight pixels: four of planes 0 and 2, two bits of each, then four of planes 1 and 3."""
    spread = _spread_pairs()
    pixels = np.empty((rows.shape[0], rows.shape[1] // 2), np.uint32)
    for half in (0, 1):
        pixels[:, half::2] = spread[rows[:, half::4]] | spread[rows[:, half + 2 :: 4]] << np.uint32(2)
    return pixels.view(np.uint8)


def _unpack_bytes(rows: Bytes) -> Bytes:
    return rows


_UNPACKED = {Kind.PLANES: unpack_planes, Kind.CGA: _unpack_cga, Kind.BYTES: _unpack_bytes}


@cache
def _spread_bits() -> npt.NDArray[np.uint64]:
    """By a byte: eight bytes, each one of its bits, the highest first."""
    bits: Any = np.unpackbits(np.arange(256, dtype=np.uint8)[:, None], axis=1)
    return np.ascontiguousarray(bits).view(np.uint64).reshape(256)


@cache
def _spread_pairs() -> npt.NDArray[np.uint32]:
    """By a byte: four bytes, each two of its bits, the highest first."""
    bits: Any = np.unpackbits(np.arange(256, dtype=np.uint8)[:, None], axis=1)
    pairs = bits[:, 0::2] << 1 | bits[:, 1::2]
    return np.ascontiguousarray(pairs).view(np.uint32).reshape(256)
