"""One client's conversation: pictures, sizes, the pointer, keys; and what a client must not be able to do."""

from __future__ import annotations

import asyncio
import struct

import numpy as np
import pytest
from southbridge.display import Cursor, Rectangle
from southbridge.input import LARGEST_POSITION, LEFT, RIGHT

from .stage import Stage, noise, staged
from .viewer import (
    ALPHA_CURSOR,
    CURSOR,
    DESKTOP_SIZE,
    ENCODINGS,
    EXTENDED_DESKTOP_SIZE,
    EXTENDED_KEYS,
    POINTER_MOTION,
    RAW,
    ZRLE,
    Format,
    Viewer,
)
from .viewer import Rectangle as Sent

SHIFT, CAPS_LOCK = 0xFFE1, 0xFFE5


async def hung_up(viewer: Viewer) -> None:
    """Returns once the server has hung up."""
    await viewer.reader.read()
    viewer.writer.close()


# --- pictures ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("encoding", ENCODINGS.values(), ids=ENCODINGS.keys())
def test_the_picture_and_its_changes(encoding: int) -> None:
    async def test(stage: Stage) -> None:
        stage.draw(noise(100, 70))
        viewer = await stage.viewer(encoding)
        assert (viewer.width, viewer.height, viewer.name) == (100, 70, "stage")
        viewer.request(incremental=False)
        (rectangle,) = await viewer.update()
        assert rectangle == Sent(0, 0, 100, 70, encoding)
        assert stage.seen(viewer)
        viewer.request()
        stage.draw(noise(5, 5, seed=2), x=30, y=20)
        (rectangle,) = await viewer.update()
        assert rectangle == Sent(16, 16, 32, 16, encoding)
        assert stage.seen(viewer)

    staged(test)


def test_a_part_is_asked_for() -> None:
    async def test(stage: Stage) -> None:
        viewer = await stage.viewer(RAW)
        viewer.request(incremental=False)
        await viewer.update()
        viewer.request(incremental=False, area=(0, 0, 10, 10))
        assert await viewer.update() == [Sent(0, 0, 16, 16, RAW)]
        viewer.request(incremental=False, area=(60_000, 60_000, 5_000, 5_000))
        viewer.request(incremental=False, area=(90, 60, 60_000, 60_000))
        assert await viewer.update() == [Sent(80, 48, 20, 22, RAW)]

    staged(test)


def test_what_was_drawn_again_is_not_sent_again() -> None:
    """The device may say more than what differs."""

    async def test(stage: Stage) -> None:
        viewer = await stage.viewer(RAW)
        viewer.request(incremental=False)
        await viewer.update()
        viewer.request()
        everything = Rectangle(0, 0, 100, 70)
        stage.draw(np.zeros((70, 100), dtype=np.uint32), said=everything)
        stage.draw(noise(1, 1), x=99, y=69, said=everything)
        assert await viewer.update() == [Sent(96, 64, 4, 6, RAW)]

    staged(test)


def test_formats_change_in_between() -> None:
    async def test(stage: Stage) -> None:
        stage.draw(noise(100, 70))
        viewer = await stage.viewer(ZRLE)
        for pixel_format in (
            Format(16, 16, True, (31, 63, 31), (11, 5, 0)),
            Format(8, 8, False, (7, 7, 3), (0, 3, 6)),
            Format(32, 24, False, shifts=(0, 8, 16)),
        ):
            viewer.set_format(pixel_format)
            viewer.request(incremental=False)
            await viewer.update()
            assert stage.seen(viewer)
        viewer.set_format(Format(8, 8, False, (7, 7, 3), (0, 3, 6), true_colour=False))
        viewer.request(incremental=False)
        await viewer.update()
        assert len(viewer.colour_map) == 6 * 256
        assert stage.seen(viewer)

    staged(test)


def test_unknown_encodings_leave_raw() -> None:
    async def test(stage: Stage) -> None:
        viewer = await stage.viewer(1, 2, 99, -1000, 0x48323634)
        viewer.request(incremental=False)
        assert [rectangle.encoding for rectangle in await viewer.update()] == [RAW]

    staged(test)


