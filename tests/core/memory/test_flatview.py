from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from southbridge.memory.flatview import flatten
from southbridge.memory.ram import PAGE_SIZE, RamBlock
from southbridge.memory.regions import Alias, Container, Ram, Region, Section

from tests.core.memory.naive import Bytes, Node, answers, trees, unfolded


@given(trees())
def test_each_address_is_answered_as_the_naive_model_says(nodes: list[Node]) -> None:
    assert unfolded(flatten(nodes[-1].region)) == answers(nodes[-1])


@given(trees())
def test_sections_are_ascending_and_as_long_as_can_be(nodes: list[Node]) -> None:
    for first, second in pairwise(flatten(nodes[-1].region)):
        assert first.end <= second.start
        continues = (first.region, first.end, first.offset + first.size, first.readonly)
        assert continues != (second.region, second.start, second.offset, second.readonly)


def container(size: int, *children: tuple[int, Region, int]) -> Container:
    made = Container("container", size)
    for offset, region, priority in children:
        made.add(offset, region, priority)
    return made


def shape(root: Region) -> list[tuple[int, int, str, int]]:
    return [(section.start, section.size, section.region.name, section.offset) for section in flatten(root)]


def test_higher_priority_hides_and_splits() -> None:
    root = container(16, (0, Bytes("low", 16), 0), (4, Bytes("high", 4), 1))
    assert shape(root) == [(0, 4, "low", 0), (4, 4, "high", 0), (8, 8, "low", 8)]


def test_of_equal_priorities_the_last_added_answers() -> None:
    root = container(8, (0, Bytes("first", 8), 0), (2, Bytes("second", 2), 0))
    assert shape(root) == [(0, 2, "first", 0), (2, 2, "second", 0), (4, 4, "first", 4)]


def test_a_priority_counts_within_its_container_only() -> None:
    inner = container(8, (0, Bytes("inner", 8), 9))
    assert shape(container(8, (0, inner, 0), (0, Bytes("outer", 8), 1))) == [(0, 8, "outer", 0)]


def test_what_sticks_out_of_a_container_does_not_show() -> None:
    inner = container(4, (-2, Bytes("before", 4), 0), (3, Bytes("behind", 4), 0))
    assert shape(container(16, (8, inner, 0))) == [(8, 2, "before", 2), (11, 1, "behind", 0)]


def test_alias_of_a_container_shows_a_part_of_it_elsewhere() -> None:
    inner = container(8, (0, Bytes("a", 4), 0), (4, Bytes("b", 4), 0))
    root = container(16, (0, inner, 0), (8, Alias("alias", inner, 2, 4), 0))
    assert shape(root) == [(0, 4, "a", 0), (4, 4, "b", 0), (8, 2, "a", 2), (10, 2, "b", 0)]


def test_alias_shows_less_than_its_size_where_its_target_ends() -> None:
    assert shape(container(16, (0, Alias("alias", Bytes("a", 4), 2, 8), 0))) == [(0, 2, "a", 2)]


def test_readonly_alias_makes_rom_of_ram_but_not_the_other_way() -> None:
    ram = Ram("ram", RamBlock("block", PAGE_SIZE))
    root = container(
        2 * PAGE_SIZE,
        (0, Alias("outer", Alias("inner", ram, 0, PAGE_SIZE), 0, 16, readonly=True), 1),
        (0, ram, 0),
    )
    assert flatten(root) == [Section(0, 16, ram, 0, True), Section(16, PAGE_SIZE - 16, ram, 16, False)]


def test_adjacent_pieces_of_the_same_memory_are_one_section() -> None:
    ram = Ram("ram", RamBlock("block", PAGE_SIZE))
    root = container(PAGE_SIZE, (0, Alias("low", ram, 0, 16), 0), (16, Alias("high", ram, 16, 16), 0))
    assert flatten(root) == [Section(0, 32, ram, 0, False)]


def test_pieces_of_two_regions_are_two_sections_though_their_memory_is_one() -> None:
    block = RamBlock("block", PAGE_SIZE)
    first, second = Ram("first", block), Ram("second", block)
    root = container(PAGE_SIZE, (0, Alias("low", first, 0, 16), 0), (16, Alias("high", second, 16, 16), 0))
    assert [section.region for section in flatten(root)] == [first, second]


def test_a_disabled_region_hides_nothing() -> None:
    hidden = Bytes("hidden", 8)
    root = container(8, (0, Bytes("shown", 8), 0), (0, hidden, 1))
    hidden.enabled = False
    assert shape(root) == [(0, 8, "shown", 0)]


@pytest.mark.parametrize("size", [0, -1])
def test_a_region_has_a_size(size: int) -> None:
    with pytest.raises(ValueError, match="empty"):
        Container("empty", size)
