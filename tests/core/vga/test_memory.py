"""The window at A0000h, against a model that goes bit by bit."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st
from southbridge.testing import Bench

from tests.core.vga.cards import MODE_12, MODE_13, Guest, PlainCard, set_mode
from tests.core.vga.naive import Planes

BYTE = st.integers(0, 255)
SR = st.fixed_dictionaries({2: st.integers(0, 15), 4: st.sampled_from([2, 6, 0xE, 0xA])})
GR = st.fixed_dictionaries(
    {
        **{index: st.integers(0, 15) for index in (0, 1, 2, 7)},
        3: st.integers(0, 0x1F),
        4: st.integers(0, 3),
        5: st.sampled_from([mode | extra for mode in range(4) for extra in (0, 8, 0x10, 0x18)]),
        6: st.just(5),
        8: BYTE,
    }
)
ACCESS = st.tuples(st.booleans(), st.integers(0, 255), BYTE)


@settings(max_examples=150)
@given(st.lists(st.tuples(SR, GR, st.lists(ACCESS, max_size=20)), min_size=1, max_size=4))
def test_every_mode_against_the_naive_model(
    rounds: list[tuple[dict[int, int], dict[int, int], list[tuple[bool, int, int]]]],
) -> None:
    bench = Bench()
    guest = Guest(bench, bench.plug(PlainCard, "card"))
    guest.misc(0x67)
    model = Planes()
    for sr, gr, accesses in rounds:
        guest.sequencer(sr)
        guest.graphics(gr)
        model.sr, model.gr = sr, gr
        linear = guest.card.vga.memory.linear
        for is_write, address, value in accesses:
            if is_write:
                guest.window.write(address, 1, value)
                model.write(address, value)
            else:
                found = guest.window.read(address, 1)
                assert found == model.read(address)
        if linear:  # the latches aren't filled by what doesn't come by them
            model.latches = [guest.card.vga.latches >> 8 * plane & 0xFF for plane in range(4)]
    memory = guest.card.vram.block.view
    for plane in range(4):
        assert memory[plane : 4 * 256 : 4].tobytes() == bytes(model.planes[plane][:256])


def test_wide_accesses_are_bytes_one_after_the_other(guest: Guest) -> None:
    set_mode(guest, MODE_12)
    guest.window.write(0x100, 4, 0x44332211)
    assert [guest.window.read(0x100 + index, 1) for index in range(4)] == [0x11, 0x22, 0x33, 0x44]
    assert guest.window.read(0x101, 2) == 0x3322


def test_where_the_memory_shows(guest: Guest) -> None:
    set_mode(guest, MODE_12)
    for map, inside, outside in ((0, 0x1FFFF, None), (1, 0xFFFF, 0x10000), (2, 0x10000, 0x18000), (3, 0x18000, 0xFFFF)):
        guest.graphics({6: map << 2 | 1})
        guest.window.write(inside, 1, 0x5A)
        assert guest.window.read(inside, 1) == (0x5A if map else 0xFF)  # the plane ends at 64 KiB
        if outside is not None:
            guest.window.write(outside, 1, 0x5A)
            assert guest.window.read(outside, 1) == 0xFF


def test_what_is_the_memory_as_it_is_is_ram(guest: Guest) -> None:
    set_mode(guest, MODE_13)
    section = guest.window.find(0x1234)
    assert section is not None and section.block is guest.card.vram.block
    guest.window.write(0x1234, 4, 0x12345678)
    assert guest.card.vram.block.view[0x1234:0x1238].tobytes() == bytes.fromhex("78563412")
    guest.graphics({8: 0x0F})
    section = guest.window.find(0x1234)
    assert section is not None and section.ram is None


def test_memory_off(guest: Guest) -> None:
    set_mode(guest, MODE_13)
    guest.misc(0x61)
    guest.window.write(0, 1, 1)
    assert guest.window.read(0, 1) == 0xFF
    assert guest.card.vram.block.view[0] == 0


def test_no_decoding_no_answer(bench: Bench, guest: Guest) -> None:
    set_mode(guest, MODE_13)
    bench.config_write(guest.pci, 0x04, 2, 0)
    assert bench.read_port(0x3CC) == 0xFF
    assert guest.window.find(0) is None