def test_a_large_picture_comes_in_pieces() -> None:
    async def test(stage: Stage) -> None:
        stage.draw(noise(1024, 600))
        viewer = await stage.viewer(RAW)
        viewer.request(incremental=False)
        sizes = [(rectangle.y, rectangle.height) for rectangle in await viewer.update()]
        assert sizes == [(0, 256), (256, 256), (512, 88)]
        assert stage.seen(viewer)

    staged(test, 1024, 600)


def test_tight_splits_what_is_too_wide_for_it() -> None:
    async def test(stage: Stage) -> None:
        stage.draw(noise(2100, 20, colours=50))
        viewer = await stage.viewer(ENCODINGS["tight"])
        viewer.request(incremental=False)
        assert [(rectangle.x, rectangle.width) for rectangle in await viewer.update()] == [(0, 2048), (2048, 52)]
        assert stage.seen(viewer)

    staged(test, 2100, 20)


# --- sizes ------------------------------------------------------------------------------------------------------------


def test_the_desktop_changes_its_size() -> None:
    async def test(stage: Stage) -> None:
        viewer = await stage.viewer(RAW, DESKTOP_SIZE)
        viewer.request(incremental=False)
        await viewer.update()
        viewer.request()
        stage.console.resize(50, 90)
        stage.draw(noise(50, 90))
        assert await viewer.update() == [Sent(0, 0, 50, 90, DESKTOP_SIZE)]
        viewer.request()
        await viewer.update()
        assert stage.seen(viewer)

    staged(test)


def test_the_extended_desktop_size() -> None:
    async def test(stage: Stage) -> None:
        viewer = await stage.viewer(RAW, EXTENDED_DESKTOP_SIZE, DESKTOP_SIZE)
        viewer.request(incremental=False)
        assert await viewer.update() == [Sent(0, 0, 100, 70, EXTENDED_DESKTOP_SIZE)]
        viewer.request()
        await viewer.update()
        assert stage.seen(viewer)
        viewer.request()
        stage.console.resize(60, 40)
        assert await viewer.update() == [Sent(0, 0, 60, 40, EXTENDED_DESKTOP_SIZE)]
        viewer.request()
        viewer.write(struct.pack(">BxHHBx", 251, 800, 600, 1) + bytes(16))
        first = await viewer.update()
        viewer.request()
        refused = [Sent(1, 1, 60, 40, EXTENDED_DESKTOP_SIZE)]  # the client asked; prohibited
        assert refused in (first, await viewer.update())

    staged(test)


@pytest.mark.parametrize(("width", "height"), [(50, 40), (200, 150)])
def test_cve_2015_5225_no_rectangle_leaves_what_the_client_knows(width: int, height: int) -> None:
    """A client that can't be told of another size goes on with what fits into the old one."""

    async def test(stage: Stage) -> None:
        viewer = await stage.viewer(RAW)
        viewer.request(incremental=False)
        await viewer.update()
        stage.console.resize(width, height)
        stage.draw(noise(width, height))
        viewer.request()
        await viewer.update()  # the viewer looks at each rectangle
        known = stage.console.surface.pixels[:70, :100].tolist()
        assert [row[:100] for row in known] == [row[:width] for row in viewer.picture[:height]]

    staged(test)


def test_the_size_changes_again_and_again() -> None:
    async def test(stage: Stage) -> None:
        viewer = await stage.viewer(ZRLE, DESKTOP_SIZE)
        viewer.request(incremental=False)
        await viewer.update()
        for side in (16, 17, 1, 200, 3):
            stage.console.resize(side, side + 1)
            stage.draw(noise(side, side + 1, side))
            while not stage.seen(viewer):
                viewer.request()
                await viewer.update()

    staged(test)


# --- the pointer ------------------------------------------------------------------------------------------------------

