"""Distributions of plugins, made for a test: as metadata and modules in a folder on `sys.path`."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

KIT = '''
"""Devices that do next to nothing, and an accelerator whose CPU never does anything."""

from southbridge import Accelerator, Availability, Device, ExitReason, FilePath, Link, Property, Size, Vcpu, timer
from southbridge import PciDevice, PciIds, PortBank, RealizeError, ShutdownReason, X86State
from southbridge.block import BlockBackend
from southbridge.chardev import CharBackend

OPENED = []


class Box(Device):
    """Takes ports and a line."""

    iobase: int = Property(0x100, ge=0, le=0xFFF8, doc="First of eight ports.")
    irq: int | None = Property(None, ge=0, le=15, doc="ISA interrupt line.")
    fast: bool = Property(False, doc="Whether it hurries.")
    mode: str = Property("plain", pattern="^[a-z]+$", doc="How it works.")
    rate: float = Property(1.0, gt=0, doc="How often, in hertz.")
    buffer: Size = Property(4096, doc="How much it holds.")
    image: FilePath | None = Property(None, doc="What it starts with.")
    images: list[FilePath] = Property([], doc="What it goes on with.")
    files: dict[str, FilePath] = Property({}, doc="What else it has.")
    chardev: CharBackend | None = Link("chardevs", None, doc="Where it talks.")
    disk: BlockBackend | None = Link("blockdevs", None, doc="Where it writes.")
    friend: Device | None = Link("devices", None, doc="Who comes before it.")

    ports = PortBank(8)

    def realize(self):
        self.claim_ports(self.ports, self.iobase)
        if self.irq is not None:
            self.claim_irq(self.irq)


class Bridge(Device):
    """Provides a bus, named after itself."""

    def realize(self):
        self.machine.add_bus(f"{self.id}.0", object())


class Card(Device):
    """Sits on a bus."""

    bus: object = Link("buses", "bridge.0", doc="Its bus.")


class Pci(PciDevice):
    """A PCI function."""

    ids = PciIds(0x1234, 0x0001, class_code=0xFF0000)


class Stopper(Device):
    """Ends the machine."""

    status: int = Property(0, ge=0, le=255, doc="The exit status.")

    def reset(self):
        super().reset()
        self.end.after(us=1)

    @timer
    def end(self):
        self.machine.request_shutdown(ShutdownReason.GUEST_SHUTDOWN, self.status)


class Clumsy(Device):
    """Fails when it is realized."""

    how: str = Property("refuse", doc="How it fails.")

    def realize(self):
        if self.how == "refuse":
            raise RealizeError(f"{self.id}: won't")
        {}["key"]


class Disk(BlockBackend):
    """A disk of nothing."""

    path: FilePath = Property(doc="The image.")
    writable: bool = Property(True, doc="Whether it may be written.")
    broken: bool = Property(False, doc="Whether opening it fails.")

    def open(self):
        if self.broken:
            raise RealizeError(f"{self.path}: not an image")
        self.name, self.size = str(self.path), 512
        OPENED.append(self)

    def read(self, offset, length): return bytes(length)
    def write(self, offset, data): pass
    def flush(self): pass

    def close(self):
        if self in OPENED:
            OPENED.remove(self)


class Mute(CharBackend):
    """Says nothing."""

    def open(self): OPENED.append(self)
    def start(self, loop, lock): pass
    def write(self, data): return len(data)
    def accept_input(self): pass

    def close(self):
        if self in OPENED:
            OPENED.remove(self)


class StillVcpu(Vcpu):
    index = 0

    def run(self): return ExitReason.HALTED
    def kick(self): pass
    def interrupt_changed(self): pass
    def request_nmi(self): pass
    def wakes(self): return False
    def save(self): return X86State()
    def load(self, state): pass
    def close(self): pass


class Still(Accelerator):
    """Halts at once, and for ever."""

    speed: int = Property(0, ge=0, le=0, doc="How fast.")
    preference = 99

    @classmethod
    def availability(cls): return Availability(True, "it needs nothing")
    def attach(self, machine): pass
    def detach(self): pass
    def create_vcpu(self, index): return StillVcpu()


class Absent(Still):
    """Can't be used."""

    preference = 100

    @classmethod
    def availability(cls): return Availability(False, "the machine room is locked")
'''

KIT_ENTRY_POINTS = """
[southbridge.accelerators]
still = kit:Still
absent = kit:Absent

[southbridge.devices]
box = kit:Box
bridge = kit:Bridge
card = kit:Card
clumsy = kit:Clumsy
pci-card = kit:Pci
stopper = kit:Stopper

[southbridge.blockdevs]
blank = kit:Disk

[southbridge.chardevs]
mute = kit:Mute
"""

MakeDistribution = Callable[..., Path]


@pytest.fixture
def distribution(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[MakeDistribution]:
    """Makes a distribution: name, version, entry points, modules (name to source). Gives its folder."""
    folders: list[Path] = []

    def make(name: str, version: str, entry_points: str, **modules: str) -> Path:
        folder = tmp_path / f"site-{name}"
        info = folder / f"{name.replace('-', '_')}-{version}.dist-info"
        info.mkdir(parents=True)
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")
        (info / "entry_points.txt").write_text(entry_points)
        for module, source in modules.items():
            (folder / f"{module}.py").write_text(source)
        folders.append(folder)
        monkeypatch.syspath_prepend(folder)
        importlib.invalidate_caches()
        return folder

    yield make
    for module in [name for name, module in sys.modules.items() if _lies_in(module, folders)]:
        del sys.modules[module]


def _lies_in(module: object, folders: list[Path]) -> bool:
    file = getattr(module, "__file__", None)
    return file is not None and Path(file).parent in folders


@pytest.fixture
def kit(distribution: MakeDistribution) -> Path:
    """The distribution `kit` with a few plugins of each kind, imported by nobody yet."""
    return distribution("kit", "1.0", KIT_ENTRY_POINTS, kit=KIT)
