"""A device on a bench with whatever its links need, and a guest that does anything to it."""

from __future__ import annotations

import functools
import shutil
import tempfile
import weakref
from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import Any

from .. import discovery
from ..banks import BankRegion
from ..construct import make_device
from ..device import Device
from ..errors import RealizeError
from ..memory.guest import FlatGuestMemory
from ..memory.regions import Io
from ..memory.space import AddressSpace
from ..pci import PciBus, PciDevice
from ..properties import FilePath, PropertySpec, declared_type
from ..units import KiB, MiB
from .bench import Bench, FlatBenchMemory
from .chardev import CharLine
from .ide import MemoryDisk

SCATTERED = 64
"""How many offsets of a large bank are tried that nothing is declared at."""
CONFIG_SIZE = 256


class Probe:
    """One of a device's banks in an address space of its own: every access reaches it as through the map."""

    def __init__(self, region: Io, declared: list[range], random: Random) -> None:
        self.region = region
        self.space = AddressSpace(region.name, region.size)
        self.space.root.add(0, region)
        self._declared = [place for place in declared if len(place)]
        self._random = random

    def offsets(self) -> list[int]:
        """Every offset of a small bank; of a large one, those that matter."""
        size = self.region.size
        if size <= CONFIG_SIZE:
            return list(range(size))
        edges = {offset for place in self._declared for offset in (place.start, place.start + 1, place.stop - 1)}
        return sorted(edges | {self._random.randrange(size) for _ in range(SCATTERED)} | {0, size - 1})

    def offset(self) -> int:
        """Any offset, of which most have something declared."""
        if self._declared and self._random.random() < 0.9:
            return self._random.choice(self._random.choice(self._declared))
        return self._random.randrange(self.region.size)


