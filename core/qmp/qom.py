"""qom-list, qom-get, qom-set, qom-list-types, qom-list-properties, device-list-properties: QEMU's object model."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NotRequired, TypedDict

from ..control.commands import DEVICE_NOT_FOUND, CommandError

if TYPE_CHECKING:
    from ..control.commands import Function
    from ..machine import Machine
    from ..qom.types import PropertyFacts

ObjectPropertyInfo = TypedDict(
    "ObjectPropertyInfo", {"name": str, "type": str, "description": NotRequired[str], "default-value": NotRequired[Any]}
)
"""A property of an object or a type."""


class ObjectTypeInfo(TypedDict):
    """A type, and what it is a kind of."""

    name: str
    abstract: NotRequired[bool]
    parent: NotRequired[str]


class ObjectCommands:
    """The machine's parts by paths. What makes the tree is imported when somebody asks."""

    def __init__(self, machine: Machine) -> None:
        self._machine = machine

    def commands(self) -> dict[str, Function]:
        """By name."""
        return {
            "qom-list": self.qom_list,
            "qom-get": self.qom_get,
            "qom-set": self.qom_set,
            "qom-list-types": self.qom_list_types,
            "qom-list-properties": self.qom_list_properties,
            "device-list-properties": self.device_list_properties,
        }

    def qom_list(self, path: str) -> list[ObjectPropertyInfo]:
        """The properties of the object at `path`."""
        from ..qom import find, root

        with self._machine.lock:
            entries = find(root(self._machine), path).entries()
            return [{"name": name, "type": entry.type} for name, entry in entries.items()]

    def qom_get(self, path: str, property: str) -> Any:
        """The value of a property."""
        from ..qom import find, root

        with self._machine.lock:
            return find(root(self._machine), path).get(property)

    def qom_set(self, path: str, property: str, value: Any) -> None:
        """Changes a property that can be changed while the machine runs; a register as the guest would."""
        from ..qom import find, root

        with self._machine.lock:
            find(root(self._machine), path).set(property, value)

    def qom_list_types(self, implements: str | None = None, abstract: bool = False) -> list[ObjectTypeInfo]:
        """The types, or those that are of the kind `implements`; `abstract`: those too that nothing is directly."""
        from ..qom.types import is_abstract, is_kind_of, parents

        known = parents()
        return [
            _type(name, parent)
            for name, parent in known.items()
            if (abstract or not is_abstract(name)) and (implements is None or is_kind_of(name, implements, known))
        ]

    def qom_list_properties(self, typename: str) -> list[ObjectPropertyInfo]:
        """The properties of a type."""
        from ..qom.types import DEVICE, device_properties, is_kind_of, object_properties, own_type, parents

        ours, known = own_type(typename), parents()
        if ours is not None:
            facts = DEVICE | device_properties(ours)
        elif typename in known:
            facts = DEVICE if is_kind_of(typename, "device", known) else {"type": DEVICE["type"]}
            facts = facts | object_properties(typename)
        else:
            raise CommandError(f"Class '{typename}' not found", DEVICE_NOT_FOUND)
        return [_described(name, fact, with_default=False) for name, fact in facts.items()]

    def device_list_properties(self, typename: str) -> list[ObjectPropertyInfo]:
        """What a device of that type can be made with."""
        from ..qom.types import device_properties, own_type, parents

        ours = own_type(typename)
        if ours is None:
            if typename not in parents():
                raise CommandError(f"Device '{typename}' not found", DEVICE_NOT_FOUND)
            raise CommandError("Parameter 'typename' expects a non-abstract device type")
        return [_described(name, fact, with_default=True) for name, fact in device_properties(ours).items()]


def _type(name: str, parent: str) -> ObjectTypeInfo:
    from ..qom.types import is_abstract

    info: ObjectTypeInfo = {"name": name}
    if is_abstract(name):
        info["abstract"] = True
    if parent:
        info["parent"] = parent
    return info


def _described(name: str, fact: PropertyFacts, *, with_default: bool) -> ObjectPropertyInfo:
    info: ObjectPropertyInfo = {"name": name, "type": fact.type}
    if fact.doc:
        info["description"] = fact.doc
    if with_default and fact.default is not None:
        info["default-value"] = fact.default
    return info
