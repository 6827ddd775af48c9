"""What the options said so far: the parts of a machine, and how it is to be run.

Its classes are plain, or have no methods that nobody calls: to make dataclasses takes time at every start.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, NamedTuple

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
    """A `-drive`. `interface` is "none", "ide" or "floppy"; `images` is empty while there is no medium.

    The last of `images` is what the drive has; it may be made of those before it.
    """

    id: str
    option: str
    interface: str
    index: int | None
    cdrom: bool
    images: list[Part]
    policies: dict[str, str] = field(default_factory=dict)
    """`rerror` and `werror`."""


class Change(NamedTuple):
    """What an option changes of a part that the shipped description has; None instead of values: it isn't there."""

    values: dict[str, Any] | None
    option: str


class Global(NamedTuple):
    """A `-global`: a default for each device of the type `driver`."""

    driver: str
    property: str
    value: str
    option: str


class Accelerator(NamedTuple):
    """An accelerator to try."""

    name: str
    values: dict[str, Any]
    option: str


class Asked(NamedTuple):
    """Something to print instead of running: a `topic` of `help`, and what about."""

    topic: str
    about: str = ""


@dataclass(repr=False, eq=False)
class NumaNode:
    """A `-numa node`. `memory` in bytes, 0 for its share of what no other node has."""

    cpus: list[int] = field(default_factory=list)
    memory: int = 0


class Process:
    """How the machine is run, which isn't in its description."""

    asked: Asked | None = None
    paused: bool = False
    """It waits for `cont`."""
    preconfig: bool = False
    """It waits for `x-exit-preconfig` first."""
    incoming: int | None = None
    """A descriptor that its state comes from: of Xen's domains only the devices'."""
    comes_from: str = ""
    """Where the machine comes from, in QEMU's words; `defer`: a client says that."""
    ends_with_guest: bool = True
    """The process ends when the guest switches the machine off."""
    reboots: bool = True
    user: str = ""
    folder: str = ""
    """What is to be the root of its file system."""
    sandbox: bool = False
    in_background: bool = False
    pid_file: str = ""
    log_file: str = ""
    log_items: set[str]
    notes: list[str]
    """What was accepted, and has no effect here."""

    def __init__(self) -> None:
        self.log_items = set()
        self.notes = []


class Draft:
    """A machine, as far as it is known."""

    machine: str = "pc"
    machine_option: str = "-machine pc"
    accelerators: list[Accelerator]
    accelerator_values: dict[str, Any]
    """Of Xen's, by options of their own."""
    cpu: str = ""
    cpu_option: str = ""
    memory: int = DEFAULT_MEMORY
    memory_option: str = "-m 128"
    cpus: int = 1
    most_cpus: int = 1
    smp_option: str = "-smp 1"
    name: str = ""
    uuid: str = ""
    top: dict[str, tuple[Any, str]]
    """Further keys of the description, with the option of each: kernel, initrd, cmdline, smbios."""
    boot_order: str = ""
    changes: dict[str, list[Change]]
    """By the part's id."""
    defaults: bool = True
    """QEMU's default devices are there, unless others take their place."""
    given: set[str]
    """Kinds of default devices that an option decided on: vga, net, serial, monitor."""
    graphics: bool = True
    """The terminal isn't all that the user has (-nographic)."""
    usb: bool = False
    domain: int | None = None
    """Of Xen."""
    chardevs: dict[str, Part | Socket]
    monitors: list[Part]
    qtest: Part | None = None
    """The monitor by which a test drives the machine."""
    qtest_log: str = "/dev/stderr"
    """Where what the test says is written down; none."""
    displays: list[Part]
    netdevs: list[Part]
    blockdevs: list[Part]
    """Images that -blockdev names."""
    drives: list[Drive]
    snapshot: bool = False
    """What is written to disks goes to temporary files."""
    cards: list[Part]
    """Devices that have their places before those of -device: graphics and networks."""
    devices: list[Part]
    nameless: list[str]
    """The ids of those of them that got one here."""
    globals: list[Global]
    objects: dict[str, Part]
    memory_objects: list[str]
    """The ids of those that the guest's memory is made of."""
    numa: list[NumaNode]
    distances: dict[tuple[int, int], int]
    """From node to node."""
    serials: list[str | None]
    """The ids of the chardevs of COM1, COM2...; None where no port is."""
    process: Process

    def __init__(self) -> None:
        self.accelerators = []
        self.accelerator_values = {}
        self.top = {}
        self.changes = {}
        self.given = set()
        self.chardevs = {}
        self.monitors = []
        self.displays = []
        self.netdevs = []
        self.blockdevs = []
        self.drives = []
        self.cards = []
        self.devices = []
        self.nameless = []
        self.globals = []
        self.objects = {}
        self.memory_objects = []
        self.numa = []
        self.distances = {}
        self.serials = []
        self.process = Process()

    def note(self, text: str) -> None:
        """Says of something accepted that it has no effect."""
        self.process.notes.append(text)

    def change(self, id: str, option: str, values: dict[str, Any] | None) -> None:
        """Lays `values` over those of the part `id` of the shipped description; None: removes it."""
        self.changes.setdefault(id, []).append(Change(values, option))

    def ask(self, topic: str, about: str = "") -> None:
        """Prints that instead of running; the first question is answered."""
        self.process.asked = self.process.asked or Asked(topic, about)
