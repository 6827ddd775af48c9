from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from southbridge.memory.dirty import DirtyPages
from southbridge.memory.ram import PAGE_SIZE, RamBlock
from southbridge.memory.regions import Alias, Container, Io, Ram, Section
from southbridge.memory.space import AddressSpace

from tests.core.memory.naive import SIZE, Bytes, Node, answers, edges, trees, unfolded

WIDTHS = st.sampled_from([1, 2, 4, 8])


def space_of(nodes: list[Node]) -> AddressSpace:
    space = AddressSpace("space", SIZE)
    space.root.add(0, nodes[-1].region)
    return space


class Follower:
    """A listener that knows the map from what it was told alone."""

    def __init__(self) -> None:
        self.sections: list[Section] = []

    def region_added(self, section: Section) -> None:
        assert all(section.start >= other.end or section.end <= other.start for other in self.sections)
        self.sections.append(section)

    def region_removed(self, section: Section) -> None:
        self.sections.remove(section)


def change(data: st.DataObject, nodes: list[Node]) -> None:
    """One random change of the tree."""
    node = data.draw(st.sampled_from(nodes[:-1]), "region")
    region = node.region
    parents = [parent for parent in nodes if any(child is node for _, _, child in parent.children)]
    others = [n for n in nodes[nodes.index(node) + 1 :] if isinstance(n.region, Container) and n not in parents]
    kind = data.draw(st.sampled_from(["switch", "point", "add", "remove", "move"]), "change")
    offset = data.draw(st.integers(-4, SIZE), "offset")
    if kind == "point" and isinstance(region, Alias):
        region.point(offset)
    elif kind == "add" and others:
        data.draw(st.sampled_from(others)).add(offset, node, data.draw(st.integers(-1, 1)))
    elif kind == "remove" and parents:
        parents[0].remove(node)
    elif kind == "move" and parents:
        parents[0].move(node, offset)
    else:
        region.enabled = not region.enabled


@given(trees(), st.data())
def test_the_map_follows_every_change_and_so_do_listeners(nodes: list[Node], data: st.DataObject) -> None:
    space, follower = space_of(nodes), Follower()
    space.add_listener(follower)
    for _ in range(data.draw(st.integers(1, 6), "changes")):
        change(data, nodes)
        assert unfolded(space.sections) == answers(nodes[-1])
        assert sorted(follower.sections, key=lambda section: section.start) == space.sections
    late = Follower()
    space.add_listener(late)
    assert late.sections == space.sections
    space.remove_listener(late)
    assert late.sections == []


@given(trees(), st.data())
def test_a_transaction_takes_effect_at_its_end(nodes: list[Node], data: st.DataObject) -> None:
    space, follower = space_of(nodes), Follower()
    space.add_listener(follower)
    before = space.sections
    with space.transaction():
        with space.transaction():
            change(data, nodes)
        change(data, nodes)
        assert space.sections == before
        assert follower.sections == before
    assert unfolded(space.sections) == answers(nodes[-1])
    assert sorted(follower.sections, key=lambda section: section.start) == space.sections


def test_a_transaction_ends_by_an_exception_too() -> None:
    space = AddressSpace("space", 16)
    with pytest.raises(KeyError), space.transaction():
        space.root.add(0, Bytes("a", 16))
        raise KeyError
    assert len(space.sections) == 1


# --- accesses: sections that meet within one ----------------------------------------------------------------------


def memory_of(node: Node, address: int) -> tuple[bytearray | memoryview, int, bool] | None:
    """Where the byte at `address` is kept, by the model, and whether it may be written."""
    found = node.answer(address)
    if found is None:
        return None
    region, offset, readonly = found
    if isinstance(region, Bytes):
        return region.contents, offset, True
    assert isinstance(region, Ram)
    return region.block.view, region.offset + offset, not readonly


