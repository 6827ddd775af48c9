"""What a machine can be told, in the form of QEMU's query-qmp-schema: made from the commands' own declarations.

A type has a name only among built-in ones; the others have numbers, as with QEMU, since clients mustn't rely on names.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, cast

from .commands import Command
from .qapi import NOTHING, Alternate, Array, Builtin, Enum, Kind, Object, kind_of
from .schema_entries import SchemaEntry

Entry = dict[str, Any]


def introspection(commands: Iterable[Command], events: Mapping[str, Any]) -> list[SchemaEntry]:
    """Every command, event and type. `events` has the TypedDict of each event's data; None for an event without."""
    return cast(list[SchemaEntry], _Schema().of(commands, events))


class _Schema:
    """Entries under way, and the names of types that have one."""

    def __init__(self) -> None:
        self._entries: list[Entry] = []
        self._names: dict[Kind, str] = {}
        self._waiting: list[Kind] = []

    def of(self, commands: Iterable[Command], events: Mapping[str, Any]) -> list[Entry]:
        self._name(NOTHING)
        for command in commands:
            entry = {
                "name": command.name,
                "meta-type": "command",
                "arg-type": self._name(command.arguments),
                "ret-type": self._name(command.result),
            }
            self._entries.append(entry | ({"allow-oob": True} if command.out_of_band else {}))
        for name, data in events.items():
            kind = NOTHING if data is None else kind_of(data)
            self._entries.append({"name": name, "meta-type": "event", "arg-type": self._name(kind)})
        while self._waiting:
            kind = self._waiting.pop(0)
            self._entries.append({"name": self._names[kind], **self._content(kind)})
        return self._entries

    def _name(self, kind: Kind) -> str:
        if kind not in self._names:
            if isinstance(kind, Builtin):
                name = kind.name
            elif isinstance(kind, Array):
                name = f"[{self._name(kind.item)}]"
            else:
                name = str(sum(not isinstance(other, Builtin | Array) for other in self._names))
            self._names[kind] = name
            self._waiting.append(kind)
        return self._names[kind]

    def _content(self, kind: Kind) -> Entry:
        match kind:
            case Builtin():
                return {"meta-type": "builtin", "json-type": kind.json}
            case Array():
                return {"meta-type": "array", "element-type": self._name(kind.item)}
            case Enum():
                members = [{"name": value} for value in kind.values]
                return {"meta-type": "enum", "members": members, "values": list(kind.values)}
            case Alternate():
                return {"meta-type": "alternate", "members": [{"type": self._name(one)} for one in kind.kinds]}
            case Object():
                return {"meta-type": "object", **self._object(kind)}
        raise AssertionError(kind)

    def _object(self, kind: Object) -> Entry:
        content: Entry = {
            "members": [
                {"name": member.name, "type": self._name(member.kind), **({"default": None} if member.optional else {})}
                for member in kind.members
            ]
        }
        if kind.tag:
            content["tag"] = kind.tag
            content["variants"] = [{"case": case, "type": self._name(rest)} for case, rest in kind.variants.items()]
        return content
