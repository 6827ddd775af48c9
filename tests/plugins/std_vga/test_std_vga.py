"""The standard card: VBE's modes, against pictures made pixel by pixel."""

from __future__ import annotations

from random import Random
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from southbridge.display.edid import SIZE, edid
from southbridge.errors import RealizeError
from southbridge.testing import Bench
from southbridge.units import KiB, MiB

from tests.core.vga.cards import Guest
from tests.core.vga.naive import planar_pixel, six_bits

ID, XRES, YRES, BPP, ENABLE, BANK, VIRT_WIDTH, VIRT_HEIGHT, X_OFFSET, Y_OFFSET, MEMORY_64K = range(11)
ENABLED, CAPABILITIES, DAC_8_BITS, LINEAR, KEEP = 0x01, 0x02, 0x20, 0x40, 0x80
VRAM, REGISTERS = 0xE000_0000, 0xE200_0000


class Card(Guest):
    """The card, and what its guest does."""

    def __init__(self, bench: Bench, **properties: Any) -> None:
        device = bench.plug("std_vga", romfile="", **properties)
        super().__init__(bench, device)
        bench.place(device, "bar0", VRAM)
        bench.place(device, "bar2", REGISTERS)
        self.misc(0x63)
        self.out(0x3C0, 0x20)

    def dispi(self, register: int, value: int) -> None:
        """Writes a register, as SeaVGABIOS does."""
        self.bench.write_port(0x1CE, register, 2)
        self.bench.write_port(0x1CF, value, 2)

    def dispi_value(self, register: int) -> int:
        """Reads one."""
        self.bench.write_port(0x1CE, register, 2)
        return self.bench.read_port(0x1CF, 2)

    def set_size(self, width: int, height: int, bits: int, flags: int = LINEAR) -> None:
        """Sets a mode."""
        for register, value in ((ENABLE, 0), (XRES, width), (YRES, height), (BPP, bits), (ENABLE, ENABLED | flags)):
            self.dispi(register, value)


@pytest.fixture
def card(bench: Bench) -> Card:
    return Card(bench)


def expanded(value: int, bits: int) -> int:
    """A part of a pixel with fewer than eight bits, as eight."""
    return value << 8 - bits | value >> 2 * bits - 8


