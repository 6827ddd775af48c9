from __future__ import annotations

from collections.abc import Callable, Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st
from southbridge.errors import GuestMemoryError
from southbridge.memory.dirty import DirtyPages
from southbridge.memory.guest import FlatGuestMemory
from southbridge.memory.ram import PAGE_SIZE, RamBlock
from southbridge.memory.regions import Alias, Ram
from southbridge.memory.space import AddressSpace
from southbridge.testing import FlatBenchMemory, WindowedBenchMemory

from tests.core.memory.naive import Bytes

LOW, HIGH, ROM, REGISTERS, END = (page * PAGE_SIZE for page in (0, 2, 3, 4, 5))
"""RAM, two pages of it; another block's; ROM; a device's registers; nothing."""

Make = Callable[[AddressSpace], FlatGuestMemory]


class Map:
    """Guest memory with two RAM blocks next to each other, ROM behind, then registers, then a hole."""

    def __init__(self, make: Make = FlatGuestMemory) -> None:
        self.space = AddressSpace("memory", 1 << 40)
        self.low, self.high = RamBlock("low", 4 * PAGE_SIZE), RamBlock("high", PAGE_SIZE)
        self.rom = RamBlock("rom", PAGE_SIZE)
        self.registers = Bytes("registers", PAGE_SIZE)
        low = Ram("low", self.low)
        # The block's third page first, then its first: one after the other for the guest, not for the host.
        self.space.root.add(LOW, Alias("low a", low, 2 * PAGE_SIZE, PAGE_SIZE))
        self.space.root.add(LOW + PAGE_SIZE, Alias("low b", low, 0, PAGE_SIZE))
        self.space.root.add(HIGH, Ram("high", self.high))
        self.space.root.add(ROM, Ram("rom", self.rom, readonly=True))
        self.space.root.add(REGISTERS, self.registers)
        self.memory = make(self.space)

    def contents(self) -> bytes:
        """What the guest sees of RAM and ROM."""
        low = self.low.view
        return (
            bytes(low[2 * PAGE_SIZE : 3 * PAGE_SIZE])
            + bytes(low[:PAGE_SIZE])
            + bytes(self.high.view)
            + bytes(self.rom.view)
        )

    def fill(self) -> bytes:
        """Puts something else into each byte's neighbours, and gives what the guest sees."""
        for block, step in ((self.low, 3), (self.high, 5), (self.rom, 7)):
            block.view[:] = bytes(step * index >> 2 & 0xFF for index in range(block.size))
        return self.contents()


PLACES = st.integers(0, END)
LENGTHS = st.integers(0, 3 * PAGE_SIZE)


@given(PLACES, LENGTHS)
def test_a_read_gives_what_the_guest_sees_or_names_the_first_address_that_is_no_memory(at: int, length: int) -> None:
    it = Map()
    contents = it.fill()
    if at + length <= REGISTERS or not length:
        assert it.memory.memory_read(at, length) == contents[at : at + length]
        return
    with pytest.raises(GuestMemoryError) as caught:
        it.memory.memory_read(at, length)
    assert caught.value.address == max(at, REGISTERS)


@given(PLACES, LENGTHS)
def test_a_write_stores_all_or_nothing(at: int, length: int) -> None:
    it = Map()
    before, data = it.fill(), bytes(index % 251 + 1 for index in range(length))
    if at + length <= ROM or not length:
        it.memory.memory_write(at, memoryview(data))
        assert it.contents() == before[:at] + data + before[at + length :]
        return
    with pytest.raises(GuestMemoryError) as caught:
        it.memory.memory_write(at, data)
    assert caught.value.address == (max(at, ROM) if at + length <= REGISTERS else max(at, REGISTERS))
    assert it.contents() == before


