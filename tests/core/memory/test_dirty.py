from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from southbridge.memory.dirty import DirtyPages
from southbridge.memory.ram import PAGE_SIZE, RamBlock

PAGES = 8
BLOCK = RamBlock("ram", PAGES * PAGE_SIZE)


@given(
    st.integers(0, PAGES - 1),
    st.integers(1, PAGES),
    st.lists(st.tuples(st.integers(0, PAGES * PAGE_SIZE - 1), st.integers(0, 3 * PAGE_SIZE)), max_size=4),
)
def test_marks_are_the_pages_that_hold_a_changed_byte(first: int, count: int, writes: list[tuple[int, int]]) -> None:
    count = min(count, PAGES - first)
    log = DirtyPages(BLOCK, first * PAGE_SIZE, count * PAGE_SIZE)
    changed: set[int] = set()
    for offset, length in writes:
        length = min(length, BLOCK.size - offset)
        log.mark(offset, length)
        changed |= {address // PAGE_SIZE for address in range(offset, offset + length)}
    assert log.take().tolist() == [page in changed for page in range(first, first + count)]


def test_the_whole_block_by_default_or_from_an_offset_on() -> None:
    assert len(DirtyPages(BLOCK).take()) == PAGES
    assert len(DirtyPages(BLOCK, 3 * PAGE_SIZE).take()) == PAGES - 3


def test_taking_clears() -> None:
    log = DirtyPages(BLOCK)
    log.mark(0, 1)
    taken = log.take()
    log.mark(PAGE_SIZE, 1)
    assert taken.tolist()[:2] == [True, False]
    assert log.take().tolist()[:2] == [False, True]
    assert not log.take().any()


def test_an_accelerators_pages_are_added() -> None:
    log = DirtyPages(BLOCK, 0, 3 * PAGE_SIZE)
    log.mark(0, 1)
    log.merge(np.array([False, False, True]))
    assert log.take().tolist() == [True, False, True]


@given(st.integers(0, 0x8000), st.integers(-0x3000, 0x3000), st.integers(0, 0x3000), st.integers(0, 20))
def test_rows_mark_the_pages_that_they_touch(offset: int, pitch: int, length: int, rows: int) -> None:
    block = RamBlock("video", 16 * PAGE_SIZE)
    one_by_one, at_once = (
        DirtyPages(block, 2 * PAGE_SIZE, 6 * PAGE_SIZE),
        DirtyPages(block, 2 * PAGE_SIZE, 6 * PAGE_SIZE),
    )
    for row in range(rows):
        one_by_one.mark(offset + row * pitch, length)
    at_once.mark_rows(offset, pitch, length, rows)
    assert at_once.take().tolist() == one_by_one.take().tolist()