def naive_pixel(memory: bytes, bits: int, start: int, x: int, colors: dict[int, int]) -> int:
    """Pixel `x` of the row that begins at `start`."""
    if bits == 4:
        return colors[planar_pixel(memory, start, x)]
    if bits == 8:
        return colors[memory[start + x]]
    size = -(-bits // 8)
    value = int.from_bytes(memory[start + size * x : start + size * (x + 1)], "little")
    if bits == 15:
        red, green, blue = (expanded(value >> shift & 31, 5) for shift in (10, 5, 0))
    elif bits == 16:
        red, green, blue = expanded(value >> 11, 5), expanded(value >> 5 & 63, 6), expanded(value & 31, 5)
    else:
        return value & 0xFF_FFFF
    return red << 16 | green << 8 | blue


@pytest.mark.parametrize("bits", [4, 8, 15, 16, 24, 32])
def test_every_depth(card: Card, bits: int) -> None:
    card.set_size(64, 48, bits)
    card.dispi(VIRT_WIDTH, 96)
    card.dispi(X_OFFSET, 8)
    card.dispi(Y_OFFSET, 3)
    card.attributes({index: index for index in range(16)} | {0x12: 0xF})
    card.colors({index: (index & 0x3F, index >> 2, 63 - (index & 0x3F)) for index in range(256)})
    colors = {index: six_bits((index & 0x3F, index >> 2, 63 - (index & 0x3F))) for index in range(256)}
    noise = Random(bits).randbytes(64 * KiB)
    card.fill(noise)
    picture = card.picture()
    assert picture.shape == (48, 64)
    size = {15: 16}.get(bits, bits)
    for y in range(48):
        start = (y + 3) * 96 * size // 8
        assert picture[y].tolist() == [naive_pixel(noise, bits, start, x + 8, colors) for x in range(64)]


def test_eight_bits_of_a_colour(card: Card) -> None:
    card.set_size(8, 8, 8, DAC_8_BITS)
    card.colors({0: (0x12, 0xAB, 0xFF)})
    assert card.picture()[0, 0] == 0x12ABFF


def test_the_linear_memory_is_ram_and_one_page_is_drawn(bench: Bench, card: Card) -> None:
    card.set_size(1024, 768, 32)
    card.picture()
    assert card.view is not None
    bench.write_mmio(VRAM + 4096 * 5 + 8, 0x00AABBCC)
    damage = card.view.refresh()
    assert damage.rectangles == [(0, 5, 1024, 1)]
    assert card.card.screen.console.surface.pixels[5, 2] == 0xAABBCC
    assert not card.view.refresh()


def test_banks(bench: Bench, card: Card) -> None:
    card.set_size(640, 480, 8)
    card.misc(0x63)
    card.graphics({8: 0xFF})
    card.dispi(BANK, 3)
    card.window.write(0x10, 4, 0x01020304)
    assert bench.read_mmio(VRAM + 3 * 64 * KiB + 0x10) == 0x01020304
    card.dispi(BANK, 0xFFFF)  # beyond the memory: wraps
    card.window.write(0xFFFC, 4, 0x05060708)
    assert bench.read_mmio(VRAM + 16 * MiB - 4) == 0x05060708


def test_enabling_clears_what_shows(bench: Bench, card: Card) -> None:
    bench.write_mmio(VRAM, 0xFFFFFFFF)
    bench.write_mmio(VRAM + 640 * 480, 0xFFFFFFFF)
    card.set_size(640, 480, 8, KEEP)
    assert bench.read_mmio(VRAM) == 0xFFFFFFFF
    card.set_size(640, 480, 8)
    assert bench.read_mmio(VRAM) == 0
    assert bench.read_mmio(VRAM + 640 * 480) == 0xFFFFFFFF


def test_capabilities(card: Card) -> None:
    card.dispi(ENABLE, CAPABILITIES)
    assert (card.dispi_value(XRES), card.dispi_value(YRES), card.dispi_value(BPP)) == (8192, 8192, 32)
    assert card.dispi_value(MEMORY_64K) == 256
    assert card.dispi_value(ID) == 0xB0C5
    card.dispi(ID, 0xB0C2)
    card.dispi(ID, 0x1234)
    assert card.dispi_value(ID) == 0xB0C2


def test_registers_in_memory(bench: Bench, card: Card) -> None:
    for register, value in ((XRES, 800), (YRES, 600), (BPP, 32), (ENABLE, ENABLED)):
        bench.write_mmio(REGISTERS + 0x500 + 2 * register, value, 2)
    assert card.picture().shape == (600, 800)
    bench.write_mmio(REGISTERS + 0x400, 0x00, 1)  # the attribute index, without PAS
    assert bench.read_mmio(REGISTERS + 0x604) == 0x1E1E1E1E
    assert bench.read_mmio(REGISTERS + 0x41A, 1) in (0x00, 0x01, 0x09)


def test_the_size_of_the_memory(bench: Bench) -> None:
    card = Card(bench, vgamem_mb=3)
    bench.config_write(card.pci, 0x10, 4, 0xFFFF_FFFF)
    assert bench.config_read(card.pci, 0x10, 4) == 0xFFC0_0008
    assert card.dispi_value(MEMORY_64K) == 64


def test_the_video_bios(bench: Bench) -> None:
    device = bench.plug("std_vga")
    bench.place(device, "rom", 0xE300_0000)
    assert bench.read_mmio(0xE300_0000, 2) == 0xAA55
    with pytest.raises(
        RealizeError, match=r"other: romfile: there is no video BIOS 'none.bin' in .*apt-get install seabios"
    ):
        bench.plug("std_vga", "other", romfile="none.bin")


# --- what has gone wrong in device models before ---------------------------------------------------------------------


def test_cve_2016_3710_banked_access_stays_in_the_memory(card: Card) -> None:
    """Banks by which addresses lie behind the memory's end."""
    card.set_size(640, 480, 4)
    card.misc(0x63)
    card.graphics({5: 0, 6: 1, 8: 0xFF})
    card.sequencer({2: 0xF, 4: 6})
    for bank in (0, 63, 64, 255, 256, 0xFFFF):
        card.dispi(BANK, bank)
        for offset in (0, 0xFFFF, 0x10000, 0x1FFFF):
            card.window.write(offset, 1, 0xA5)
            card.window.read(offset, 1)
    assert not card.bench.guest_errors


def test_cve_2016_3712_sizes_do_not_overflow(bench: Bench) -> None:
    """Sizes and offsets whose product is more than the memory, or more than 32 bits."""
    card = Card(bench, vgamem_mb=1)
    for value in (0, 7, 0xFFFF):
        for bits in (4, 15, 24, 32, 33, 0):
            card.set_size(value, value, bits)
            card.dispi(VIRT_WIDTH, value)
            card.dispi(X_OFFSET, value)
            card.dispi(Y_OFFSET, value)
            height, width = card.picture().shape
            assert width * height <= 8192 * 8192
            dispi = card.card.dispi  # type: ignore[attr-defined]
            assert (dispi.Y_OFFSET.value + dispi.YRES.value) * dispi.pitch <= 1 * MiB


def test_cve_2017_13672_lines_beyond_the_memory_wrap(card: Card) -> None:
    """A VGA mode whose start and pitch lead behind the memory's end is drawn from what there is."""
    card.misc(0xE3)
    card.graphics({5: 0x40, 6: 5})
    card.crtc({0x11: 0, 1: 0xFF, 7: 0xFF, 9: 0, 0x12: 0xFF, 0x13: 0xFF, 0xC: 0xFF, 0xD: 0xFF, 0x17: 0})
    assert card.picture().shape == (1024, 2048)


def test_cve_2017_13673_a_smaller_picture_after_the_dirty_pages_were_taken(card: Card) -> None:
    """The picture's size changes between two looks, in which pages changed that only the larger one showed."""
    card.set_size(1024, 768, 32)
    card.picture()
    card.fill(bytes([255]) * 4096, 1024 * 4 * 700)
    card.set_size(64, 64, 8, KEEP)
    assert card.view is not None
    damage = card.view.refresh()
    assert damage.resized and damage.rectangles == [(0, 0, 64, 64)]


def test_the_monitor_tells_what_it_prefers(bench: Bench) -> None:
    card = Card(bench, xres=800, yres=600)
    read = bytes(bench.read_mmio(REGISTERS + at, 1) for at in range(SIZE + 4))
    assert read == edid(800, 600) + bytes([0xFF] * 4)
    bench.write_mmio(REGISTERS, 0, 4)
    assert card.bench.read_mmio(REGISTERS, 4) == 0xFFFF_FF00


def test_no_monitor_tells_nothing(bench: Bench) -> None:
    Card(bench, edid=False)
    assert bench.read_mmio(REGISTERS, 4) == 0xFFFF_FFFF


def test_a_monitor_that_no_timing_fits(bench: Bench) -> None:
    with pytest.raises(RealizeError, match="EDID of a monitor of 4095 by 4000 pixels at 60 Hz"):
        bench.plug("std_vga", romfile="", xres=4095, yres=4000)


def test_cve_2018_5683_2018_7550_vga_addresses_with_any_start(card: Card) -> None:
    """Start addresses at the end of the memory, and multiboot's trick: a window mapped far behind it."""
    for start in (0x0000, 0x7FFF, 0xFFFF):
        card.misc(0xE3)
        card.crtc({0x11: 0, 0xC: start >> 8, 0xD: start & 0xFF, 0x13: 0xFF, 1: 0x4F, 0x12: 0xFF, 7: 0x42})
        for mode in (0, 0x20, 0x40):
            card.graphics({5: mode, 6: 5})
            card.picture()


def test_cve_2014_3615_text_beyond_the_memory(bench: Bench) -> None:
    """Text, cursor and fonts whose addresses are beyond a small memory."""
    card = Card(bench, vgamem_mb=1)
    card.misc(0x67)
    card.graphics({6: 0xE})
    card.sequencer({1: 0, 3: 0x3F})
    card.crtc({0x11: 0, 1: 0xFF, 7: 0xFF, 9: 0, 0x12: 0xFF, 0x13: 0xFF, 0xC: 0xFF, 0xD: 0xFF, 0xE: 0xFF, 0xF: 0xFF})
    assert card.picture().shape == (1024, 256 * 9)


@settings(max_examples=40, deadline=None)
@given(
    st.lists(st.tuples(st.integers(0, 10), st.integers(0, 0xFFFF)), max_size=30),
    st.sampled_from([4, 8, 15, 16, 24, 32]),
)
def test_any_registers_give_a_picture_of_the_memory(writes: list[tuple[int, int]], bits: int) -> None:
    card = Card(Bench(), vgamem_mb=1)
    card.set_size(320, 200, bits)
    card.fill(Random(bits).randbytes(1 * MiB))
    for register, value in writes:
        card.dispi(register, value)
        kept = card.picture()
        card.card.screen.redraw()
        assert np.array_equal(kept, card.picture())