def test_a_write_tells_of_each_block_where_it_changed() -> None:
    it = Map()
    wrote: list[tuple[str, int, int]] = []
    memory = FlatGuestMemory(it.space, lambda block, places: wrote.extend((block.name, *it) for it in places))
    log = DirtyPages(it.low)
    it.low.dirty.append(log)
    memory.memory_write(PAGE_SIZE - 2, bytes(PAGE_SIZE + 4))
    assert wrote == [("low", 3 * PAGE_SIZE - 2, 2), ("low", 0, PAGE_SIZE), ("high", 0, 2)]
    assert log.take().tolist() == [True, False, True, False]


@given(st.lists(st.tuples(st.one_of(st.integers(0, ROM), PLACES), st.integers(0, PAGE_SIZE)), max_size=8))
def test_several_writes_are_what_they_are_one_by_one(places: list[tuple[int, int]]) -> None:
    """Memory, which pages are dirty, what a software CPU is told, and where it ends."""
    pieces = [(at, bytes([number + 1]) * length) for number, (at, length) in enumerate(places)]
    results = []
    for together in (False, True):
        it = Map()
        told: list[tuple[RamBlock, Sequence[tuple[int, int]]]] = []
        memory = FlatGuestMemory(it.space, lambda *stores, told=told: told.append(stores))
        logs = [DirtyPages(block) for block in (it.low, it.high)]
        for log in logs:
            log.block.dirty.append(log)
        left = iter(pieces)
        refused = None
        try:
            if together:
                memory.memory_write_several(left)
            else:
                for address, data in left:
                    memory.memory_write(address, data)
        except GuestMemoryError as error:
            refused = error.address
        wrote = sorted((block.name, *place) for block, places in told for place in places)
        results.append((it.contents(), [log.take().tolist() for log in logs], wrote, refused, list(left)))
    assert results[0] == results[1]


@pytest.mark.parametrize("make", [FlatBenchMemory, WindowedBenchMemory], ids=["flat", "windowed"])
class TestMappings:
    def test_a_mapping_ends_where_the_memory_behind_does(self, make: Make) -> None:
        it = Map(make)
        contents = it.fill()
        at, found = 100, b""
        while at < REGISTERS:
            mapping = it.memory.memory_map(at, REGISTERS - at, False)
            assert 0 < len(mapping) <= REGISTERS - at
            found += bytes(mapping.view)
            it.memory.memory_unmap(mapping, 0)
            at = 100 + len(found)
        assert found == contents[100:]

    def test_what_is_written_is_there_and_dirty_once_unmapped(self, make: Make) -> None:
        it = Map(make)
        log = DirtyPages(it.high)
        it.high.dirty.append(log)
        mapping = it.memory.memory_map(HIGH + 8, 4, True)
        mapping.view[:2] = b"ab"
        it.memory.memory_unmap(mapping, 2)
        assert it.contents()[HIGH + 8 : HIGH + 12] == b"ab\0\0"
        assert log.take().tolist() == [True]

    def test_a_mapping_for_reading_marks_nothing(self, make: Make) -> None:
        it = Map(make)
        log = DirtyPages(it.high)
        it.high.dirty.append(log)
        mapping = it.memory.memory_map(HIGH, 4, False)
        assert mapping.view.readonly
        it.memory.memory_unmap(mapping, 4)
        assert not log.take().any()

    @pytest.mark.parametrize(
        ("at", "write"), [(ROM, True), (REGISTERS, False), (REGISTERS, True), (END, False), (-1, False)]
    )
    def test_only_memory_can_be_mapped(self, make: Make, at: int, write: bool) -> None:
        with pytest.raises(GuestMemoryError) as caught:
            Map(make).memory.memory_map(at, 4, write)
        assert caught.value.address == at

    def test_rom_can_be_mapped_for_reading(self, make: Make) -> None:
        it = Map(make)
        contents = it.fill()
        mapping = it.memory.memory_map(ROM, 16, False)
        assert bytes(mapping.view) == contents[ROM : ROM + 16]
        it.memory.memory_unmap(mapping, 0)
