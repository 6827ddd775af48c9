"""A VGA's registers as the guest sees them."""

from __future__ import annotations

from southbridge.testing import Bench

from tests.core.vga.cards import MODE_03, MODE_12, Guest, set_mode


def test_indexed_registers(bench: Bench, guest: Guest) -> None:
    guest.sequencer({2: 0xFF})
    bench.write_port(0x3C4, 2)
    assert bench.read_port(0x3C5) == 0x0F
    bench.write_port(0x3C4, 0x77)
    assert bench.read_port(0x3C5) == 0


def test_the_crt_controller_is_where_misc_output_says(bench: Bench, guest: Guest) -> None:
    guest.misc(0x67)
    guest.crtc({0x12: 0x34})
    assert bench.read_port(0x3D5) == 0x34
    assert bench.read_port(0x3B5) == 0xFF
    guest.misc(0x66)
    assert bench.read_port(0x3B5) == 0x34
    assert bench.read_port(0x3D5) == 0xFF
    assert bench.read_port(0x3CC) == 0x66


def test_protected_registers(bench: Bench, guest: Guest) -> None:
    set_mode(guest, MODE_12)
    guest.crtc({0: 1, 7: 0})
    bench.write_port(0x3D4, 0)
    assert bench.read_port(0x3D5) == 0x5F
    bench.write_port(0x3D4, 7)
    assert bench.read_port(0x3D5) == 0x2E  # line compare's bit alone


def test_attributes_take_index_and_data_in_turn(bench: Bench, guest: Guest) -> None:
    guest.misc(0x67)
    bench.read_port(0x3DA)
    guest.out(0x3C0, 0x05, 0x2A)
    guest.out(0x3C0, 0x05)
    bench.read_port(0x3DA)
    guest.out(0x3C0, 0x05)
    assert bench.read_port(0x3C1) == 0x2A
    assert bench.read_port(0x3C0) == 0x05
    bench.read_port(0x3DA)
    guest.out(0x3C0, 0x25, 0x11)  # the palette is the display's
    assert bench.read_port(0x3C1) == 0x2A


def test_colours_go_in_threes(bench: Bench, guest: Guest) -> None:
    guest.out(0x3C8, 254)
    guest.out(0x3C9, 1, 2, 3, 0xFF, 5, 6, 7, 8, 9)
    guest.out(0x3C7, 254)
    assert bench.read_port(0x3C7) == 3
    assert [bench.read_port(0x3C9) for _ in range(9)] == [1, 2, 3, 0x3F, 5, 6, 7, 8, 9]
    guest.out(0x3C8, 0)
    assert bench.read_port(0x3C7) == 0


def test_the_retrace_comes_round(bench: Bench, guest: Guest) -> None:
    set_mode(guest, MODE_03)
    seen = set()
    for _ in range(2000):
        seen.add(bench.read_port(0x3DA))
        bench.clock.advance(us=10)
    assert seen == {0x00, 0x01, 0x09}


def test_the_latch_can_be_read(bench: Bench, guest: Guest) -> None:
    set_mode(guest, MODE_12)
    guest.fill(b"\x11\x22\x33\x44")
    guest.window.read(0, 1)
    guest.graphics({4: 2})
    bench.write_port(0x3D4, 0x22)
    assert bench.read_port(0x3D5) == 0x33
