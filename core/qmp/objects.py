"""object-add, object-del, query-memdev, query-iothreads."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any, Literal, NotRequired, TypedDict

from ..control.commands import CommandError
from ..description.model import ID
from ..objects import IOTHREAD, MEMORY_KINDS, POLLING, SECRET, HostObject
from .target import RAM

if TYPE_CHECKING:
    from ..control.commands import Function
    from ..machine import Machine

Policy = Literal["default", "preferred", "bind", "interleave"]

SecretOptions = TypedDict(
    "SecretOptions",
    {
        "qom-type": Literal["secret"],
        "id": str,
        "data": NotRequired[str],
        "file": NotRequired[str],
        "format": NotRequired[Literal["raw", "base64"]],
        "keyid": NotRequired[str],
        "iv": NotRequired[str],
    },
)
"""What only those know who are told."""
IothreadOptions = TypedDict(
    "IothreadOptions",
    {
        "qom-type": Literal["iothread"],
        "id": str,
        "poll-max-ns": NotRequired[int],
        "poll-grow": NotRequired[int],
        "poll-shrink": NotRequired[int],
        "aio-max-batch": NotRequired[int],
        "thread-pool-min": NotRequired[int],
        "thread-pool-max": NotRequired[int],
    },
)
"""A thread for devices; they have their own here."""
MemoryOptions = TypedDict(
    "MemoryOptions",
    {
        "id": str,
        "size": int,
        "share": NotRequired[bool],
        "merge": NotRequired[bool],
        "dump": NotRequired[bool],
        "prealloc": NotRequired[bool],
        "prealloc-threads": NotRequired[int],
        "reserve": NotRequired[bool],
        "policy": NotRequired[Policy],
        "host-nodes": NotRequired[list[int]],
        "x-use-canonical-path-for-ramblock-id": NotRequired[bool],
    },
)
"""Memory of the host's, of `size` bytes."""
_Ram = TypedDict("_Ram", {"qom-type": Literal["memory-backend-ram"]})
_Memfd = TypedDict("_Memfd", {"qom-type": Literal["memory-backend-memfd"], "hugetlb": NotRequired[bool]})
_File = TypedDict("_File", {"qom-type": Literal["memory-backend-file"], "mem-path": str})


class RamOptions(_Ram, MemoryOptions):
    """See MemoryOptions."""


class MemfdOptions(_Memfd, MemoryOptions):
    """See MemoryOptions."""


class FileOptions(_File, MemoryOptions):
    """See MemoryOptions."""


ObjectOptions = SecretOptions | IothreadOptions | RamOptions | MemfdOptions | FileOptions

Memdev = TypedDict(
    "Memdev",
    {
        "id": str,
        "size": int,
        "merge": bool,
        "dump": bool,
        "prealloc": bool,
        "share": bool,
        "reserve": bool,
        "host-nodes": list[int],
        "policy": Policy,
    },
)
"""A piece of the host's memory that the guest has, of `size` bytes."""
IothreadInfo = TypedDict(
    "IothreadInfo",
    {
        "id": str,
        "thread-id": int,
        "poll-max-ns": int,
        "poll-grow": int,
        "poll-shrink": int,
        "aio-max-batch": int,
    },
)
"""A thread for devices."""


class HostObjectCommands:
    """What isn't a device and no back end."""

    def __init__(self, machine: Machine) -> None:
        self._machine = machine

    def commands(self) -> dict[str, Function]:
        """By name."""
        return {
            "object-add": self.object_add,
            "object-del": self.object_del,
            "query-memdev": self.query_memdev,
            "query-iothreads": self.query_iothreads,
        }

    def object_add(self, options: ObjectOptions, /) -> None:
        """A new object."""
        id, there = options["id"], self._machine.objects.by_id
        if not ID.fullmatch(id):
            raise CommandError("Parameter 'id' expects an identifier")
        if id in there or (id == RAM and not self._machine.objects.memory):
            raise CommandError(f"attempt to add duplicate property '{id}' to object (type 'container')")
        kind = options["qom-type"]
        given: dict[str, Any] = {name: value for name, value in options.items() if name not in ("id", "qom-type")}
        if kind == SECRET:
            given = {"data": _secret(given)}
        elif kind in MEMORY_KINDS and given["size"] <= 0:
            raise CommandError(f"property 'size' of {kind} doesn't take value '{given['size']}'")
        there[id] = HostObject(kind, given)

    def object_del(self, id: str) -> None:
        """An object that nothing uses goes."""
        objects = self._machine.objects
        found = objects.by_id.get(id)
        if found is None and (id != RAM or objects.memory):
            raise CommandError(f"object '{id}' not found")
        if found is None or found.in_use:
            raise CommandError(f"object '{id}' is in use, can not be deleted")
        del objects.by_id[id]

    def query_memdev(self) -> list[Memdev]:
        """The guest's memory is one piece, allocated as it is used, unless it was said what it is made of."""
        objects = self._machine.objects
        found = {id: one.values for id, one in objects.by_id.items() if one.kind in MEMORY_KINDS}
        if not objects.memory:
            found = {RAM: {"size": self._machine.ram.size}, **found}
        return [
            {
                "id": id,
                "size": values["size"],
                "merge": False,
                "dump": True,
                "prealloc": False,
                "share": values.get("share", False),
                "reserve": False,
                "host-nodes": [],
                "policy": "default",
            }
            for id, values in found.items()
        ]

    def query_iothreads(self) -> list[IothreadInfo]:
        """The threads for devices. None of them does anything: `thread-id` is the process'."""
        found: list[IothreadInfo] = []
        for id, one in self._machine.objects.by_id.items():
            if one.kind == IOTHREAD:
                values = {name: one.values.get(name, default) for name, default in POLLING.items()}
                found.append(
                    {
                        "id": id,
                        "thread-id": os.getpid(),
                        "poll-max-ns": values["poll-max-ns"],
                        "poll-grow": values["poll-grow"],
                        "poll-shrink": values["poll-shrink"],
                        "aio-max-batch": values["aio-max-batch"],
                    }
                )
        return found


def _secret(given: dict[str, Any]) -> str:
    from ..qemu_system.options.objects import secret
    from ..qemu_system.words import Words

    if "data" in given and "file" in given:
        raise CommandError("'file' and 'data' are mutually exclusive")
    if "data" not in given and "file" not in given:
        raise CommandError("Either 'file' or 'data' must be provided")
    return secret(Words.of(given))