class Stage:
    """A device of type `kind`, on a bench whose memory hooks `make_memory` makes. Its accesses come from one seed."""

    def __init__(
        self,
        kind: str | type[Device],
        make_memory: Callable[[AddressSpace], FlatGuestMemory] = FlatBenchMemory,
        *,
        with_buses: bool = True,
    ) -> None:
        cls = discovery.load("devices", kind) if isinstance(kind, str) else kind
        assert issubclass(cls, Device)
        self.cls = cls
        self.make_memory = make_memory
        self.random = Random(cls.__name__)
        self.lines: list[CharLine] = []
        self._with_buses = with_buses
        self.device, self.bench, self.before = self._staged()
        self.bench.write_memory(0, self.random.randbytes(64 * KiB))

    def _staged(self) -> tuple[Device, Bench, dict[str, Any]]:
        """On a bench with a bus; or, what has no place there because it makes the bus, on a bare one."""
        refused: RealizeError | None = None
        for bare in (False, True):
            self.bench = Bench(self.make_memory, bare=bare)
            if self._with_buses:
                self._provide_buses()
            self.before = layout(self.bench)
            try:
                return self.plug(), self.bench, self.before
            except RealizeError as error:
                refused = refused or error
        assert refused is not None
        raise refused

    def plug(self, id: str = "device") -> Device:
        """Plugs one in, and resets it."""
        properties = self._properties(self.cls)
        device = make_device(self.bench.machine, self.cls, id, **properties)
        self.bench.machine.plug(device)
        device.reset()
        self.device = device
        return device

    def _properties(self, cls: type[Device]) -> dict[str, Any]:
        found: dict[str, Any] = {}
        for name, spec in cls.properties().items():
            if spec.section == "chardevs":
                self.lines.append(CharLine())
                found[name] = self.lines[-1]
            elif spec.section == "blockdevs":
                found[name] = MemoryDisk(self.random.randbytes(1 * MiB))
            elif spec.required:
                found[name] = self._example(cls, name, spec)
        return found

    def _example(self, cls: type[Device], name: str, spec: PropertySpec) -> Any:
        examples = spec.constraints.get("examples")
        if examples:
            return examples[0]
        if declared_type(cls, name) is FilePath:
            folder = tempfile.mkdtemp(prefix="southbridge-stage-")
            weakref.finalize(self, shutil.rmtree, folder)
            file = Path(folder, name)
            file.write_bytes(bytes(64 * KiB))
            return file
        raise AssertionError(f"{cls.__name__} needs {name!r}: give examples=[...] in its declaration")

    def _provide_buses(self) -> None:
        machine = self.bench.machine
        for spec in self.cls.properties().values():
            if spec.section == "buses" and isinstance(spec.default, str) and spec.default not in machine.buses:
                provider = providers().get(spec.default)
                if provider is not None:
                    self.bench.plug(provider, "provider", **self._properties(provider))

    # --- the guest -----------------------------------------------------------------------------------------------

    def probes(self, *, configuration: bool = True) -> list[Probe]:
        """The device's banks; PCI configuration space as the bus reaches it, or not at all."""
        found: list[Probe] = []
        for region in self.device.regions():
            if not isinstance(region, BankRegion):
                found.append(Probe(region, [], self.random))
            elif region.name != f"{self.device.id}.config":
                found.append(Probe(region, region.declared(), self.random))
            elif configuration:
                found.append(self._configuration(region))
        return found

    def _configuration(self, region: BankRegion) -> Probe:
        device = self.device
        assert isinstance(device, PciDevice)
        through = Io(region.name, region.size, device.config_read, device.config_write, widths=(1, 2, 4))
        return Probe(through, region.declared(), self.random)

    def read(self, probe: Probe, offset: int, size: int) -> int:
        """A guest's read. Fails unless the value has the width."""
        self.bench.executor.run_all()
        if offset % size == 0 and offset + size <= probe.region.size and size in probe.region.widths:
            value = probe.region.read(offset, size)
            what = f"{probe.region.name}: {size} bytes read at {offset:#x}"
            assert 0 <= value < 1 << 8 * size, f"{what} give {value:#x}"
            return value
        return probe.space.read(offset, size)

    def write(self, probe: Probe, offset: int, size: int, value: int) -> None:
        """A guest's write."""
        probe.space.write(offset, size, value)
        self.bench.executor.run_all()

    def storm(self, count: int, *, configuration: bool = True) -> None:
        """`count` accesses of any kind; time passes, and bytes come in. At the end nothing waits to come in."""
        random, probes = self.random, self.probes(configuration=configuration)
        for _ in range(count if probes else 0):
            probe, size = random.choice(probes), random.choice((1, 2, 4))
            offset = probe.offset() & ~(random.choice((0, 1)) * (size - 1))
            if random.random() < 0.4:
                self.read(probe, offset, size)
            else:
                values = (0, -1, 1 << random.randrange(8 * size), random.getrandbits(8 * size))
                self.write(probe, offset, size, random.choice(values) & ((1 << 8 * size) - 1))
            if random.random() < 0.1:
                self.bench.clock.advance(us=random.choice((1, 50, 3000)))
            for line in self.lines:
                if random.random() < 0.05:
                    line.feed(random.randbytes(random.randint(1, 20)))
        for line in self.lines:
            line.waiting.clear()


def layout(bench: Bench) -> dict[str, Any]:
    """What devices take of a machine."""
    machine = bench.machine
    buses = {name: bus for name, bus in machine.buses.items() if isinstance(bus, PciBus)}
    wires = [*machine.isa.wires, *(wire for bus in buses.values() for wire in bus.wires)]
    return {
        "memory": list(machine.memory.sections),
        "ports": list(machine.ports.sections),
        "lines": [machine.isa.owner(number) for number in range(16)],
        "asserted": [wire.name for wire in wires if wire.level],
        "slots": {name: bus.devices() for name, bus in buses.items() if bus.devices()},
        "devices": sorted(machine.devices),
        "timer": machine.clock.deadline(),
    }


@functools.cache
def providers() -> dict[str, type[Device]]:
    """Which device makes which bus, by the bus's name."""
    found: dict[str, type[Device]] = {}
    for kind in discovery.names("devices"):
        try:
            stage = Stage(kind, with_buses=False)
        except Exception:  # its own conformance tests say so
            continue
        for name in stage.bench.machine.buses:
            found.setdefault(name, stage.cls)
    return found
