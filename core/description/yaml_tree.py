"""From YAML text to a tree of nodes: a small, strict part of YAML 1.2.

A plain scalar is null (or nothing at all), true, false, a decimal, hexadecimal (0x), octal (0o) or binary (0b)
integer, or else a string: `01.0` is a PCI address, `no` a word, `12:30` no number. Tags, merge keys, several documents,
keys that are not strings and keys that are there twice are errors. What an input can cost is bounded: its size, its
depth, and how many nodes its aliases stand for.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Any

import yaml

from ..errors import DescriptionError, Location
from ..units import MiB
from .nodes import Node, Scalar, Sequence, Table, shown, what_is

MAX_SIZE = MiB
MAX_DEPTH = 32
MAX_NODES = 100_000
MAX_DIGITS = 40

Locate = Callable[[int, int], Location]
"""Gives the location of a line and a column, both counted from 1."""

_INTEGER = re.compile(r"[-+]?(?:0|[1-9][0-9]*|0x[0-9a-fA-F]+|0o[0-7]+|0b[01]+)")
_UNPRINTABLE = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x84\x86-\x9f\ud800-\udfff\ufeff\ufffe\uffff]")
_WORDS: dict[str, bool | None] = {"": None, "null": None, "true": True, "false": False}

_Loader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
"""PyYAML's parser in C if it was built with it."""


def decode(data: bytes, file: str) -> str:
    """`data` as text. Raises DescriptionError if it is too large, or not UTF-8."""
    if len(data) > MAX_SIZE:
        raise DescriptionError("larger than 1 MiB, which no machine description is", Location(file, 1, 1))
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        before = data[: error.start].decode("utf-8-sig", "replace")
        message = f"expected UTF-8, not the byte {error.object[error.start]:#04x}"
        raise DescriptionError(message, Location(file, *_line_and_column(before, len(before)))) from None


def parse(text: str, locate: Locate) -> Node | None:
    """The document in `text`; None if there is none. Raises DescriptionError."""
    unprintable = _UNPRINTABLE.search(text)
    if unprintable:
        where = locate(*_line_and_column(text, unprintable.start()))
        raise DescriptionError(f"the character U+{ord(unprintable[0]):04X} has no place in YAML", where)
    try:
        return _Composer(yaml.parse(text, Loader=_Loader), locate).document()
    except yaml.MarkedYAMLError as error:
        raise _syntax_error(error, text, locate) from None


class _Composer:
    """Builds nodes from the parser's events."""

    def __init__(self, events: Iterator[Any], locate: Locate) -> None:
        self._events = events
        self._locate = locate
        self._anchors: dict[str, Node] = {}

    def document(self) -> Node | None:
        next(self._events)  # the stream's start
        if isinstance(next(self._events), yaml.StreamEndEvent):
            return None
        root = self._node(next(self._events), "", 0)
        next(self._events)  # the document's end
        after = next(self._events)
        if not isinstance(after, yaml.StreamEndEvent):
            raise DescriptionError("expected one document, and here begins another", self._place(after))
        return root

    def _node(self, event: Any, path: str, depth: int) -> Node:
        place = self._place(event)
        if isinstance(event, yaml.AliasEvent):
            if event.anchor not in self._anchors:
                raise DescriptionError(
                    f"the alias *{event.anchor} names nothing that is complete before it", place, path
                )
            return self._anchors[event.anchor]
        if event.tag is not None:
            raise DescriptionError(f"tags aren't supported; here is {shown(event.tag)}", place, path)
        if depth > MAX_DEPTH:
            raise DescriptionError(f"more than {MAX_DEPTH} levels deep", place)
        node: Node
        if isinstance(event, yaml.ScalarEvent):
            node = Scalar(_resolve(event, place, path), place)
        elif isinstance(event, yaml.SequenceStartEvent):
            node = self._sequence(place, path, depth)
        else:
            node = self._table(place, path, depth)
        if event.anchor is not None:
            self._anchors[event.anchor] = node
        return node

    def _sequence(self, place: Location, path: str, depth: int) -> Sequence:
        items: list[Node] = []
        weight = 1
        while not isinstance(event := next(self._events), yaml.SequenceEndEvent):
            items.append(self._node(event, f"{path}[{len(items)}]", depth + 1))
            weight = self._weigh(weight, items[-1], event)
        return Sequence(tuple(items), place, weight)

    def _table(self, place: Location, path: str, depth: int) -> Table:
        entries: dict[str, Node] = {}
        keys: dict[str, Location] = {}
        weight = 1
        while not isinstance(event := next(self._events), yaml.MappingEndEvent):
            key = self._key(event, path, depth)
            dotted = f"{path}.{key}" if path else key
            if key in entries:
                raise DescriptionError(f"there already, in line {keys[key].line}", self._place(event), dotted)
            keys[key] = self._place(event)
            value = next(self._events)
            entries[key] = self._node(value, dotted, depth + 1)
            if key == "type" and isinstance(value, yaml.ScalarEvent) and value.value == "null":
                entries[key] = Scalar("null", entries[key].location)  # the type of that name: a type is never removed
            weight = self._weigh(weight, entries[key], value)
        return Table(entries, keys, place, weight)

    def _key(self, event: Any, path: str, depth: int) -> str:
        node = self._node(event, path, depth + 1)
        if not isinstance(node, Scalar) or not isinstance(node.value, str):
            raise DescriptionError(f"expected a name as key, not {what_is(node)}", self._place(event), path)
        if node.value == "<<" and isinstance(event, yaml.ScalarEvent) and event.implicit[0]:
            message = "merge keys (<<) aren't supported; `extends` lays one description over another"
            raise DescriptionError(message, self._place(event), path)
        return node.value

    def _weigh(self, weight: int, node: Node, event: Any) -> int:
        weight += node.weight
        if weight > MAX_NODES:
            raise DescriptionError(f"aliases expand this to more than {MAX_NODES} values", self._place(event))
        return weight

    def _place(self, event: Any) -> Location:
        return self._locate(event.start_mark.line + 1, event.start_mark.column + 1)


def _resolve(event: Any, place: Location, path: str) -> bool | int | str | None:
    text: str = event.value
    if not event.implicit[0]:  # quoted, or a block
        return text
    if text in _WORDS:
        return _WORDS[text]
    if _INTEGER.fullmatch(text):
        if len(text) > MAX_DIGITS:
            raise DescriptionError(f"a number of {len(text)} digits is too large", place, path)
        return int(text, 0)
    return text


def _syntax_error(error: yaml.MarkedYAMLError, text: str, locate: Locate) -> DescriptionError:
    mark = error.problem_mark or error.context_mark
    line, column = (mark.line, mark.column) if mark else (0, 0)
    lines = text.split("\n")
    if line < len(lines) and lines[line][column : column + 1] == "\t":
        message = "expected spaces, not a tab: YAML doesn't indent with tabs"
    else:
        message = f"not YAML: {error.problem or 'unreadable'}" + (f" ({error.context})" if error.context else "")
    return DescriptionError(message, locate(line + 1, column + 1))


def _line_and_column(text: str, index: int) -> tuple[int, int]:
    return text.count("\n", 0, index) + 1, index - text.rfind("\n", 0, index)