HALF = 0x80FF_0000
ARROW = Cursor(3, 2, 1, 1, np.array([[0xFFFF_FFFF, 0, HALF], [0xFF00_FF00, 0xFFFF_FFFF, 0]], dtype=np.uint32))


def test_a_pointer_with_a_mask() -> None:
    async def test(stage: Stage) -> None:
        stage.console.define_cursor(ARROW)
        stage.console.move_cursor(10, 10, True)
        viewer = await stage.viewer(RAW, CURSOR)
        viewer.request(incremental=False)
        rectangles = await viewer.update()
        assert rectangles[0] == Sent(1, 1, 3, 2, CURSOR)
        assert viewer.cursor is not None
        pixels = np.frombuffer(viewer.cursor[1][:24], dtype="<u4").tolist()
        assert pixels == [0xFFFFFF, 0, 0xFF0000, 0x00FF00, 0xFFFFFF, 0]
        assert viewer.cursor[1][24:] == bytes([0b1010_0000, 0b1100_0000])
        assert stage.seen(viewer)  # it isn't in the picture
        viewer.request()
        stage.console.move_cursor(11, 11, False)
        assert await viewer.update() == [Sent(0, 0, 0, 0, CURSOR)]

    staged(test)


def test_a_pointer_with_alpha() -> None:
    async def test(stage: Stage) -> None:
        viewer = await stage.viewer(RAW, ALPHA_CURSOR, CURSOR)
        viewer.request(incremental=False)
        await viewer.update()
        viewer.request()
        stage.console.define_cursor(ARROW)
        stage.console.move_cursor(10, 10, True)
        assert await viewer.update() == [Sent(1, 1, 3, 2, ALPHA_CURSOR)]
        assert viewer.cursor is not None
        white, clear, half = b"\xff\xff\xff\xff", bytes(4), b"\x80\0\0\x80"
        assert viewer.cursor[1] == white + clear + half + b"\0\xff\0\xff" + white + clear

    staged(test)


def test_a_pointer_is_drawn_for_clients_that_cannot_show_it() -> None:
    async def test(stage: Stage) -> None:
        stage.draw(np.full((70, 100), 0x202020, dtype=np.uint32))
        stage.console.define_cursor(ARROW)
        stage.console.move_cursor(1, 1, True)
        viewer = await stage.viewer(RAW)
        viewer.request(incremental=False)
        await viewer.update()
        assert viewer.picture[0][:4] == [0xFFFFFF, 0x202020, 0x901010, 0x202020]
        assert viewer.picture[1][:4] == [0x00FF00, 0xFFFFFF, 0x202020, 0x202020]
        viewer.request()
        stage.console.move_cursor(100, 70, True)  # half of it is outside
        await viewer.update()
        assert viewer.picture[0][:3] == [0x202020] * 3
        assert viewer.picture[69][98:] == [0x202020, 0xFFFFFF]
        viewer.request()
        stage.console.move_cursor(100, 70, False)
        await viewer.update()
        assert stage.seen(viewer)

    staged(test)


# --- input ------------------------------------------------------------------------------------------------------------


async def settled(viewer: Viewer) -> None:
    """All that the viewer said so far has been heard: what it asks for now comes."""
    viewer.request(incremental=False)
    await viewer.update()


def test_keys_by_symbols() -> None:
    async def test(stage: Stage) -> None:
        viewer = await stage.viewer()
        for keysym, down in ((ord("a"), True), (ord("a"), False), (0xFF0D, True), (0xFF0D, False), (0x1234567, True)):
            viewer.key(keysym, down)
        await settled(viewer)
        assert stage.input.keys == [("a", True), ("a", False), ("ret", True), ("ret", False)]

    staged(test)


