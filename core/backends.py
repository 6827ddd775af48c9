"""Back ends that come and go while the machine runs. Its description keeps up with them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from .construct import resolve_links, validated
from .description.model import Part
from .discovery import load
from .errors import Location

if TYPE_CHECKING:
    from .machine import Machine

NOWHERE = Location("", 0, 0)
"""Where something was written that came at run time."""


def make_backend(machine: Machine, section: str, id: str, type_name: str, values: Mapping[str, Any]) -> Any:
    """A back end of that type, opened, which `add_backend` makes one of the machine's. Raises SouthbridgeError."""
    cls = load(section, type_name)
    backend: Any = cls(**resolve_links(machine, cls, validated(cls, dict(values), id), id))
    try:
        backend.open()
    except BaseException:
        backend.close()
        raise
    return backend


def add_backend(
    machine: Machine, section: str, id: str, type_name: str, values: Mapping[str, Any], backend: Any
) -> None:
    """`backend`, made of `values`, is the machine's from now on."""
    machine.backends[section][id] = backend
    description = machine.description
    if description is not None:
        part = Part(section, id, type_name, load(section, type_name), dict(values), NOWHERE, {})
        parts = {**description.sections[section], id: part}
        machine.description = description._replace(sections={**description.sections, section: parts})


def remove_backend(machine: Machine, section: str, id: str) -> Any:
    """The back end `id`, which nothing uses, isn't the machine's any more; it is still to be closed."""
    backend = machine.backends[section].pop(id)
    description = machine.description
    if description is not None:
        parts = {other: part for other, part in description.sections[section].items() if other != id}
        machine.description = description._replace(sections={**description.sections, section: parts})
    return backend


def users(machine: Machine, backend: Any) -> dict[str, Any]:
    """The devices and back ends of the machine that use `backend`, by id."""
    parts = [machine.devices, *machine.backends.values()]
    return {id: part for those in parts for id, part in list(those.items()) if links_to(part, backend)}


def links_to(part: Any, backend: Any) -> list[str]:
    """The properties of `part` that lead to `backend`."""
    links = [name for name, spec in type(part).properties().items() if spec.section is not None]
    return [name for name in links if getattr(part, name, None) is backend]
