"""blockdev-add, blockdev-del: images by name, with what is below them."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, Literal, NotRequired, TypedDict, Union

from ..control.commands import CommandError
from ..description.model import ID

if TYPE_CHECKING:
    from ..control.commands import Function
    from ..machine import Machine
    from ..qemu_system.draft import Part

CacheOptions = TypedDict("CacheOptions", {"direct": NotRequired[bool], "no-flush": NotRequired[bool]})
"""How the host caches an image; that is left to the host."""

Node = TypedDict(
    "Node",
    {
        "node-name": NotRequired[str],
        "read-only": NotRequired[bool],
        "auto-read-only": NotRequired[bool],
        "force-share": NotRequired[bool],
        "discard": NotRequired[Literal["ignore", "unmap"]],
        "detect-zeroes": NotRequired[Literal["off", "on", "unmap"]],
        "cache": NotRequired[CacheOptions],
    },
)
"""What images have in common. Whether blocks are discarded, and how the host caches them, is left to the host."""
ZeroOptions = TypedDict("ZeroOptions", {"read-zeroes": NotRequired[bool], "latency-ns": NotRequired[int]})
"""How zeros are read."""
FaultOptions = TypedDict(
    "FaultOptions",
    {"inject-error": NotRequired[list[dict[str, Any]]], "set-state": NotRequired[list[dict[str, Any]]]},
)
"""Rules by which an image fails."""


class FileNode(Node):
    """A file, or a device of the host's."""

    driver: Literal["file", "host_device", "host_cdrom"]
    filename: str
    aio: NotRequired[Literal["threads", "native", "io_uring"]]
    locking: NotRequired[Literal["on", "off", "auto"]]


class FormatNode(Node):
    """What a file says."""

    driver: Literal["raw", "qcow2"]
    file: str | BlockdevOptions


class NullNode(Node, ZeroOptions):
    """Zeros, of `size` bytes."""

    driver: Literal["null-co", "null-aio"]
    size: NotRequired[int]


class FaultyNode(Node, FaultOptions):
    """An image that fails by rules."""

    driver: Literal["blkdebug"]
    image: str | BlockdevOptions
    config: NotRequired[str]


BlockdevOptions = Union[FileNode, FormatNode, NullNode, FaultyNode]  # noqa: UP007


class NodeCommands:
    """Images. One that is only what another is made of is opened with that, and by nobody else."""

    def __init__(self, machine: Machine) -> None:
        self._machine = machine
        self._turn = asyncio.Lock()
        self._below: dict[str, tuple[str, Part]] = machine.parts_of_images
        """What has a name of its own, but is part of another one: which, and what it is itself. Every monitor's."""

    def commands(self) -> dict[str, Function]:
        """By name."""
        return {"blockdev-add": self.blockdev_add, "blockdev-del": self.blockdev_del}

    async def blockdev_add(self, options: BlockdevOptions, /) -> None:
        """A new image, for a device or a drive."""
        async with self._turn:
            given: dict[str, Any] = dict(options)
            name = given.get("node-name")
            if name is None:
                raise CommandError("'node-name' must be specified for the root node")
            if not ID.fullmatch(name):
                raise CommandError(f"Invalid node-name: '{name}'")
            there = self._machine.backends["blockdevs"]
            if name in there or name in self._below:
                raise CommandError(f"Duplicate nodes with node-name='{name}'")
            below = given.get("file", given.get("image"))
            if isinstance(below, str) and below not in there:
                raise CommandError(f"Cannot find device='{below}' nor node-name='{below}'")
            await self._add(name, given, below if isinstance(below, str) else None)

    async def blockdev_del(self, node_name: str) -> None:
        """An image that nothing uses goes."""
        from ..backends import remove_backend, users

        async with self._turn:
            if node_name in self._below:
                raise CommandError(f"Block device {node_name} is in use")
            image = self._machine.backends["blockdevs"].get(node_name)
            if image is None:
                raise CommandError(f"Failed to find node with node-name='{node_name}'")
            if users(self._machine, image):
                raise CommandError(f"Node {node_name} is in use")
            remove_backend(self._machine, "blockdevs", node_name)
            await asyncio.to_thread(_close, image)
            for id, (owner, part) in list(self._below.items()):
                if owner == node_name:
                    del self._below[id]
                    await self._open(part)

    async def _add(self, name: str, given: dict[str, Any], below: str | None) -> None:
        from ..backends import remove_backend, users

        machine = self._machine
        old = machine.backends["blockdevs"].get(below or "")
        known = self._known()
        parts, absorbed = _translated(name, given, known)
        if absorbed and old is not None:
            if users(machine, old):
                raise CommandError(f"Node '{below}' is in use")
            remove_backend(machine, "blockdevs", absorbed)
            await asyncio.to_thread(_close, old)
        try:
            for part in parts:
                await self._open(part)
        except BaseException:
            for part in parts:
                if part.id in machine.backends["blockdevs"]:
                    _close(remove_backend(machine, "blockdevs", part.id))
            if absorbed and old is not None:
                await self._open(known[absorbed])
            raise
        if absorbed:
            self._below[absorbed] = (name, known[absorbed])

    async def _open(self, part: Part) -> None:
        from ..backends import add_backend, make_backend

        made = await asyncio.to_thread(make_backend, self._machine, "blockdevs", part.id, part.type, dict(part.values))
        add_backend(self._machine, "blockdevs", part.id, part.type, part.values, made)

    def _known(self) -> dict[str, Part]:
        """The images that there are, as options have them."""
        from ..qemu_system.draft import Part

        description = self._machine.description
        parts = {} if description is None else description.sections["blockdevs"]
        return {id: Part(id, part.type_name, dict(part.values), "") for id, part in parts.items()}


def _close(image: Any) -> None:
    for queue in image.queues:
        queue.close()
    image.close()


def _translated(name: str, given: dict[str, Any], known: dict[str, Part]) -> tuple[list[Part], str | None]:
    """What -blockdev makes of the same words, lowest first; and the image of those that are there that is in it."""
    from ..qemu_system.draft import Draft
    from ..qemu_system.images import node
    from ..qemu_system.words import Words

    draft = Draft()
    draft.blockdevs = list(known.values())
    words = Words.of(given)
    node(name, words, "blockdev-add", draft)
    words.end()
    absorbed = next((id for id, part in known.items() if part not in draft.blockdevs), None)
    return [part for part in draft.blockdevs if part not in known.values()], absorbed
