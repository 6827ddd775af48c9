"""Objects under /objects, and the properties of their types."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any

from ..control.commands import CommandError
from ..objects import IOTHREAD, MEMORY_KINDS, POLLING, SECRET, HostObject
from ..qmp.target import RAM
from .nodes import Entry, Node

if TYPE_CHECKING:
    from ..machine import Machine

_MEMORY: dict[str, tuple[str, Any]] = {
    "size": ("int", 0),
    "share": ("bool", False),
    "merge": ("bool", False),
    "dump": ("bool", True),
    "prealloc": ("bool", False),
    "reserve": ("bool", False),
    "policy": ("HostMemPolicy", "default"),
}
PROPERTIES: dict[str, dict[str, tuple[str, Any]]] = {
    **dict.fromkeys(MEMORY_KINDS, _MEMORY),
    IOTHREAD: {name: ("int", value) for name, value in POLLING.items()},
    SECRET: {"data": ("string", ""), "format": ("QCryptoSecretFormat", "raw")},
}
"""By type and name: the property's type, and what it is if nobody says otherwise."""


def objects(machine: Machine, path: str) -> dict[str, Node]:
    """All of them; the guest's memory is one."""
    found = {id: _node(f"{path}/{id}", one) for id, one in machine.objects.by_id.items()}
    if not machine.objects.memory:
        memory = HostObject(MEMORY_KINDS[0], {"size": machine.ram.size})
        found[RAM] = _node(f"{path}/{RAM}", memory)
    return found


def _node(path: str, one: HostObject) -> Node:
    facts = PROPERTIES[one.kind]
    return Node(
        path,
        one.kind,
        lambda: {
            name: Entry(kind, partial(one.values.get, name, default), _change(one, name))
            for name, (kind, default) in facts.items()
        },
    )


def _change(one: HostObject, name: str) -> Callable[[Any], None] | None:
    """What changes a property: how an iothread waits may change, what memory there is may not."""

    def refuse(value: Any) -> None:
        raise CommandError(f"cannot change property {name} of {one.kind} ")

    def store(value: Any) -> None:
        if type(value) is not int:
            raise CommandError(f"Invalid parameter type for '{name}', expected: integer")
        if value < 0:
            raise CommandError(f"{name} value must be in range [0, {(1 << 63) - 1}]")
        one.values[name] = value

    if one.kind == IOTHREAD:
        return store
    return refuse if one.kind in MEMORY_KINDS else None