@given(trees(), st.data(), WIDTHS)
def test_a_read_is_made_of_the_bytes_at_its_addresses(nodes: list[Node], data: st.DataObject, size: int) -> None:
    space = space_of(nodes)
    address = data.draw(edges(space.sections))
    for node in nodes:
        if isinstance(node.region, Ram):
            node.region.block.view[:] = bytes(range(256)) * (PAGE_SIZE // 256)
    places = [memory_of(nodes[-1], address + index) for index in range(size)]
    expected = bytes(place[0][place[1]] if place else 0xFF for place in places)
    for _ in range(2):
        assert space.read(address, size) == int.from_bytes(expected, "little")


@given(trees(), st.data(), WIDTHS)
def test_a_write_reaches_the_bytes_at_its_addresses(nodes: list[Node], data: st.DataObject, size: int) -> None:
    space, value = space_of(nodes), 0xF8F7_F6F5_F4F3_F2F1
    address = data.draw(edges(space.sections))
    places = [memory_of(nodes[-1], address + index) for index in range(size)]
    kept = {id(n.region): n.region.contents for n in nodes if isinstance(n.region, Bytes)}
    kept |= {id(n.region.block.view): n.region.block.view for n in nodes if isinstance(n.region, Ram)}  # type: ignore[misc]
    names = {id(memory): name for name, memory in kept.items()}
    expected = {name: bytearray(memory) for name, memory in kept.items()}
    for index, place in enumerate(places):
        if place is not None and place[2]:
            expected[names[id(place[0])]][place[1]] = value >> 8 * index & 0xFF
    space.write(address, size, value)
    assert {name: bytearray(memory) for name, memory in kept.items()} == expected


# --- accesses: widths --------------------------------------------------------------------------------------------


class Device:
    """Records the accesses that reach it; reads give the offset's bytes counted up."""

    id = "device"

    def __init__(self, widths: set[int], size: int = 32) -> None:
        self.calls: list[tuple[Any, ...]] = []
        self.region = Io("registers", size, self.read, self.write, widths=widths, owner=self)
        self.space = AddressSpace("space", 64)
        self.space.root.add(0, self.region)
        self.unassigned: list[tuple[str, int, int]] = []
        self.space.on_unassigned = lambda *what: self.unassigned.append(what)

    def read(self, offset: int, size: int) -> int:
        self.calls.append((offset, size))
        return int.from_bytes(range(offset, offset + size), "little")

    def write(self, offset: int, size: int, value: int) -> None:
        self.calls.append((offset, size, value))


@pytest.mark.parametrize(
    ("widths", "address", "size", "calls"),
    [
        ({1, 2, 4}, 4, 4, [(4, 4)]),
        ({1, 2, 4}, 8, 8, [(8, 4), (12, 4)]),
        ({1, 2, 4, 8}, 8, 8, [(8, 8)]),
        ({1, 2, 4}, 2, 4, [(2, 2), (4, 2)]),
        ({1, 2, 4}, 1, 2, [(1, 1), (2, 1)]),
        ({1}, 4, 4, [(4, 1), (5, 1), (6, 1), (7, 1)]),
        ({2}, 0, 4, [(0, 2), (2, 2)]),
    ],
)
def test_a_device_gets_only_its_own_widths_aligned(
    widths: set[int], address: int, size: int, calls: list[tuple[int, int]]
) -> None:
    device = Device(widths)
    value = int.from_bytes(range(address, address + size), "little")
    assert device.space.read(address, size) == value
    assert device.calls == calls
    device.calls.clear()
    device.space.write(address, size, value)
    assert device.calls == [(o, s, int.from_bytes(range(o, o + s), "little")) for o, s in calls]


@pytest.mark.parametrize(("widths", "address", "size"), [({4}, 0, 1), ({4}, 4, 2), ({2, 4}, 3, 1), ({4}, 2, 4)])
def test_an_access_that_a_device_has_no_width_for_is_refused(widths: set[int], address: int, size: int) -> None:
    device = Device(widths)
    assert device.space.read(address, size) == (1 << 8 * size) - 1
    device.space.write(address, size, 0)
    assert device.calls == []
    assert [(what, at) for what, at, _ in device.unassigned] == [
        ("registers: refused read", address),
        ("registers: refused write", address),
    ]


def test_nothing_reads_as_ones_and_swallows_writes() -> None:
    device = Device({1})
    assert [device.space.read(48, size) for size in (1, 2, 4, 8)] == [(1 << bits) - 1 for bits in (8, 16, 32, 64)]
    device.space.write(48, 4, 0)
    assert device.calls == []
    assert device.unassigned[-1] == ("write", 48, 4)


def test_the_whole_of_a_register_counts_though_another_device_has_one_byte_of_it() -> None:
    device, other = Device({1, 2, 4}), Bytes("reset control", 1)
    device.space.root.add(9, other, priority=1)
    assert device.space.read(8, 4) == 0x0B0A_0908
    assert device.space.read(9, 1) == other.contents[0]
    assert device.space.read(8, 2) == 0x0908
    device.space.write(8, 4, 0x55_0000)
    assert other.contents[0] != 0x55


def test_rom_ignores_writes_or_tells_whoever_asked() -> None:
    told: list[tuple[int, int, int]] = []
    space, block = AddressSpace("space", 4 * PAGE_SIZE), RamBlock("rom", PAGE_SIZE)
    space.root.add(0, Ram("rom", block, readonly=True))
    space.root.add(PAGE_SIZE, Ram("flash", block, readonly=True, on_write=lambda *what: told.append(what)))
    space.root.add(2 * PAGE_SIZE, Alias("ram", Ram("ram", block), 0, PAGE_SIZE, readonly=True))
    for address in (16, PAGE_SIZE + 16, 2 * PAGE_SIZE + 16):
        space.write(address, 2, 0xBEEF)
    assert not any(block.view)
    assert told == [(16, 2, 0xBEEF)]


def test_writes_to_ram_mark_it_dirty() -> None:
    space, block = AddressSpace("space", 2 * PAGE_SIZE), RamBlock("ram", 2 * PAGE_SIZE)
    space.root.add(0, Ram("ram", block))
    log = DirtyPages(block)
    block.dirty.append(log)
    space.write(PAGE_SIZE, 4, 1)
    assert log.take().tolist() == [False, True]


@given(
    st.lists(st.tuples(st.integers(0, 15), st.integers(1, 8)), min_size=1, max_size=4),
    st.lists(st.tuples(st.integers(0, 16), st.integers(-1, 1)), min_size=1, max_size=8),
)
def test_what_was_found_in_a_page_is_not_taken_for_all_of_it(
    places: list[tuple[int, int]], looks: list[tuple[int, int]]
) -> None:
    """Regions begin and end within pages; a look at one address doesn't spoil the next."""
    unit = PAGE_SIZE // 2
    space = AddressSpace("space", 16 * unit)
    regions = [(offset * unit, Device({1}, size * unit).region) for offset, size in places]
    for offset, region in regions:
        space.root.add(offset, region)
    for half, step in looks:
        address = half * unit + step
        there = [region for offset, region in regions if 0 <= address - offset < region.size]
        section = space.find(address)
        if not 0 <= address < 16 * unit or not there:
            assert section is None
        else:
            assert section is not None
            assert section.region is there[-1]


# --- links -------------------------------------------------------------------------------------------------------


class Linked(Io):
    """Gives a function for each address, and counts how often it was asked for one."""

    def __init__(self, name: str, value: int) -> None:
        super().__init__(name, 16, lambda offset, size: value, self.store)
        self.value = value
        self.links = 0
        self.stored: list[int] = []

    def link_read(self, offset: int, size: int) -> Callable[[], int]:
        self.links += 1
        return lambda: self.value

    def link_write(self, offset: int, size: int) -> Callable[[int], Any]:
        self.links += 1
        return self.stored.append

    def store(self, offset: int, size: int, value: int) -> None:
        raise AssertionError("it is linked")


def test_an_address_is_linked_once_until_the_map_changes() -> None:
    space, region = AddressSpace("space", 64), Linked("a", 1)
    space.root.add(0, region)
    assert [space.read(4, 1) for _ in range(3)] == [1, 1, 1]
    assert region.links == 1
    space.root.add(32, Linked("b", 2))
    assert space.read(4, 1) == 1
    assert region.links == 2


def test_a_link_does_not_outlive_its_place_in_the_map() -> None:
    space, region = AddressSpace("space", 64), Linked("a", 1)
    space.root.add(0, region)
    assert space.read(4, 1) == 1
    space.root.move(region, 32)
    assert space.read(4, 1) == 0xFF
    assert space.read(36, 1) == 1


def test_a_linked_write_gets_only_the_bytes_of_its_size() -> None:
    space, region = AddressSpace("space", 64), Linked("a", 1)
    space.root.add(0, region)
    for _ in range(2):
        space.write(0, 2, 0x12_3456)
        space.write(0, 1, -1)
    assert region.stored == [0x3456, 0xFF] * 2


# --- faults ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("linked", [False, True], ids=["plain", "linked"])
def test_what_a_device_raises_goes_to_the_fault_handler(linked: bool) -> None:
    def fail(*args: int) -> int:
        raise ZeroDivisionError

    class Faulty(Io):
        def link_read(self, offset: int, size: int) -> Callable[[], int] | None:
            return fail if linked else None

        def link_write(self, offset: int, size: int) -> Callable[[int], Any] | None:
            return fail if linked else None

    faults: list[tuple[Io, int, str]] = []
    space = AddressSpace("space", 64, lambda region, at, error: faults.append((region, at, type(error).__name__)))
    region = Faulty("faulty", 16, fail, fail)
    space.root.add(16, region)
    for _ in range(2):
        assert space.read(20, 2) == 0xFFFF
        space.write(21, 1, 0)
    assert faults == [(region, 4, "ZeroDivisionError"), (region, 5, "ZeroDivisionError")] * 2


def test_a_broken_region_reads_as_ones_and_is_left_alone() -> None:
    device = Device({1, 2, 4})
    device.region.broken = True
    assert device.space.read(0, 4) == 0xFFFF_FFFF
    device.space.write(0, 4, 0)
    assert device.calls == []


def test_a_string_of_accesses_goes_to_one_address() -> None:
    """What a region can't do at once is done one by one."""
    told: list[int] = []
    values = iter(range(1, 100))

    class Stream(Io):
        def link_read_string(self, offset: int, size: int) -> Callable[[int], bytes] | None:
            return (
                (lambda items: b"\xaa\xbb" * min(items, 2) if not told else b"") if (offset, size) == (2, 2) else None
            )

        def link_write_string(self, offset: int, size: int) -> Callable[[memoryview], int] | None:
            return (lambda data: 4 if len(data) > 4 else 0) if (offset, size) == (2, 2) else None

    space = AddressSpace("ports", 0x100)
    space.root.add(0x10, Stream("stream", 8, lambda o, s: next(values), lambda o, s, value: told.append(value)))
    assert space.read_string(0x10, 2, 3) == b"\1\0\2\0\3\0"
    assert space.read_string(0x12, 2, 3) == b"\xaa\xbb" * 3
    space.write_string(0x12, 2, bytes(range(6)))
    assert told == [0x0504]
    assert space.read_string(0x12, 2, 2) == b"\4\0\5\0"
    assert space.read_string(0x50, 4, 2) == b"\xff" * 8
    space.write_string(0x50, 1, b"xx")


def test_a_device_that_fails_in_a_string_is_broken() -> None:
    failed: list[Exception] = []

    def fault(region: Io, offset: int, error: Exception) -> None:
        region.broken = True
        failed.append(error)

    class Failing(Io):
        def link_read_string(self, offset: int, size: int) -> Callable[[int], bytes] | None:
            return lambda items: bytes(1 // (items - items))

        def link_write_string(self, offset: int, size: int) -> Callable[[memoryview], int] | None:
            return lambda data: 1 // (len(data) - len(data))

    for write in (False, True):
        space = AddressSpace("ports", 0x100, fault)
        space.root.add(0, Failing("failing", 8, lambda o, s: 1, lambda o, s, value: None))
        if write:
            space.write_string(0, 1, b"xy")
        else:
            assert space.read_string(0, 1, 2) == b"\xff\xff"
    assert [type(error) for error in failed] == [ZeroDivisionError] * 2
