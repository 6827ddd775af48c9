"""Disks: -drive, -blockdev, -hda to -hdd, -cdrom, -fda, -fdb, -snapshot."""

from __future__ import annotations

from ..draft import Draft, Drive, Part
from ..images import TUNING, image, node
from ..words import OptionError, Words, parsed
from .option import Option, flag

IDE_BUSES, UNITS = 2, 2
PLACES = {"ide": IDE_BUSES * UNITS, "floppy": 2}
"""How many drives of each kind the board has room for."""
CDROM_PLACE = 2
POLICIES = {
    "rerror": ("report", "ignore", "stop", "auto"),
    "werror": ("report", "ignore", "stop", "enospc", "auto"),
}


def _drive(draft: Draft, argument: str) -> None:
    words = Words(argument, "file")
    interface = words.one_of("if", ("none", *PLACES), "ide")
    cdrom = words.one_of("media", ("disk", "cdrom"), "disk") == "cdrom"
    index = _place(words)
    id = words.take("id")
    if interface != "none":
        index = _free(draft, interface) if index is None else index
        if not 0 <= index < PLACES[interface] or any(
            (other.interface, other.index) == (interface, index) for other in draft.drives
        ):
            raise OptionError(f"{_kind(interface)} place {index} is taken, or there is none")
        id = id or _default_id(interface, index, cdrom)
    elif not id:
        raise OptionError("id=... is missing, by which a device finds it")
    elif index is not None:
        raise OptionError("with if=none there are no places")
    if any(other.id == id for other in draft.drives):
        raise OptionError(f"there are two drives {id!r}")
    option = f"-drive {argument}"
    policies = {key: words.one_of(key, known, "auto") for key, known in POLICIES.items()}
    images = image(id, words, option, read_only=cdrom)
    for key in words.ignore(*TUNING):
        if key != "cache":
            draft.note(f"-drive {key}=...: has no effect here")
    words.end()
    policies = {key: policy for key, policy in policies.items() if policy != "auto"}
    draft.drives.append(Drive(id, option, interface, index, cdrom, images, policies))


def _kind(interface: str) -> str:
    return interface.upper() if interface == "ide" else interface


def _default_id(interface: str, index: int, cdrom: bool) -> str:
    """QEMU's names: ide0-hd1, ide1-cd0, floppy0."""
    if interface == "floppy":
        return f"floppy{index}"
    bus, unit = divmod(index, UNITS)
    return f"ide{bus}-{'cd' if cdrom else 'hd'}{unit}"


def _place(words: Words) -> int | None:
    """The place on the IDE cables, counted through, or of a floppy drive."""
    if "index" in (there := words.peek("index", "bus", "unit")):
        return words.number("index")
    return words.number("bus", 0) * UNITS + words.number("unit", 0) if there else None


def _free(draft: Draft, interface: str) -> int:
    taken = {drive.index for drive in draft.drives if drive.interface == interface}
    return next(index for index in range(len(taken) + 1) if index not in taken)


def _blockdev(draft: Draft, argument: str) -> None:
    words = parsed(argument, "driver")
    name = words.need("node-name")
    if any(name == part.id for part in draft.blockdevs):
        raise OptionError(f"there are two nodes {name!r}")
    node(name, words, f"-blockdev {argument}", draft)
    words.end()


def _at(option: str, where: str, doc: str) -> Option:
    def read(draft: Draft, argument: str) -> None:
        _drive(draft, f"file={argument.replace(',', ',,')},{where}")

    return Option(option, read, "file", doc)


def _snapshot(draft: Draft) -> None:
    draft.snapshot = True


def drive_images(draft: Draft) -> list[Part]:
    """All images, each before what is made of it; with -snapshot, what is written doesn't get into them."""
    found = [*draft.blockdevs, *(part for drive in draft.drives for part in drive.images)]
    for part in found if draft.snapshot else ():
        if part.type in ("raw", "qcow2") and not part.values.get("read_only"):
            part.values["overlay"] = True
    return found


OPTIONS = (
    Option("drive", _drive, "[file=]path[,key=value...]", "A disk, CD-ROM or floppy disk, or the image of one."),
    Option(
        "blockdev", _blockdev, "driver,node-name=name[,key=value...]", "An image, which a device's drive=... names."
    ),
    *(
        _at(f"hd{'abcd'[index]}", f"index={index},media=disk", f"A disk at IDE place {index}.")
        for index in range(IDE_BUSES * UNITS)
    ),
    _at("cdrom", f"index={CDROM_PLACE},media=cdrom", f"A CD-ROM at IDE place {CDROM_PLACE}."),
    *(
        _at(f"fd{'ab'[index]}", f"if=floppy,index={index}", f"A disk in floppy drive {'AB'[index]}.")
        for index in (0, 1)
    ),
    flag("snapshot", _snapshot, "What is written to disks is gone at the end."),
)