def test_capitals_of_a_client_that_types_characters() -> None:
    async def test(stage: Stage) -> None:
        viewer = await stage.viewer()
        for down in (True, False):
            viewer.key(ord("A"), down)
        await settled(viewer)
        assert stage.input.keys == [("shift", True), ("a", True), ("shift", False), ("a", False)]
        stage.input.keys.clear()
        for keysym, down in ((SHIFT, True), (ord("!"), True), (ord("!"), False), (SHIFT, False)):
            viewer.key(keysym, down)
        await settled(viewer)
        assert stage.input.keys == [("shift", True), ("1", True), ("1", False), ("shift", False)]
        stage.input.keys.clear()
        for keysym in (CAPS_LOCK, ord("A")):
            viewer.key(keysym, True)
            viewer.key(keysym, False)
        await settled(viewer)
        assert stage.input.keys == [("caps_lock", True), ("caps_lock", False), ("a", True), ("a", False)]

    staged(test)


def test_a_key_goes_up_as_what_it_went_down_as() -> None:
    """Shift may go up before the key does, which then has another symbol; both are the same key."""

    async def test(stage: Stage) -> None:
        viewer = await stage.viewer()
        for keysym, down in ((SHIFT, True), (ord("A"), True), (SHIFT, False), (ord("a"), False)):
            viewer.key(keysym, down)
        await settled(viewer)
        assert stage.input.keys == [("shift", True), ("a", True), ("shift", False), ("a", False)]

    staged(test)


def test_extended_keys() -> None:
    async def test(stage: Stage) -> None:
        viewer = await stage.viewer(RAW, EXTENDED_KEYS)
        await settled(viewer)
        assert viewer.extended_keys
        viewer.qemu_key(ord("y"), 0x2C, True)  # the key that is z on a US keyboard
        viewer.qemu_key(ord("y"), 0x2C, False)
        viewer.qemu_key(0xFF51, 0xCB, True)
        viewer.qemu_key(0xFF51, 0xCB, False)
        viewer.qemu_key(ord("b"), 0, True)  # no number: the symbol counts
        viewer.qemu_key(ord("b"), 0, False)
        viewer.qemu_key(0, 0xFFFF_FFFF, True)
        await settled(viewer)
        keys = [(key, down) for key in ("z", "left", "b") for down in (True, False)]
        assert stage.input.keys == keys

    staged(test)


def test_keys_and_buttons_go_up_when_their_client_leaves() -> None:
    async def test(stage: Stage) -> None:
        viewer = await stage.viewer()
        viewer.key(ord("a"), True)
        viewer.point(5, 5, 1)
        await settled(viewer)
        viewer.writer.close()
        await asyncio.wait(stage.tasks)
        assert stage.input.keys == [("a", True), ("a", False)]
        assert [(move.pressed, move.released) for move in stage.input.moves] == [(LEFT, 0), (0, LEFT)]

    staged(test)


def test_a_client_holds_no_more_keys_than_it_could() -> None:
    async def test(stage: Stage) -> None:
        viewer = await stage.viewer()
        for number in range(1, 256):
            viewer.qemu_key(0, number, True)
        await settled(viewer)
        assert len(stage.input.keys) == 32

    staged(test)


def test_a_tablet() -> None:
    async def test(stage: Stage) -> None:
        viewer = await stage.viewer(RAW, POINTER_MOTION)
        await settled(viewer)
        assert viewer.relative is False
        viewer.point(99, 0, 4)
        viewer.point(60_000, 69, 0)
        await settled(viewer)
        first, second = stage.input.moves
        assert (first.x, first.y, first.pressed) == (LARGEST_POSITION, 0, RIGHT)
        assert (second.x, second.y, second.released) == (LARGEST_POSITION, LARGEST_POSITION, RIGHT)

    staged(test)


def test_a_mouse_and_a_client_that_says_where_it_is() -> None:
    async def test(stage: Stage) -> None:
        stage.input.absolute = False
        viewer = await stage.viewer()
        for x, y, mask in ((10, 10, 0), (13, 8, 0), (13, 8, 16), (13, 8, 0), (13, 8, 8)):
            viewer.point(x, y, mask)
        await settled(viewer)
        assert [(move.dx, move.dy, move.dz) for move in stage.input.moves] == [
            (0, 0, 0),
            (3, -2, 0),
            (0, 0, 1),
            (0, 0, 0),
            (0, 0, -1),
        ]

    staged(test)


