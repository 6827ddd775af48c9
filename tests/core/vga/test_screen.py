"""What a VGA shows, against pictures made pixel by pixel, and how little is drawn for it."""

from __future__ import annotations

from random import Random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from southbridge.display import Rectangle
from southbridge.testing import Bench

from tests.core.vga.cards import MODE_03, MODE_12, MODE_13, SIZE, Guest, PlainCard, set_mode
from tests.core.vga.naive import planar_pixel, six_bits, text_pixel

COLORS = {index: six_bits((index & 0x3F, index * 2 & 0x3F, 63 - (index & 0x3F))) for index in range(256)}
NOISE = Random(6).randbytes(SIZE)


def test_sixteen_colours(guest: Guest) -> None:
    set_mode(guest, MODE_12)
    guest.fill(NOISE)
    picture = guest.picture()
    assert picture.shape == (480, 640)
    expected = [[COLORS[planar_pixel(NOISE, 320 * y, x)] for x in range(640)] for y in range(480)]
    assert picture.tolist() == expected


def test_planes_that_do_not_show(guest: Guest) -> None:
    set_mode(guest, MODE_12)
    guest.attributes({0x12: 0b0101})
    guest.fill(NOISE)
    assert guest.picture()[0, :64].tolist() == [COLORS[planar_pixel(NOISE, 0, x) & 5] for x in range(64)]


