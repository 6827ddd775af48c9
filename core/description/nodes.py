"""A description as a tree that knows where each piece of it was written, and how one tree is laid over another."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from ..errors import Location


class OptionLocation(Location):
    """A place on the command line: `file` is the option. Paths that it names are relative to the working directory."""

    __slots__ = ()

    def __str__(self) -> str:
        return self.file


class Scalar(NamedTuple):
    """Nothing, a truth value, a number (a whole one, in YAML) or a text."""

    value: bool | int | float | str | None
    location: Location
    weight: int = 1

    def plain(self) -> Any:
        """As plain data."""
        return self.value


class Sequence(NamedTuple):
    """A list. `weight` is how many nodes it stands for, aliases expanded."""

    items: tuple[Node, ...]
    location: Location
    weight: int = 1

    def plain(self) -> Any:
        """As plain data."""
        return [item.plain() for item in self.items]


class Table(NamedTuple):
    """A mapping from names. `keys` has where each name was written."""

    entries: Mapping[str, Node]
    keys: Mapping[str, Location]
    location: Location
    weight: int = 1

    def plain(self) -> Any:
        """As plain data."""
        return {key: node.plain() for key, node in self.entries.items()}


Node = Scalar | Sequence | Table


def from_plain(value: Any, location: Location) -> Node:
    """What `plain` gave, as a tree all of which was written at `location`. Raises ValueError for what it can't give."""
    if isinstance(value, dict):
        if not all(isinstance(key, str) for key in value):
            raise ValueError("a description's keys are strings")
        entries = {key: from_plain(item, location) for key, item in value.items()}
        return Table(entries, dict.fromkeys(entries, location), location)
    if isinstance(value, list | tuple):
        return Sequence(tuple(from_plain(item, location) for item in value), location)
    if value is None or isinstance(value, bool | int | float | str):
        return Scalar(value, location)
    raise ValueError(f"a description has no {type(value).__name__}")


def what_is(node: Node) -> str:
    """What `node` is, for a message that says what was expected instead."""
    if isinstance(node, Table):
        return "a mapping"
    if isinstance(node, Sequence):
        return "a list"
    return shown(node.value)


def shown(value: object) -> str:
    """`value` as a user wrote it, cut short."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return str(value).lower()
    text = repr(value) if isinstance(value, int | str) else str(value)
    return text if len(text) <= 40 else f"{text[:37]}..."


def is_null(node: Node | None) -> bool:
    """Whether `node` is null."""
    return isinstance(node, Scalar) and node.value is None


def merge(base: Node, over: Node) -> Node:
    """`over` laid over `base`: mappings merge by key, null removes a key, anything else replaces.

    A mapping whose `type` differs replaces the other one whole: the other keys there belong to the old type. A null
    that finds nothing to remove stays.
    """
    if not (isinstance(base, Table) and isinstance(over, Table)) or _other_type(base, over):
        return over
    entries, keys = dict(base.entries), dict(base.keys)
    for key, node in over.entries.items():
        if is_null(node) and key in entries:
            del entries[key], keys[key]
        else:
            entries[key] = merge(entries[key], node) if key in entries else node
            keys[key] = over.keys[key]
    return Table(entries, keys, over.location)


def _other_type(base: Table, over: Table) -> bool:
    old, new = base.entries.get("type"), over.entries.get("type")
    return isinstance(old, Scalar) and isinstance(new, Scalar) and old.value != new.value


def folder(location: Location) -> Path:
    """What relative paths written at `location` are relative to."""
    return Path() if isinstance(location, OptionLocation) else Path(location.file).parent
