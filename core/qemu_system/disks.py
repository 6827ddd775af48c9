"""Images and drives in the description: those at the board's own places, and devices that have a drive."""

from __future__ import annotations

from typing import Any

from ..errors import SouthbridgeError
from .draft import Draft, Drive, Part
from .options.block import UNITS, drive_images
from .tree import Tree

FLOPPY_PARTS = (
    Part("dma", "i8257", {}, "-fda"),
    Part("fdc", "fdc", {}, "-fda"),
)
FLOPPY_DRIVERS = ("floppy",)


def add_disks(draft: Draft, tree: Tree) -> None:
    """Adds them. Raises SouthbridgeError for a disk without an image, or a device's drive that isn't there."""
    for part in drive_images(draft):
        tree.part("blockdevs", part)
    with_floppy = any(drive.interface == "floppy" for drive in draft.drives)
    if with_floppy or any(device.type in FLOPPY_DRIVERS for device in draft.devices):
        for part in FLOPPY_PARTS:
            tree.part("devices", part)
    for drive in draft.drives:
        if drive.interface != "none":
            tree.part("devices", _board_drive(drive))
    by_id = {drive.id: drive for drive in draft.drives}
    nodes = {part.id for part in draft.blockdevs}
    for device in draft.devices:
        tree.part("devices", _with_drive(device, by_id, nodes))


def _board_drive(drive: Drive) -> Part:
    assert drive.index is not None
    values: dict[str, Any] = {**drive.policies}
    if drive.images:
        values["drive"] = drive.id
    if drive.interface == "floppy":
        return Part(drive.id, "floppy", {"unit": drive.index, **values}, drive.option)
    if not drive.images and not drive.cdrom:
        raise SouthbridgeError(f"{drive.option}: a disk needs file=...")
    bus, unit = divmod(drive.index, UNITS)
    return Part(
        drive.id, "ide-cd" if drive.cdrom else "ide-hd", {"bus": f"ide.{bus}", "unit": unit, **values}, drive.option
    )


def _with_drive(device: Part, drives: dict[str, Drive], nodes: set[str]) -> Part:
    """A drive without a medium is none for the description."""
    values = dict(device.values)
    name = values.get("drive")
    if name is None or name in nodes:
        return device
    drive = drives.get(str(name))
    if drive is None:
        raise SouthbridgeError(f"{device.option}: there is no -drive with id={name}")
    if not drive.images:
        del values["drive"]
    return Part(device.id, device.type, {**drive.policies, **values}, device.option)
