"""Modes, banks, write modes, the hardware cursor."""

from __future__ import annotations

from random import Random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from southbridge.testing import Bench
from southbridge.units import KiB

from tests.core.vga.naive import six_bits
from tests.plugins.cirrus_vga.card import REGISTERS, SIZE, VRAM, CirrusGuest
from tests.plugins.std_vga.test_std_vga import naive_pixel

COLORS = {index: six_bits((index & 0x3F, index >> 2, 63 - (index & 0x3F))) for index in range(256)}


@pytest.mark.parametrize("bits", [8, 15, 16, 24, 32])
def test_packed_modes(card: CirrusGuest, bits: int) -> None:
    card.colors({index: (index & 0x3F, index >> 2, 63 - (index & 0x3F)) for index in range(256)})
    card.set_mode(640, 480, bits)
    noise = Random(bits).randbytes(640 * 482 * 4)
    card.fill(noise)
    card.crtc({0xD: 8})
    picture = card.picture()
    assert picture.shape == (480, 640)
    pitch = 640 * -(-bits // 8)
    for y in (0, 1, 479):
        assert picture[y].tolist() == [naive_pixel(noise, bits, 32 + y * pitch, x, COLORS) for x in range(640)]


def test_who_it_is(bench: Bench, card: CirrusGuest) -> None:
    assert bench.config_read(card.pci, 0, 4) == 0x00B81013
    bench.write_port(0x3D4, 0x27)
    assert bench.read_port(0x3D5) == 0xB8
    assert card.sequencer_value(6) == 0x12
    card.sequencer({6: 0x34})
    assert card.sequencer_value(6) == 0x0F
    assert bench.read_mmio(REGISTERS + 0x15, 1) == 0xB8
    assert card.sequencer_value(0x0F) & 0x98 == 0x98


def test_one_bank_and_two(bench: Bench, card: CirrusGuest) -> None:
    card.set_mode(640, 480, 8)
    noise = Random("banks").randbytes(SIZE)
    card.fill(noise)
    card.graphics({9: 5, 0xA: 9, 0xB: 0x20})
    assert card.window.read(0x1234, 1) == noise[5 * 16 * KiB + 0x1234]
    assert card.window.read(0x9234, 1) == noise[5 * 16 * KiB + 0x9234]
    card.graphics({0xB: 0x21})
    assert card.window.read(0x9234, 1) == noise[9 * 16 * KiB + 0x1234]
    card.graphics({0xB: 0x01})
    assert card.window.read(0x9234, 1) == noise[9 * 4 * KiB + 0x1234]
    section = card.window.find(0x9000)
    assert section is not None and section.block is card.device.vram.block
    card.window.write(0x9234, 2, 0xABCD)
    assert card.memory[9 * 4 * KiB + 0x1234 :][:2].hex() == "cdab"


def test_banks_beyond_the_memory(card: CirrusGuest) -> None:
    card.set_mode(640, 480, 8)
    card.graphics({9: 0xFF, 0xA: 0xFE, 0xB: 0x21})
    card.window.write(0x7FFF, 1, 0x55)
    card.window.write(0x0000, 1, 0x66)
    assert card.window.read(0, 1) == 0x66  # the last 16 KiB
    assert card.window.read(0x7FFF, 1) == 0xFF
    card.graphics({0xB: 0x20})
    assert card.window.read(0x8000, 1) == 0xFF


@settings(max_examples=60, deadline=None)
@given(
    st.sampled_from([4, 5]),
    st.sampled_from([0x04, 0x06, 0x14]),
    st.integers(0, 255),
    st.integers(0, 0x3FFF),
    st.booleans(),
)
def test_extended_write_modes(mode: int, extensions: int, byte: int, at: int, linear: bool) -> None:
    card = CirrusGuest(Bench())
    card.set_mode(640, 480, 8)
    card.fill(b"\x77" * 1024 * 1024)
    card.graphics({0: 0x12, 1: 0x34, 0x10: 0x56, 0x11: 0x78, 5: 0x40 | mode, 9: 0, 0xB: extensions | 0x20})
    size = 2 if extensions & 0x10 else 1
    scale = 4 if extensions & 0x10 else 3 if extensions & 2 else 0
    if linear:
        card.bench.write_mmio(VRAM + at, byte, 1)
    else:
        card.window.write(at, 1, byte)
    for number in range(8):
        lit = byte >> 7 - number & 1
        expected = (b"\x34\x78" if lit else b"\x12\x56" if mode == 5 else b"\x77\x77")[:size]
        start = (at << scale) + number * size
        assert card.memory[start : start + size].tobytes() == expected
    card.graphics({0xB: 0x20, 5: 0x40})
    assert card.bench.read_mmio(VRAM + (at << scale), 1) == card.memory[at << scale]


def naive_cursor(data: bytes, size: int, x: int, y: int, below: int) -> int:
    """A pixel of the cursor."""
    if size == 32:
        first, second = data[4 * y + x // 8], data[128 + 4 * y + x // 8]
    else:
        first, second = data[16 * y + x // 8], data[16 * y + 8 + x // 8]
    bits = first >> 7 - x % 8 & 1 | (second >> 7 - x % 8 & 1) << 1
    return [below, below ^ 0xFFFFFF, six_bits((1, 2, 3)), six_bits((61, 62, 63))][bits]


@pytest.mark.parametrize("size", [32, 64])
def test_the_hardware_cursor(card: CirrusGuest, size: int) -> None:
    card.set_mode(640, 480, 32)
    noise = Random(size).randbytes(640 * 480 * 4)
    card.fill(noise)
    picture = Random("cursor").randbytes(1024)
    card.fill(picture, SIZE - 16 * KiB + 1024)
    card.sequencer({0x12: 2})
    card.colors({0: (1, 2, 3), 15: (61, 62, 63)})
    card.sequencer({0x13: 4, 0x12: 5 if size == 64 else 1})
    for x, y in ((100, 50), (620, 460), (0, 0)):
        card.bench.write_port(0x3C4, (x >> 3) << 8 | (x & 7) << 5 | 0x10, 2)
        card.bench.write_port(0x3C4, (y >> 3) << 8 | (y & 7) << 5 | 0x11, 2)
        shown = card.picture()
        plain = np.frombuffer(noise, np.uint32).reshape(480, 640) & 0xFFFFFF
        expected = plain.copy()
        for row in range(y, min(y + size, 480)):
            for column in range(x, min(x + size, 640)):
                expected[row, column] = naive_cursor(picture, size, column - x, row - y, int(plain[row, column]))
        assert np.array_equal(shown, expected)
    assert card.view is not None
    assert not card.view.refresh()
    card.fill(bytes(1024), SIZE - 16 * KiB + 1024)
    assert [(r.y, r.height) for r in card.view.refresh().rectangles] == [(0, size)]
    card.sequencer({0x12: 0})
    assert np.array_equal(card.picture(), plain)


def test_the_hidden_register(bench: Bench, card: CirrusGuest) -> None:
    card.hidden_dac(0xC1)
    assert [bench.read_port(0x3C6) for _ in range(6)] == [0xFF] * 4 + [0xC1, 0xFF]


def test_addresses_of_more_than_16_bits(card: CirrusGuest) -> None:
    card.set_mode(640, 480, 8)
    card.colors({1: (63, 63, 63)})
    card.crtc({0x1B: 0x02 | 0x01 | 0x0C, 0x1D: 0x80, 0xC: 0x12, 0xD: 0x34})
    card.fill(b"\x01", 4 * (0xF1234 & 0xFFFFF) % SIZE)
    assert card.picture()[0, 0] == 0xFFFFFF
