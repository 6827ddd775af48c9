"""Pixel formats: what is refused, and how pixels are written."""

from __future__ import annotations

import struct

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from southbridge.rfb.pixels import NATIVE, PixelFormat, ProtocolError

from .stage import noise
from .viewer import Format


def parsed(pixel_format: Format) -> PixelFormat:
    return PixelFormat.parse(pixel_format.pack())


@st.composite
def formats(draw: st.DrawFn) -> Format:
    """Any that makes sense."""
    bits = draw(st.sampled_from([8, 16, 32]))
    widths = [draw(st.integers(1, min(8, bits // 3 + 1))) for _ in range(3)]
    shifts = [draw(st.integers(0, bits - width)) for width in widths]
    maxima = [(1 << width) - 1 for width in widths]
    depth = draw(st.integers(1, bits))
    return Format(bits, depth, draw(st.booleans()), tuple(maxima), tuple(shifts))  # type: ignore[arg-type]


@given(formats(), st.integers(0, 1 << 30))
def test_any_format(pixel_format: Format, seed: int) -> None:
    pixels = noise(5, 3, seed)
    data = parsed(pixel_format).to_bytes(pixels)
    size = pixel_format.size
    numbers = [pixel_format.number(data[at : at + size]) for at in range(0, len(data), size)]
    assert numbers == [pixel_format.expected(int(pixel)) for pixel in pixels.reshape(-1)]


def test_the_surfaces_own_is_not_copied() -> None:
    pixels = noise(4, 4)
    assert np.shares_memory(NATIVE.convert(pixels), pixels)


def test_ten_bits_a_colour_keep_white_white() -> None:
    ten = parsed(Format(32, 30, False, (1023, 1023, 1023), (20, 10, 0)))
    pixels = np.array([[0x000000, 0xFFFFFF, 0x800000]], dtype=np.uint32)
    assert ten.convert(pixels).tolist() == [[0, (1 << 30) - 1, 0x202 << 20]]


@given(st.binary(min_size=16, max_size=16))
def test_garbage_is_refused_or_works(data: bytes) -> None:
    try:
        pixel_format = PixelFormat.parse(data)
    except ProtocolError:
        return
    pixels = noise(3, 2)
    assert len(pixel_format.to_bytes(pixels)) == 6 * pixel_format.size
    assert len(pixel_format.compact(pixels)) == 6 * pixel_format.compact_size
    assert len(pixel_format.tight(pixels)) == 6 * (3 if pixel_format.is_tight else pixel_format.size)


@pytest.mark.parametrize("bits", [0, 1, 7, 9, 15, 17, 24, 31, 33, 64, 128, 255])
def test_cve_2014_7815_bits_per_pixel_that_make_no_sense(bits: int) -> None:
    with pytest.raises(ProtocolError, match=f"pixels of {bits} bits"):
        PixelFormat.parse(struct.pack(">BBBBHHHBBB3x", bits, 24, 0, 1, 255, 255, 255, 16, 8, 0))


@pytest.mark.parametrize(
    ("pixel_format", "why"),
    [
        (Format(maxima=(0, 255, 255)), "0 as the largest value"),
        (Format(maxima=(254, 255, 255)), "254 as the largest value"),
        (Format(shifts=(25, 8, 0)), "a colour at bit 25 in pixels of 32 bits"),
        (Format(shifts=(16, 255, 0)), "a colour at bit 255"),
        (Format(16, 16, False, (31, 63, 31), (12, 5, 0)), "a colour at bit 12 in pixels of 16 bits"),
        (Format(depth=33), "a depth of 33"),
        (Format(depth=0), "a depth of 0"),
        (Format(16, 8, true_colour=False), "a colour map for pixels of 16 bits"),
    ],
)
def test_what_makes_no_sense(pixel_format: Format, why: str) -> None:
    with pytest.raises(ProtocolError, match=why):
        parsed(pixel_format)


def test_a_colour_map() -> None:
    """Three bits of red and green, two of blue; the map says so."""
    mapped = parsed(Format(8, 8, true_colour=False))
    white = mapped.convert(np.array([0xFFFFFF], dtype=np.uint32))[0]
    assert white == 0xFF
    entries = struct.unpack(">" + "HHH" * 256, mapped.colour_map()[6:])
    assert entries[-3:] == (0xFFFF, 0xFFFF, 0xFFFF)
    red = mapped.convert(np.array([0xFF0000], dtype=np.uint32))[0]
    assert entries[3 * red : 3 * red + 3] == (0xFFFF, 0, 0)
