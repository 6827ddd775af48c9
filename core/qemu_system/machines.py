"""The machines that -machine knows, each a description that comes with Southbridge."""

from __future__ import annotations

import re
from typing import NamedTuple


class MachineType(NamedTuple):
    """`description` is a shipped one. `accelerator` is what runs it unless an option says otherwise."""

    description: str
    accelerator: str
    doc: str


MACHINES = {
    "pc": MachineType("pc", "auto", "Standard PC (i440FX + PIIX, 1996)"),
    "xenfv": MachineType("xenfv", "xen", "Xen Fully-virtualized PC"),
    "none": MachineType("none", "qtest", "empty machine"),
}
_VERSIONED = re.compile(r"(pc)-i440fx-\d+\.\d+|(xenfv)-\d+\.\d+")

XEN = "xen"
PLATFORM = "xen-platform"
"""Xen's own device in `xenfv`, which QEMU's `pc` with this accelerator doesn't have."""


def find_machine(name: str) -> str | None:
    """Which of MACHINES `name` is: QEMU's versions of one are one machine here. None: there is no such."""
    versioned = _VERSIONED.fullmatch(name)
    if versioned is not None:
        return versioned[1] or versioned[2]
    return name if name in MACHINES else None


def machine_type(name: str, accelerator: str) -> MachineType:
    """The machine `name`, if it is run by `accelerator`, "" for its own: what Xen runs is Xen's, what doesn't a PC."""
    if accelerator and name != "none":
        return MACHINES["xenfv" if accelerator == XEN else "pc"]
    return MACHINES[name]
