"""One plugin's properties in a description: validated, with messages that say where and what was expected."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, get_args

from ..discovery import nearest
from ..errors import DescriptionError, Location
from ..properties import Configurable, InvalidProperties, declared_type, valid_properties
from ..units import parse_size
from .nodes import Node, Scalar, Sequence, Table, folder, is_null, what_is

_DECIMAL = re.compile(r"[-+]?[0-9]+\.[0-9]+")

_PHRASES = (
    ("Input should be a valid boolean", "expected true or false"),
    ("Input should be greater", "expected a number greater"),
    ("Input should be less", "expected a number less"),
    ("Input should be a valid integer", "expected an integer"),
    ("Input should be a valid ", "expected a "),
    ("Input should be ", "expected "),
    ("String should have ", "expected a string with "),
    ("String should match ", "expected a string that matches "),
)
"""How pydantic's messages begin, and how ours do."""


def check_key(table: Table, name: str, keys: tuple[str, ...], key: str) -> None:
    """Raises DescriptionError unless `name`, whose dotted key is `key`, is one of the `keys` that `table` may have."""
    if name not in keys:
        hint = nearest(name, keys) or f" (there are: {', '.join(keys)})"
        raise DescriptionError(f"there is no such key{hint}", table.keys[name], key)


def size_in_bytes(node: Node, key: str) -> int:
    """A size of memory. Raises DescriptionError."""
    if not isinstance(node, Scalar) or isinstance(node.value, bool) or not isinstance(node.value, str | int):
        raise DescriptionError(f"expected a size such as 256M, not {what_is(node)}", node.location, key)
    try:
        return parse_size(node.value)
    except ValueError as error:
        raise DescriptionError(str(error), node.location, key) from None


def validated_values(
    cls: type[Configurable], name: str, node: Table, key: str
) -> tuple[dict[str, Any], dict[str, Location]]:
    """The properties that `node` has besides `type`, as plain data, and where each was written.

    Relative paths are made relative to the working directory. `name` is the type's, `key` the dotted key of `node`.
    Raises DescriptionError.
    """
    nodes = {key: node for key, node in node.entries.items() if key != "type" and not is_null(node)}
    values = {name: _plain(cls, name, node) for name, node in nodes.items()}
    try:
        valid = valid_properties(cls, values)
    except InvalidProperties as error:
        raise _explained(error, cls, name, node, key) from None
    for property, value in values.items():
        values[property] = _with_paths(value, valid[property], nodes[property])
    return values, {name: node.location for name, node in nodes.items()}


def _plain(cls: type[Configurable], name: str, node: Node) -> Any:
    """`node` as plain data. Descriptions have no fractions; where a property wants one, a text may be one."""
    if isinstance(node, Scalar) and isinstance(node.value, str) and _DECIMAL.fullmatch(node.value):
        spec = cls.properties().get(name)
        declared = declared_type(cls, name) if spec is not None and spec.section is None else None
        if declared is float or float in get_args(declared):
            return float(node.value)
    return node.plain()


def _with_paths(value: Any, valid: Any, node: Node) -> Any:
    """`value` with the paths in it, as `valid` tells them, relative to where they were written."""
    if isinstance(valid, Path) and isinstance(value, str):
        return str(folder(node.location) / valid)
    if isinstance(value, dict) and isinstance(valid, dict) and isinstance(node, Table):
        return {key: _with_paths(item, valid.get(key), node.entries[key]) for key, item in value.items()}
    if isinstance(value, list) and isinstance(valid, list | tuple) and isinstance(node, Sequence):
        return [_with_paths(item, other, child) for item, other, child in zip(value, valid, node.items, strict=True)]
    return value


def _explained(error: InvalidProperties, cls: type[Configurable], name: str, node: Table, key: str) -> DescriptionError:
    """The first of the errors, unknown properties first: a missing one may be a misspelt one."""
    first = min(error.errors, key=lambda item: item["type"] != "extra_forbidden")
    path = list(first["loc"])
    if first["type"] == "extra_forbidden" and len(path) == 1:
        known = list(cls.properties())
        hint = nearest(str(path[0]), known) or f" (it has: {', '.join(known) or 'none'})"
        return DescriptionError(f"{name} has no such property{hint}", node.keys[str(path[0])], f"{key}.{path[0]}")
    if first["type"] == "missing" and len(path) == 1:
        doc = cls.properties()[str(path[0])].doc
        return DescriptionError(f"missing, and {name} needs it: {doc}", node.location, f"{key}.{path[0]}")
    found: Node = node
    for step in path:
        if isinstance(found, Table) and step in found.entries:
            found, key = found.entries[str(step)], f"{key}.{step}"
        elif isinstance(found, Sequence) and isinstance(step, int) and step < len(found.items):
            found, key = found.items[step], f"{key}[{step}]"
    return DescriptionError(_message(first, found), found.location, key)


def _message(error: Mapping[str, Any], node: Node) -> str:
    if error["type"] == "value_error":
        text = str(error["ctx"]["error"])
        return text if " not " in text else f"{text}, not {what_is(node)}"
    message = str(error["msg"])
    hint = ""
    if error["type"] == "literal_error" and isinstance(node, Scalar):
        hint = nearest(str(node.value), re.findall(r"'([^']*)'", str(error["ctx"]["expected"])))
    for theirs, ours in _PHRASES:
        if message.startswith(theirs):
            return f"{ours}{message.removeprefix(theirs)}, not {what_is(node)}{hint}"
    return f"{message}: {what_is(node)}"
