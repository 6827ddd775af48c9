"""The machines that -machine knows, each a description that comes with Southbridge."""

from __future__ import annotations

from typing import NamedTuple


class MachineType(NamedTuple):
    """`description` is a shipped one. `accelerator` is what runs it unless an option says otherwise."""

    description: str
    accelerator: str


MACHINES = {
    "pc": MachineType("pc", "auto"),
    "xenfv": MachineType("xenfv", "xen"),
}

XEN = "xen"
PLATFORM = "xen-platform"
"""Xen's own device in `xenfv`, which QEMU's `pc` with this accelerator doesn't have."""


def machine_type(name: str, accelerator: str) -> MachineType:
    """The machine `name`, if it is run by `accelerator`, "" for its own: what Xen runs is Xen's, what doesn't a PC."""
    if accelerator:
        return MACHINES["xenfv" if accelerator == XEN else "pc"]
    return MACHINES[name]
