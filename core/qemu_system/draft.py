"""What the options said so far: the parts of a machine, and how it is to be run.

Its classes have no methods that nobody calls: to make each of them takes time at every start.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal

from ..units import MiB

DEFAULT_MEMORY = 128 * MiB


@dataclass(repr=False, eq=False)
class Socket:
    """A `-chardev socket`, which a device or a monitor will have. `option` is how it was written."""

    id: str
    option: str
    path: str | None = None
    descriptor: int | None = None
    """An inherited one; of a server, it listens already."""
    host: str = ""
    port: int | None = None
    server: bool = False
    wait: bool = True


@dataclass(repr=False, eq=False)
class Part:
    """A part of the description: a device or back end of type `type`; `option` is how it was written."""

    id: str
    type: str
    values: dict[str, Any]
    option: str


@dataclass(repr=False, eq=False)
class Drive:
    """A `-drive`. `interface` is "none" or "ide"; `image` is None while there is no medium."""

    id: str
    option: str
    interface: str
    index: int | None
    cdrom: bool
    image: Part | None


@dataclass(repr=False, eq=False)
class Process:
    """How the machine is run, which isn't in its description."""

    shows: Literal["", "description", "version", "help"] = ""
    """What it prints instead of running."""
    paused: bool = False
    """It waits for `cont`."""
    incoming: int | None = None
    """A descriptor that its state comes from."""
    ends_with_guest: bool = True
    """The process ends when the guest switches the machine off."""
    reboots: bool = True
    user: str = ""
    folder: str = ""
    """What is to be the root of its file system."""
    sandbox: bool = False
    notes: list[str] = field(default_factory=list)
    """What was accepted, and has no effect here."""


@dataclass(repr=False, eq=False)
class Draft:
    """A machine, as far as it is known."""

    machine: str = "pc"
    machine_option: str = "-machine pc"
    accelerator: str = ""
    accelerator_values: dict[str, Any] = field(default_factory=dict)
    accelerator_option: str = ""
    memory: int = DEFAULT_MEMORY
    memory_option: str = "-m 128"
    cpus: int = 1
    most_cpus: int = 1
    smp_option: str = "-smp 1"
    name: str = ""
    uuid: str = ""
    boot_order: str = ""
    defaults: bool = True
    """QEMU's default devices are there, unless others take their place."""
    domain: int | None = None
    """Of Xen."""
    chardevs: dict[str, Part | Socket] = field(default_factory=dict)
    monitors: list[Part] = field(default_factory=list)
    displays: list[Part] = field(default_factory=list)
    netdevs: list[Part] = field(default_factory=list)
    drives: list[Drive] = field(default_factory=list)
    devices: list[Part] = field(default_factory=list)
    serials: list[str | None] = field(default_factory=list)
    """The ids of the chardevs of COM1, COM2...; None where no port is."""
    process: Process = field(default_factory=Process)

    def note(self, text: str) -> None:
        """Says of something accepted that it has no effect."""
        self.process.notes.append(text)
