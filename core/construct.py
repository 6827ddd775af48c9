"""Constructing plugins' objects for a machine: properties validated, links resolved."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar

from .device import Device
from .errors import RealizeError, SouthbridgeError
from .properties import REQUIRED, Configurable, InvalidProperties, valid_properties

if TYPE_CHECKING:
    from .machine import Machine

AnyDevice = TypeVar("AnyDevice", bound=Device)


class MissingLink(RealizeError):
    """A property names something that isn't there, or not yet."""


def validated(cls: type[Configurable], values: dict[str, Any], who: str) -> dict[str, Any]:
    """`values` with defaults filled in and types converted. Raises SouthbridgeError, naming `who` and the property."""
    try:
        return valid_properties(cls, values)
    except InvalidProperties as error:
        first = error.errors[0]
        key = ".".join(str(part) for part in first["loc"])
        raise SouthbridgeError(f"{who}: {key}: {first['msg']}") from None


def resolve_links(machine: Machine, cls: type[Configurable], values: dict[str, Any], who: str) -> dict[str, Any]:
    """`values` with each link's id replaced by the object; objects stay. Raises MissingLink."""
    resolved = dict(values)
    for name, spec in cls.properties().items():
        value = values.get(name, spec.default)
        if spec.section is None or not isinstance(value, str):
            continue
        places = {"buses": machine.buses, "devices": machine.devices, **machine.backends}[spec.section]
        if value not in places:
            known = ", ".join(sorted(places)) or "none"
            raise MissingLink(f"{who}: {name}: there is no {value!r} among the {spec.section} (here: {known})")
        resolved[name] = places[value]
    return resolved


def make_device(machine: Machine, cls: type[AnyDevice], id: str, **values: Any) -> AnyDevice:
    """A device constructed from properties as a description has them, or from linked objects; not yet realized.

    Raises SouthbridgeError for a wrong property, MissingLink for a link that leads nowhere.
    """
    properties = cls.properties()
    objects = {
        name: value
        for name, value in values.items()
        if name in properties and properties[name].section and not isinstance(value, str)
    }
    plain = {name: value for name, value in values.items() if name not in objects}
    for name in objects:
        if properties[name].default is REQUIRED:
            plain[name] = ""
    complete = validated(cls, plain, id) | objects
    return cls(id, **resolve_links(machine, cls, complete, id))