def test_256_colours(guest: Guest) -> None:
    set_mode(guest, MODE_13)
    guest.fill(NOISE)
    picture = guest.picture()
    assert picture.shape == (400, 640)
    assert picture.tolist() == [[COLORS[NOISE[320 * (y // 2) + x // 2]] for x in range(640)] for y in range(400)]


def test_cgas_two_bits(guest: Guest) -> None:
    """Mode 4: even lines in the first 8 KiB of the planes, odd ones in the second; each pixel and line twice."""
    set_mode(guest, MODE_13)
    guest.sequencer({1: 9, 2: 3, 4: 2})
    guest.graphics({5: 0x30, 6: 0xF})
    guest.crtc({0x11: 0x0E, 1: 0x27, 9: 0xC1, 0x13: 0x14, 0x17: 0xA2})
    guest.fill(NOISE)
    picture = guest.picture()
    assert picture.shape == (400, 640)
    for y in (0, 1, 2, 3, 100, 399):
        row = y // 2
        start = (row & 1) * 0x4000 + row // 2 * 160
        for x in range(640):
            pixel = x // 2
            word = NOISE[start + pixel // 8 * 4 :][:4]
            low, high = (word[0], word[2]) if pixel % 8 < 4 else (word[1], word[3])
            shift = 6 - 2 * (pixel % 4)
            assert picture[y, x] == COLORS[low >> shift & 3 | (high >> shift & 3) << 2]


def test_text(guest: Guest) -> None:
    set_mode(guest, MODE_03)
    guest.fill(NOISE)
    picture = guest.picture()
    assert picture.shape == (400, 720)
    for y in (0, 5, 15, 16, 399):
        for x in range(720):
            cell = y // 16 * 320 + x // 9 * 4
            assert picture[y, x] == text_pixel(NOISE, cell, x % 9, y % 16, COLORS)


def test_two_fonts(guest: Guest) -> None:
    set_mode(guest, MODE_03)
    guest.sequencer({3: 0b00_0100})  # characters with attribute bit 3 from 16 KiB on
    guest.fill(NOISE)
    picture = guest.picture()
    for x in range(720):
        font = 0x4000 if NOISE[x // 9 * 4 + 1] & 8 else 0
        assert picture[3, x] == text_pixel(NOISE, x // 9 * 4, x % 9, 3, COLORS, font=font)


def test_a_monochrome_adapter_underlines(guest: Guest) -> None:
    set_mode(guest, MODE_03)
    guest.crtc({0x14: 12})
    guest.fill(bytes([0x20, 0x01, 0, 0, 0x20, 0x09, 0, 0, 0x20, 0x02, 0, 0, 0x20, 0x11, 0, 0]) * 500)
    assert not (guest.picture() == COLORS[9]).any()
    guest.attributes({0x10: 0x0E})
    picture = guest.picture()
    for x in range(36):
        expected = [COLORS[1], COLORS[9], COLORS[0], COLORS[1]][x // 9]
        assert picture[12, x] == picture[28, x] == expected
        assert picture[11, x] == picture[13, x] == (COLORS[1] if x >= 27 else COLORS[0])


def test_the_text_cursor(guest: Guest) -> None:
    set_mode(guest, MODE_03)
    guest.fill(bytes([0x20, 0x17, 0, 0]) * 2000)
    guest.crtc({0xA: 13, 0xB: 14, 0xE: 0, 0xF: 81})
    picture = guest.picture()
    lit = np.argwhere(picture == COLORS[7])
    assert lit.min(axis=0).tolist() == [16 + 13, 9]
    assert lit.max(axis=0).tolist() == [16 + 14, 17]
    guest.crtc({0xF: 0})
    assert guest.picture()[13, 0] == COLORS[7]
    assert (picture != guest.picture()).sum() == 2 * 2 * 9
    guest.crtc({0xA: 0x2D})
    assert not (guest.picture() == COLORS[7]).any()


def test_start_split_and_panning(guest: Guest) -> None:
    set_mode(guest, MODE_12)
    guest.fill(NOISE)
    guest.crtc({0xC: 0x01, 0xD: 0x02, 0x18: 199, 7: 0x2E, 9: 0})
    guest.attributes({0x13: 3})
    picture = guest.picture()
    for y, start in ((0, 0x408), (199, 0x408 + 199 * 320), (200, 0), (479, 279 * 320)):
        assert picture[y].tolist() == [COLORS[planar_pixel(NOISE, start, x + 3)] for x in range(640)]


def test_a_picture_at_the_memorys_end_goes_on_at_its_beginning(guest: Guest) -> None:
    set_mode(guest, MODE_12)
    guest.fill(NOISE)
    guest.crtc({0xC: 0xFF, 0xD: 0x00})
    picture = guest.picture()
    twice = NOISE + NOISE
    for y in (0, 3, 4, 479):
        start = 4 * 0xFF00 + 320 * y
        assert picture[y].tolist() == [COLORS[planar_pixel(twice, start, x)] for x in range(640)]
    guest.fill(b"\xff" * 4, 0)
    damage = guest.view.refresh() if guest.view else None
    assert damage is not None and damage.rectangles == [Rectangle(0, 3, 640, 13)]


@pytest.mark.parametrize("off", ["attribute index", "sequencer"])
def test_a_blank_screen(guest: Guest, off: str) -> None:
    set_mode(guest, MODE_13)
    guest.fill(NOISE)
    assert guest.picture().any()
    if off == "sequencer":
        guest.sequencer({1: 0x21})
    else:
        guest.bench.read_port(0x3DA)
        guest.out(0x3C0, 0)
    assert not guest.picture().any()


def test_only_what_changed_is_drawn(guest: Guest) -> None:
    set_mode(guest, MODE_13)
    guest.fill(NOISE)
    guest.picture()
    assert guest.view is not None
    assert not guest.view.refresh()
    guest.window.write(100 * 320 + 7, 1, NOISE[100 * 320 + 7] ^ 1)
    page = 100 * 320 // 4096 * 4096
    first, end = page // 320 * 2, -(-(page + 4096) // 320) * 2
    assert guest.view.refresh().rectangles == [Rectangle(0, first, 640, end - first)]
    assert guest.view.refresh().rectangles == []
    guest.colors({5: (1, 1, 1)})
    assert guest.view.refresh().rectangles == [Rectangle(0, 0, 640, 400)]
    guest.colors({5: (1, 1, 1)})
    assert not guest.view.refresh()


def test_text_that_changed_is_drawn_alone(guest: Guest) -> None:
    set_mode(guest, MODE_03)
    guest.fill(bytes(SIZE))
    guest.picture()
    assert guest.view is not None
    guest.window.write(0x18000 + 2 * (80 * 3 + 5), 2, 0x1741)
    guest.window.write(0x18000 + 2 * (80 * 3 + 9), 2, 0x1741)
    assert guest.view.refresh().rectangles == [Rectangle(45, 48, 45, 16)]
    guest.fill(bytes(SIZE)[: 4 * 240])
    assert not guest.view.refresh()


@settings(max_examples=25, deadline=None)
@given(st.data())
def test_what_is_kept_up_to_date_is_what_is_drawn_anew(data: st.DataObject) -> None:
    """Whatever the guest does between two looks: who looked before sees what one sees who looks for the first time."""
    bench = Bench()
    guest = Guest(bench, bench.plug(PlainCard, "card"))
    set_mode(guest, data.draw(st.sampled_from([MODE_12, MODE_13, MODE_03])))
    guest.fill(NOISE)
    guest.picture()
    for _ in range(data.draw(st.integers(1, 6))):
        action = data.draw(st.integers(0, 4))
        if action == 0:
            at = data.draw(st.integers(0, SIZE - 600))
            guest.fill(NOISE[: data.draw(st.integers(1, 600))], at)
        elif action == 1:
            guest.window.write(data.draw(st.integers(0, 0x1FFFF)), 1, data.draw(st.integers(0, 255)))
        elif action == 2:
            guest.crtc(
                {
                    data.draw(st.sampled_from([9, 0xA, 0xC, 0xD, 0xE, 0xF, 0x12, 0x13, 0x17, 0x18])): data.draw(
                        st.integers(0, 255)
                    )
                }
            )
        elif action == 3:
            guest.attributes({data.draw(st.integers(0, 0x14)): data.draw(st.integers(0, 63))})
        else:
            guest.sequencer({data.draw(st.sampled_from([1, 3])): data.draw(st.integers(0, 0x3F))})
        kept = guest.picture()
        guest.card.screen.redraw()
        assert np.array_equal(kept, guest.picture())


def test_nobody_looks_nothing_is_recorded(guest: Guest) -> None:
    block = guest.card.vram.block
    assert not block.dirty
    guest.picture()
    assert len(block.dirty) == 1
    assert guest.view is not None
    guest.view.close()
    assert not block.dirty
