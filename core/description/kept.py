"""The trees of the shipped descriptions, kept beside them as Python keeps byte code: in `__pycache__`.

To read YAML, its parser's import included, is a twentieth of a machine's start. A tree is kept for one state of its
file: its modification time and size. What is no tree, or another state's, is as if it weren't there.
"""

from __future__ import annotations

import marshal
import os
import sys
from pathlib import Path
from typing import Any

from ..errors import Location
from .nodes import Node, Scalar, Sequence, Table

_FORM = 1
"""Of what is kept; another one for each change of it, or of what YAML means to us."""


def kept(path: Path) -> Node | None:
    """The tree of the description `path` that was kept; None if there is none of this state of the file."""
    try:
        state, root = marshal.loads(_place(path).read_bytes())
        return _node(root, str(path)) if state == _state(path) else None
    except (OSError, EOFError, ValueError, TypeError):
        return None


def keep(path: Path, tree: Node) -> None:
    """Keeps `tree` for the next time, if it can be written."""
    place = _place(path)
    unfinished = place.with_suffix(f".{os.getpid()}")
    try:
        place.parent.mkdir(exist_ok=True)
        unfinished.write_bytes(marshal.dumps((_state(path), _plain(tree))))
        unfinished.replace(place)
    except OSError:
        return


def _place(path: Path) -> Path:
    return path.parent / "__pycache__" / f"{path.stem}.{sys.implementation.cache_tag}.tree"


def _state(path: Path) -> tuple[int, int, int]:
    status = path.stat()
    return _FORM, int(status.st_mtime), status.st_size


def _plain(node: Node) -> tuple[Any, ...]:
    """What marshal can write: the value, the place, the weight; of a table also each key's place."""
    _, line, column = node.location
    if isinstance(node, Scalar):
        return node.value, line, column, node.weight
    if isinstance(node, Sequence):
        return [_plain(item) for item in node.items], line, column, node.weight
    entries = {key: (node.keys[key][1:], _plain(value)) for key, value in node.entries.items()}
    return entries, line, column, node.weight


def _node(plain: tuple[Any, ...], file: str) -> Node:
    value, line, column, weight = plain
    location = Location(file, line, column)
    if isinstance(value, list):
        return Sequence(tuple(_node(item, file) for item in value), location, weight)
    if isinstance(value, dict):
        keys = {key: Location(file, *place) for key, (place, _) in value.items()}
        return Table({key: _node(entry, file) for key, (_, entry) in value.items()}, keys, location, weight)
    return Scalar(value, location, weight)
