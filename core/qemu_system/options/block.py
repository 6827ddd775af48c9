"""Disks: -drive, -hda to -hdd, -cdrom, -snapshot."""

from __future__ import annotations

from ..draft import Draft, Drive, Part
from ..words import OptionError, Words
from .option import Option

FORMATS = ("raw", "qcow2")
IDE_BUSES, UNITS = 2, 2
TUNING = ("cache", "aio", "discard", "detect-zeroes", "copy-on-read", "cache.writeback", "cache.direct")
POLICIES = ("rerror", "werror")


def _drive(draft: Draft, argument: str) -> None:
    words = Words(argument, "file")
    interface = words.one_of("if", ("none", "ide"), "ide")
    cdrom = words.one_of("media", ("disk", "cdrom"), "disk") == "cdrom"
    index = _place(words)
    id = words.take("id")
    if interface == "ide":
        index = _free(draft) if index is None else index
        bus, unit = divmod(index, UNITS)
        if not 0 <= index < IDE_BUSES * UNITS or any(other.index == index for other in draft.drives):
            raise OptionError(f"IDE place {index} is taken, or there is none")
        id = id or f"ide{bus}-{'cd' if cdrom else 'hd'}{unit}"
    elif not id:
        raise OptionError("id=... is missing, by which a device finds it")
    elif index is not None:
        raise OptionError("with if=none there are no places")
    if any(other.id == id for other in draft.drives):
        raise OptionError(f"there are two drives {id!r}")
    option = f"-drive {argument}"
    image = _image(id, words, option, read_only=cdrom)
    for key in words.ignore(*TUNING):
        if key != "cache":
            draft.note(f"-drive {key}=...: has no effect here")
    for key in POLICIES:
        if words.take(key, "report") not in ("report", "auto", "enospc"):
            raise OptionError(f"{key}: errors are always reported to the guest")
    words.end()
    draft.drives.append(Drive(id, option, interface, index, cdrom, image))


def _place(words: Words) -> int | None:
    """The place on the IDE cables, counted through."""
    if "index" in (there := words.peek("index", "bus", "unit")):
        return words.number("index")
    return words.number("bus", 0) * UNITS + words.number("unit", 0) if there else None


def _free(draft: Draft) -> int:
    taken = {drive.index for drive in draft.drives}
    return next(index for index in range(len(taken) + 1) if index not in taken)


def _image(id: str, words: Words, option: str, *, read_only: bool) -> Part | None:
    path = words.take("file")
    form = words.one_of("format", FORMATS, "raw")
    temporary = words.flag("snapshot")
    read_only = words.flag("readonly", default=read_only) or words.flag("read-only")
    if not path:
        return None
    values: dict[str, object] = {"path": path}
    if read_only:
        values["read_only"] = True
    elif temporary:
        values["overlay"] = True
    return Part(id, form, values, option)


def _hard_disk(index: int) -> Option:
    def read(draft: Draft, argument: str) -> None:
        _drive(draft, f"file={argument.replace(',', ',,')},index={index},media=disk")

    return Option(f"hd{'abcd'[index]}", read, "file", f"A raw disk at IDE place {index}.")


def _cdrom(draft: Draft, argument: str) -> None:
    _drive(draft, f"file={argument.replace(',', ',,')},index=2,media=cdrom")


OPTIONS = (
    Option("drive", _drive, "[file=]path[,key=value...]", "A disk or CD-ROM, or the image of one."),
    *(_hard_disk(index) for index in range(IDE_BUSES * UNITS)),
    Option("cdrom", _cdrom, "file", "A CD-ROM at IDE place 2."),
)
