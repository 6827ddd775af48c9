"""Properties of our classes as QOM's: their types' names, and their values as JSON."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from types import NoneType
from typing import TYPE_CHECKING, Any, Literal, get_args, get_origin

from ..control.commands import CommandError
from ..control.qapi import Invalid, kind_of
from ..properties import REQUIRED, Size, declared_type
from .nodes import Entry

if TYPE_CHECKING:
    from ..machine import Machine
    from ..properties import Configurable, PropertySpec

NO_NUMBER = -1
"""What a number is that nobody gave."""
_LARGEST = {0xFF: "uint8", 0xFFFF: "uint16", 0xFFFF_FFFF: "uint32", (1 << 64) - 1: "uint64"}


def shown_properties(cls: type[Configurable]) -> dict[str, PropertySpec]:
    """Those that clients see by their names: buses are told by `parent_bus`."""
    return {name: spec for name, spec in cls.properties().items() if spec.section != "buses"}


def type_name(cls: type[Configurable], name: str, spec: PropertySpec) -> str:
    """What QOM calls the type of a property."""
    if spec.section is not None:
        return "str"
    annotation = declared_type(cls, name)
    if annotation == Size:
        return "size"
    kinds = _plain_kinds(annotation)
    if kinds == {bool}:
        return "bool"
    if kinds == {int}:
        fitting = (word for most, word in _LARGEST.items() if spec.constraints.get("le", -1) == most)
        return next(fitting, "int")
    return "str" if kinds <= {str} else "any"


def default_of(spec: PropertySpec) -> Any:
    """A property's value if nobody gives one; None: there is none."""
    return None if spec.default is REQUIRED else plain(spec.default)


def entries(machine: Machine, part: Configurable, refuse: Callable[[str], str] | None = None) -> dict[str, Entry]:
    """The properties of `part`. `refuse` gives the words with which one is refused that stays as it is."""
    return {name: _entry(machine, part, name, spec, refuse) for name, spec in shown_properties(type(part)).items()}


def _entry(
    machine: Machine, part: Configurable, name: str, spec: PropertySpec, refuse: Callable[[str], str] | None
) -> Entry:
    kind = type_name(type(part), name, spec)

    def get() -> Any:
        value = getattr(part, name)
        if spec.section is not None:
            return _id_of(machine, spec.section, value)
        if value is None:
            return NO_NUMBER if "int" in kind else ""
        return plain(value)

    change: Callable[[Any], None] | None = None
    if spec.live:
        change = partial(_change, machine, part, name)
    elif refuse is not None:
        change = partial(_refuse, refuse(name))
    return Entry(kind, get, change, doc=spec.doc)


def _refuse(message: str, value: Any) -> None:
    raise CommandError(message)


def _change(machine: Machine, part: Any, name: str, value: Any) -> None:
    try:
        kind_of(declared_type(type(part), name)).check(value, name)
    except Invalid as error:
        raise CommandError(str(error)) from None
    setattr(part, name, value)
    machine.hotplug.described(part.id, {name: value})


def _id_of(machine: Machine, section: str, value: Any) -> str:
    known = machine.devices if section == "devices" else machine.backends.get(section, {})
    return next((id for id, other in known.items() if other is value), "")


def plain(value: Any) -> Any:
    """`value` as JSON has it."""
    if value is None or isinstance(value, bool | int | float | str):
        return value
    if isinstance(value, dict):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [plain(item) for item in value]
    return str(value)


def _plain_kinds(annotation: Any) -> set[Any]:
    """The plain types that a property may have; of words, text."""
    if get_origin(annotation) is Literal:
        return {str}
    if hasattr(annotation, "__metadata__"):
        return _plain_kinds(get_args(annotation)[0])
    if arguments := get_args(annotation):
        return set().union(*(_plain_kinds(argument) for argument in arguments)) - {NoneType}
    from pathlib import Path

    return {str} if annotation is Path else {annotation}