def test_a_mouse_and_a_client_that_says_how_it_moves() -> None:
    async def test(stage: Stage) -> None:
        stage.input.absolute = False
        viewer = await stage.viewer(RAW, POINTER_MOTION)
        await settled(viewer)
        assert viewer.relative is True
        viewer.point(0x7FFF + 5, 0x7FFF - 4)
        await settled(viewer)
        assert (stage.input.moves[0].dx, stage.input.moves[0].dy) == (5, -4)
        stage.input.absolute = True  # the guest has found the tablet
        await settled(viewer)
        assert viewer.relative is False

    staged(test)


# --- what a client must not be able to do -----------------------------------------------------------------------------


def cut_text(length: int) -> bytes:
    return struct.pack(">Bxxxi", 6, length)


def test_cut_text_is_dropped() -> None:
    async def test(stage: Stage) -> None:
        viewer = await stage.viewer()
        viewer.write(cut_text(100_000) + bytes(100_000))
        await settled(viewer)

    staged(test)


@pytest.mark.parametrize("length", [(1 << 20) + 1, (1 << 31) - 1])
def test_cut_text_beyond_what_anybody_copies(length: int) -> None:
    async def test(stage: Stage) -> None:
        viewer = await stage.viewer()
        viewer.write(cut_text(length))
        await hung_up(viewer)

    staged(test)


@pytest.mark.parametrize("length", [-1, -4, -(1 << 31)])
def test_cve_2022_3165_the_extended_clipboard_was_not_offered(length: int) -> None:
    """Lengths below zero are the extended clipboard's: less than its flags' four bytes too."""

    async def test(stage: Stage) -> None:
        viewer = await stage.viewer(RAW, -0x3F5E1E54)
        viewer.write(cut_text(length) + bytes(8))
        await hung_up(viewer)

    staged(test)


def test_cve_2023_3255_nothing_of_a_clients_is_inflated() -> None:
    """The extended clipboard's text is compressed, and could be without end; it isn't so much as read."""

    async def test(stage: Stage) -> None:
        viewer = await stage.viewer(RAW, -0x3F5E1E54)
        provide = struct.pack(">I", 1 << 28 | 1) + b"\x78\x9c"
        viewer.write(cut_text(-len(provide)) + provide)
        await hung_up(viewer)

    staged(test)


def test_cve_2014_7815_bits_per_pixel_end_the_conversation() -> None:
    async def test(stage: Stage) -> None:
        viewer = await stage.viewer()
        viewer.set_format(Format(bits=128))
        await hung_up(viewer)

    staged(test)


def test_a_message_that_does_not_exist() -> None:
    async def test(stage: Stage) -> None:
        viewer = await stage.viewer()
        viewer.write(b"\x77")
        await hung_up(viewer)

    staged(test)


def test_cve_2017_15124_a_client_that_does_not_read_costs_no_memory() -> None:
    """It asks and asks, everything changes all the time, and it takes nothing: what waits for it is bounded."""

    async def test(stage: Stage) -> None:
        slow, fast = await stage.viewer(RAW), await stage.viewer(RAW)
        for seed in range(8):
            stage.draw(noise(1024, 768, seed))
            for _ in range(20):
                slow.request(incremental=False)
            fast.request(incremental=False)
            await fast.update()
        waiting = [stream._writer.transport.get_write_buffer_size() for stream in stage.server.sessions.values()]  # type: ignore[attr-defined]
        assert len(waiting) == 2
        assert max(waiting) <= (1 << 20) + (1 << 16) + 100  # a piece, and what may wait before it is made
        assert slow.received < 100

    staged(test, 1024, 768)


def test_a_client_that_floods_leaves_others_their_turns() -> None:
    async def test(stage: Stage) -> None:
        loud, other = await stage.viewer(), await stage.viewer(RAW)
        for _ in range(20_000):
            loud.point(1, 1)
        other.request(incremental=False)
        await other.update()
        assert len(stage.input.moves) < 20_000

    staged(test)
