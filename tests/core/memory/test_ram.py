from __future__ import annotations

import ctypes
import mmap

import pytest
from southbridge.memory.dirty import DirtyPages
from southbridge.memory.ram import PAGE_SIZE, RamBlock


@pytest.mark.parametrize("size", [0, -PAGE_SIZE, 1, PAGE_SIZE + 1])
def test_a_block_has_whole_pages(size: int) -> None:
    with pytest.raises(ValueError, match="vram: a RAM block's size"):
        RamBlock("vram", size)


def test_memory_is_zeroed_and_page_aligned() -> None:
    block = RamBlock("ram", 3 * PAGE_SIZE)
    assert bytes(block.view) == bytes(3 * PAGE_SIZE)
    assert block.host_address % PAGE_SIZE == 0


def test_buffer_view_and_host_address_are_one_memory() -> None:
    block = RamBlock("ram", PAGE_SIZE)
    block.view[16:20] = b"abcd"
    assert block.buffer[16:20] == b"abcd"
    assert ctypes.string_at(block.host_address + 16, 4) == b"abcd"


def test_a_large_block_costs_nothing_until_it_is_touched() -> None:
    block = RamBlock("ram", 1 << 40)
    assert "buffer" not in vars(block)
    block.view[-1] = 1
    assert block.view[(1 << 40) - 1] == 1


def test_every_log_of_a_block_is_told() -> None:
    block = RamBlock("ram", 2 * PAGE_SIZE)
    logs = [DirtyPages(block), DirtyPages(block, PAGE_SIZE)]
    block.dirty.extend(logs)
    block.mark_dirty(PAGE_SIZE, 1)
    assert [log.take().tolist() for log in logs] == [[False, True], [True]]


def test_shared_memory_keeps_its_contents_and_its_address() -> None:
    block = RamBlock("ram", 4 * PAGE_SIZE)
    address, view = block.host_address, block.view
    view[PAGE_SIZE : PAGE_SIZE + 4] = b"kept"
    descriptor = block.share()
    assert block.share() == descriptor
    assert block.host_address == address
    assert bytes(view[PAGE_SIZE : PAGE_SIZE + 4]) == b"kept"
    with mmap.mmap(descriptor, PAGE_SIZE, offset=PAGE_SIZE) as again:
        assert again[:4] == b"kept"
        again[:4] = b"seen"
    assert bytes(view[PAGE_SIZE : PAGE_SIZE + 4]) == b"seen"


def test_memory_that_nobody_has_looked_at_is_shared_too() -> None:
    block = RamBlock("ram", PAGE_SIZE)
    with mmap.mmap(block.share(), PAGE_SIZE) as other:
        other[:3] = b"new"
    assert bytes(block.view[:3]) == b"new"
