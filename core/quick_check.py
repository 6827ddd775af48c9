"""Checking values against simple types without pydantic, which takes long to import.

It only ever says yes: what it isn't sure of, and all that is wrong, is pydantic's to judge, whose messages users see.
For what it accepts it gives what a strict pydantic model gives.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from pathlib import Path
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from .annotations import Checked, Converted

UNSURE: Any = object()
"""In place of a value: ask pydantic."""

_PLAIN = (int, bool, str, NoneType)
_NUMBERS: dict[str, Callable[[int, int], bool]] = {
    "ge": lambda value, limit: value >= limit,
    "gt": lambda value, limit: value > limit,
    "le": lambda value, limit: value <= limit,
    "lt": lambda value, limit: value < limit,
    "multiple_of": lambda value, limit: value % limit == 0,
}
_LENGTHS: dict[str, Callable[[str, int], bool]] = {
    "min_length": lambda value, limit: len(value) >= limit,
    "max_length": lambda value, limit: len(value) <= limit,
}
_SAID = ("examples",)
"""Constraints that aren't any."""


def quickly(kind: Any, value: Any, constraints: Mapping[str, Any]) -> Any:
    """`value` as one of type `kind` that satisfies pydantic's `constraints`, or UNSURE."""
    origin = get_origin(kind)
    if origin is UnionType or origin is Union:
        return _one_of(get_args(kind), value, constraints)
    if origin is Literal:
        same = any(value == one and type(value) is type(one) for one in get_args(kind))
        return value if same and not constraints.keys() - _SAID else UNSURE
    if origin is Annotated:
        return _annotated(get_args(kind), value, constraints)
    if type(value) is not kind if kind in _PLAIN else kind is not Path or not isinstance(value, Path):
        return UNSURE
    return value if all(_satisfied(value, name, limit) for name, limit in constraints.items()) else UNSURE


def _one_of(kinds: tuple[Any, ...], value: Any, constraints: Mapping[str, Any]) -> Any:
    if value is None:
        return None if NoneType in kinds else UNSURE
    others = [kind for kind in kinds if kind is not NoneType]
    if len(others) > 1 and constraints:
        return UNSURE
    found = (quickly(kind, value, constraints) for kind in others)
    return next((result for result in found if result is not UNSURE), UNSURE)


def _annotated(arguments: tuple[Any, ...], value: Any, constraints: Mapping[str, Any]) -> Any:
    kind, *marks = arguments
    if len(marks) != 1 or not isinstance(marks[0], Checked | Converted):
        return UNSURE
    (mark,) = marks
    try:
        if isinstance(mark, Converted):
            return quickly(kind, mark.function(value), constraints)
        result = quickly(kind, value, constraints)
        return UNSURE if result is UNSURE else mark.function(result)
    except ValueError:
        return UNSURE


def _satisfied(value: Any, name: str, limit: Any) -> bool:
    if name in _NUMBERS and type(value) is int:
        return _NUMBERS[name](value, limit)
    if name in _LENGTHS and type(value) is str:
        return _LENGTHS[name](value, limit)
    if name == "pattern" and type(value) is str and value.isascii() and value.isprintable():
        return re.search(limit, value) is not None  # for other text Python's expressions and pydantic's may differ
    return name in _SAID


def makes_sense(kind: Any, constraints: Mapping[str, Any]) -> bool:
    """Whether pydantic surely makes a model of such a type and `constraints`."""
    return _known(kind) and all(_fits(kind, name, limit) for name, limit in constraints.items())


def _known(kind: Any) -> bool:
    if kind in (*_PLAIN, float, Path, Any):
        return True
    origin, arguments = get_origin(kind), get_args(kind)
    if origin is Literal:
        return all(type(one) in _PLAIN for one in arguments)
    if origin is Annotated:
        return _known(arguments[0]) and all(isinstance(mark, Checked | Converted) for mark in arguments[1:])
    return origin in (UnionType, Union, list, dict) and all(_known(argument) for argument in arguments)


def _fits(kind: Any, name: str, limit: Any) -> bool:
    """Whether the constraint is one for values of such a type, None aside."""
    if get_origin(kind) is Annotated:
        kind = get_args(kind)[0]
    kinds = [one for one in get_args(kind) if one is not NoneType] if get_origin(kind) is UnionType else [kind]
    if name in _NUMBERS:
        return all(one in (int, float) for one in kinds) and type(limit) in (int, float)
    if name in _LENGTHS:
        return kinds == [str] and type(limit) is int
    if name == "pattern":
        try:
            re.compile(limit)
        except (re.error, TypeError):
            return False
        return kinds == [str]
    return name in _SAID
