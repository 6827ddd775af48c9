"""query-block, query-named-block-nodes: drives, and the images in them."""

from __future__ import annotations

import asyncio
import contextlib
import os
from typing import TYPE_CHECKING, Literal, NotRequired, TypedDict

from ..block import BlockBackend, RemovableMedia

if TYPE_CHECKING:
    from ..control.commands import Function
    from ..device import Device
    from ..machine import Machine

CacheInfo = TypedDict("CacheInfo", {"writeback": bool, "direct": bool, "no-flush": bool})
"""How the host caches an image."""

ImageInfo = TypedDict(
    "ImageInfo",
    {
        "filename": str,
        "format": str,
        "virtual-size": int,
        "actual-size": NotRequired[int],
        "dirty-flag": NotRequired[bool],
    },
)
"""An image; sizes in bytes, the actual one is what it takes on the host."""

NodeInfo = TypedDict(
    "NodeInfo",
    {
        "file": str,
        "node-name": NotRequired[str],
        "ro": bool,
        "drv": str,
        "backing_file_depth": int,
        "encrypted": bool,
        "detect_zeroes": Literal["off"],
        "bps": int,
        "bps_rd": int,
        "bps_wr": int,
        "iops": int,
        "iops_rd": int,
        "iops_wr": int,
        "image": ImageInfo,
        "cache": CacheInfo,
        "write_threshold": int,
    },
)
"""A back end. Nothing limits how fast it is used: such limits are 0."""

BlockInfo = TypedDict(
    "BlockInfo",
    {
        "device": str,
        "qdev": NotRequired[str],
        "type": str,
        "removable": bool,
        "locked": bool,
        "inserted": NotRequired[NodeInfo],
        "tray_open": NotRequired[bool],
        "io-status": NotRequired[Literal["ok"]],
    },
)
"""A drive: `device` is its image's name, `qdev` its own."""

SECTOR = 512
"""The unit of a file's blocks, in bytes."""


class BlockCommands:
    """What is read and written."""

    def __init__(self, machine: Machine) -> None:
        self._machine = machine

    def commands(self) -> dict[str, Function]:
        """By name."""
        return {"query-block": self.query_block, "query-named-block-nodes": self.query_named_block_nodes}

    async def query_block(self) -> list[BlockInfo]:
        """The drives, with what is in them, and the images that are in none."""
        return await asyncio.to_thread(self._drives)

    async def query_named_block_nodes(self, flat: bool | None = None) -> list[NodeInfo]:
        """The images. They have nothing below them that could be left out (`flat`)."""
        images = self._machine.backends["blockdevs"]
        return await asyncio.to_thread(lambda: [self._node(id, image) for id, image in list(images.items())])

    def _drives(self) -> list[BlockInfo]:
        machine = self._machine
        images: dict[str, BlockBackend] = dict(machine.backends["blockdevs"])
        names = {id(image): name for name, image in images.items()}
        found = []
        for drive in list(machine.devices.values()):
            if not hasattr(drive, "drive"):
                continue
            name = names.get(id(drive.drive), "")
            found.append(self._drive(drive, name, images.pop(name, None)))
        loose: list[BlockInfo] = [
            {"device": name, "type": "unknown", "removable": True, "locked": False, "inserted": self._node(name, image)}
            for name, image in images.items()
            if not self._is_node(name)
        ]
        return found + loose

    def _drive(self, drive: Device, name: str, image: BlockBackend | None) -> BlockInfo:
        from ..qom.paths import name_or_path

        info: BlockInfo = {
            "device": name,
            "qdev": name_or_path(self._machine, drive),
            "type": "unknown",
            "removable": False,
            "locked": False,
            "io-status": "ok",
        }
        if isinstance(drive, RemovableMedia):
            info |= {"removable": True, "locked": drive.locked, "tray_open": drive.tray_open}
        if image is not None:
            info["inserted"] = self._node(name, image)
        return info

    def _node(self, name: str, image: BlockBackend) -> NodeInfo:
        format = self._format(name)
        about: ImageInfo = {"filename": image.name, "format": format, "virtual-size": image.size, "dirty-flag": False}
        with contextlib.suppress(OSError):  # it isn't a file, or no longer at its place
            about["actual-size"] = os.stat(image.name).st_blocks * SECTOR
        return {
            "file": image.name,
            "node-name": name,
            "ro": not image.writable,
            "drv": format,
            "backing_file_depth": 0,
            "encrypted": False,
            "detect_zeroes": "off",
            "bps": 0,
            "bps_rd": 0,
            "bps_wr": 0,
            "iops": 0,
            "iops_rd": 0,
            "iops_wr": 0,
            "image": about,
            "cache": {"writeback": True, "direct": False, "no-flush": False},
            "write_threshold": 0,
        }

    def _is_node(self, name: str) -> bool:
        """Whether it is an image by itself, as -blockdev and blockdev-add have it, and not one for a drive."""
        part = self._machine.part("blockdevs", name)
        return part is not None and (not part.location.line or part.location.file.startswith("-blockdev "))

    def _format(self, name: str) -> str:
        part = self._machine.part("blockdevs", name)
        return "raw" if part is None else part.type_name
