"""QEMU's default devices, which are there without -nodefaults unless options decide otherwise.

QEMU's manual, "-nodefaults": a serial port, a monitor, a CD-ROM and a floppy drive, a graphics card, a network card.
"""

from __future__ import annotations

from .draft import Draft, Drive, Part
from .options.block import CDROM_PLACE
from .options.display import CARD_DRIVERS, graphics_card
from .options.monitors import PEOPLES, add_monitor
from .options.network import default_network

CDROM_DRIVERS = ("ide-cd", "ide-hd")
FLOPPY_DRIVERS = ("floppy", "isa-fdc")
SERIAL_DRIVERS = ("isa-serial",)
DISPLAY = Part("default", "vnc", {"host": "127.0.0.1", "display": 0, "to": 99}, "-display vnc")
"""What QEMU without a window system has: a server for this host."""


def add_defaults(draft: Draft, description: str) -> None:
    """Adds what nobody decided on, once."""
    if not draft.graphics:
        _terminal(draft)
    if not draft.defaults or description == "none":
        return
    draft.defaults = False
    if not draft.given.intersection(("vga", *CARD_DRIVERS)):
        draft.cards.insert(0, graphics_card("std", "-vga std"))
    if "net" not in draft.given:
        default_network(draft)
    if not draft.given.intersection(CDROM_DRIVERS):
        _drive(draft, Drive(f"ide1-cd{CDROM_PLACE % 2}", "-cdrom", "ide", CDROM_PLACE, True, []))
    if not draft.given.intersection(FLOPPY_DRIVERS):
        _drive(draft, Drive("floppy0", "-fda", "floppy", 0, False, []))
    if "display" not in draft.given:
        draft.displays.append(DISPLAY)
    if not draft.given.intersection(("serial", *SERIAL_DRIVERS)):
        draft.chardevs["serial0"] = Part("serial0", "null", {}, "-serial vc")
        draft.serials.append("serial0")


def _drive(draft: Draft, drive: Drive) -> None:
    if not any((other.interface, other.index) == (drive.interface, drive.index) for other in draft.drives):
        draft.drives.append(drive)


def _terminal(draft: Draft) -> None:
    """-nographic: the first serial port is the terminal's, or else a monitor for people."""
    draft.graphics = True
    if draft.defaults and not draft.given.intersection(("serial", *SERIAL_DRIVERS)):
        draft.given.add("serial")
        draft.chardevs["serial0"] = Part("serial0", "stdio", {}, "-nographic")
        draft.serials.append("serial0")
        if "monitor" not in draft.given:
            add_monitor(draft, PEOPLES, "serial0", "")
    elif draft.defaults and "monitor" not in draft.given and not _has_terminal(draft):
        draft.chardevs["monitor0"] = Part("monitor0", "stdio", {}, "-nographic")
        add_monitor(draft, PEOPLES, "monitor0", "")


def _has_terminal(draft: Draft) -> bool:
    return any(isinstance(made, Part) and made.type == "stdio" for made in draft.chardevs.values())
