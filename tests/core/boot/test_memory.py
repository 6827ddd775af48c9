"""Where there is room, against a naive model: a set of pages."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from southbridge.board import MemoryRange
from southbridge.boot.memory import DoesNotFit, Room, firmware_map

KIB, MIB, GIB = 1 << 10, 1 << 20, 1 << 30


def test_the_map_of_a_small_machine() -> None:
    assert firmware_map([MemoryRange(0, 16 * MIB)]) == [
        MemoryRange(0, 0x9FC00),
        MemoryRange(0x9FC00, 0x400, 2),
        MemoryRange(0xF0000, 0x10000, 2),
        MemoryRange(MIB, 15 * MIB),
    ]


def test_the_map_of_a_large_machine_with_something_reserved() -> None:
    known = firmware_map(
        [MemoryRange(0, 3 * GIB), MemoryRange(4 * GIB, 61 * GIB)], [MemoryRange(3 * GIB - 64 * KIB, 64 * KIB, 3)]
    )
    assert known[3:] == [
        MemoryRange(MIB, 3 * GIB - MIB - 64 * KIB),
        MemoryRange(3 * GIB - 64 * KIB, 64 * KIB, 3),
        MemoryRange(4 * GIB, 61 * GIB),
    ]


def test_high_room_is_below_the_limit_and_whole_pages() -> None:
    room = Room([MemoryRange(MIB, 63 * MIB)])
    assert room.take_high("initrd", 5000) == 64 * MIB - 8 * KIB
    assert room.take_high("initrd", 1, 32 * MIB + 100) == 32 * MIB - 4 * KIB
    assert room.take_high("initrd", 1) == 64 * MIB - 12 * KIB


def test_memory_above_4_gib_and_below_1_mib_isnt_used() -> None:
    room = Room([MemoryRange(0, 2 * MIB), MemoryRange(4 * GIB, GIB)])
    with pytest.raises(DoesNotFit) as caught:
        room.take_high("initrd", 2 * MIB)
    assert caught.value.what == "initrd"
    assert str(caught.value) == "it doesn't fit: it needs 2048 KiB below 0x100000000; free is 0x100000 to 0x200000"
    with pytest.raises(DoesNotFit):
        room.take("kernel", 0x1000, 0x1000)


PAGE = 4 * KIB
takes = st.tuples(st.integers(0, 40), st.integers(1, 12))


@given(st.lists(takes, max_size=12), st.lists(st.integers(1, 10), max_size=6))
def test_nothing_is_given_twice(places: list[tuple[int, int]], sizes: list[int]) -> None:
    room = Room([MemoryRange(MIB, 16 * PAGE), MemoryRange(MIB + 20 * PAGE, 16 * PAGE)])
    free = {*range(16), *range(20, 36)}
    for start, size in places:
        wanted = set(range(start, start + size))
        fits = wanted <= free and not (min(wanted) < 16 <= max(wanted))
        try:
            room.take("kernel", MIB + start * PAGE, size * PAGE)
            assert fits
            free -= wanted
        except DoesNotFit:
            assert not fits
    for size in sizes:
        possible = [start for start in range(40) if set(range(start, start + size)) <= free]
        try:
            start = (room.take_high("initrd", size * PAGE) - MIB) // PAGE
            assert start == max(possible)
            free -= set(range(start, start + size))
        except DoesNotFit:
            assert not possible
