"""What query-qmp-schema tells of one thing, as QEMU's does."""

from __future__ import annotations

from typing import Any, Literal, NotRequired, TypedDict


class Value(TypedDict):
    """A word of an enum."""

    name: str


class ObjectMember(TypedDict):
    """A member of an object; one with a `default` is optional."""

    name: str
    type: str
    default: NotRequired[Any]


class Variant(TypedDict):
    """What more an object has if its tag is `case`."""

    case: str
    type: str


class AlternateMember(TypedDict):
    """A type that a value of an alternate may have."""

    type: str


Json = Literal["string", "number", "int", "boolean", "null", "object", "array", "value"]
BuiltinEntry = TypedDict("BuiltinEntry", {"name": str, "meta-type": Literal["builtin"], "json-type": Json})
EnumEntry = TypedDict(
    "EnumEntry", {"name": str, "meta-type": Literal["enum"], "members": list[Value], "values": list[str]}
)
ArrayEntry = TypedDict("ArrayEntry", {"name": str, "meta-type": Literal["array"], "element-type": str})
ObjectEntry = TypedDict(
    "ObjectEntry",
    {
        "name": str,
        "meta-type": Literal["object"],
        "members": list[ObjectMember],
        "tag": NotRequired[str],
        "variants": NotRequired[list[Variant]],
    },
)
AlternateEntry = TypedDict(
    "AlternateEntry", {"name": str, "meta-type": Literal["alternate"], "members": list[AlternateMember]}
)
CommandEntry = TypedDict(
    "CommandEntry",
    {
        "name": str,
        "meta-type": Literal["command"],
        "arg-type": str,
        "ret-type": str,
        "allow-oob": NotRequired[bool],
    },
)
EventEntry = TypedDict("EventEntry", {"name": str, "meta-type": Literal["event"], "arg-type": str})
SchemaEntry = BuiltinEntry | EnumEntry | ArrayEntry | ObjectEntry | AlternateEntry | CommandEntry | EventEntry
