"""A description under way, in which each piece knows by which option it came."""

from __future__ import annotations

from typing import Any

from ..description.nodes import Node, OptionLocation, Scalar, Table, from_plain
from .draft import Part


class Tree:
    """Keys, and sections of parts."""

    def __init__(self) -> None:
        self._top: dict[str, Node] = {}
        self._sections: dict[str, dict[str, Node]] = {}

    def set(self, key: str, value: Any, option: str) -> None:
        """Sets a key of the description itself."""
        self._top[key] = from_plain(value, _place(option))

    def part(self, section: str, part: Part) -> None:
        """Adds a part."""
        self._sections.setdefault(section, {})[part.id] = from_plain(
            {"type": part.type, **part.values}, _place(part.option)
        )

    def change(self, section: str, id: str, values: dict[str, Any], option: str) -> None:
        """Lays `values` over what the shipped description, or the tree so far, says of a part."""
        over = from_plain(values, _place(option))
        there = self._sections.setdefault(section, {}).get(id)
        assert isinstance(over, Table)
        if isinstance(there, Table):
            over = Table({**there.entries, **over.entries}, {**there.keys, **over.keys}, there.location)
        self._sections[section][id] = over

    def remove(self, section: str, id: str, option: str) -> None:
        """The shipped description's part isn't there."""
        self._sections.setdefault(section, {})[id] = Scalar(None, _place(option))

    def parts(self, section: str) -> dict[str, Node]:
        """The parts so far, and changes of parts, by id."""
        return self._sections.get(section, {})

    def table(self, option: str) -> Table:
        """All of it; `option` is the one that has no place of its own."""
        place = _place(option)
        sections = {name: _table(parts, place) for name, parts in self._sections.items() if parts}
        return _table({**self._top, **sections}, place)


def _place(option: str) -> OptionLocation:
    return OptionLocation(option, 1, 1)


def _table(entries: dict[str, Node], place: OptionLocation) -> Table:
    return Table(entries, {key: node.location for key, node in entries.items()}, place)
