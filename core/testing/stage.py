"""A device on a bench with whatever its links need, and a guest that does anything to it."""

from __future__ import annotations

import functools
import shutil
import tempfile
import weakref
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from random import Random
from typing import Any

from .. import discovery
from ..banks import BankRegion, PortBank
from ..construct import make_device
from ..device import Device
from ..errors import RealizeError
from ..memory.regions import Io, Ram
from ..memory.space import AddressSpace
from ..pci import BarKind, PciBus, PciDevice
from ..properties import FilePath, PropertySpec, declared_type
from ..units import KiB, MiB
from .bench import Bench, FlatBenchMemory
from .chardev import CharLine
from .dictionary import numbers
from .ide import MemoryDisk
from .memory import BenchMemory
from .meter import MOVED, Meter, OutOfBounds
from .network import NetworkLine
from .steps import PATTERNS, Step, memory_contents

SCATTERED = 64
"""How many offsets of a large bank are tried that nothing is declared at."""
CONFIG_SIZE = 256


TOUCHED = 64 * KiB
"""How much of guest memory, from its start on, is filled for devices to find something."""
MEMORY = 8 * MiB
BAR_SPACE = {BarKind.IO: 0xC000, BarKind.MEMORY_32: 0xE000_0000, BarKind.MEMORY_64: 0xE000_0000}


class NonconformingError(AssertionError):
    """The device doesn't do what every device must. The text is for its author."""


class Probe:
    """One of a device's ranges in an address space of its own: every access reaches it as through the map."""

    def __init__(
        self, region: Io | Ram, shown: BankRegion | None, stage: Stage, *, configuration: bool = False
    ) -> None:
        self.name = region.name.removeprefix("device.").replace(" ", "_")
        self.region = region
        self.configuration = configuration
        """Whether it is a PCI device's configuration space, as the bus reaches it."""
        self.bank = shown
        """The bank that it is, or shows, if it is one."""
        self.space = AddressSpace(region.name, region.size, stage.bench.machine.memory.on_fault)
        self.space.root.add(0, region)
        self.declared = [place for place in shown.declared() if len(place)] if shown else []
        self._random = stage.random

    @property
    def sizes(self) -> tuple[int, ...]:
        """How wide a guest's access may be: ports and configuration space are never accessed by eight bytes."""
        narrow = self.configuration or (self.bank is not None and isinstance(self.bank.bank, PortBank))
        return (1, 2, 4) if narrow else (1, 2, 4, 8)

    def offsets(self) -> list[int]:
        """Every offset of a small bank; of a large one, those that matter."""
        size = self.region.size
        if size <= CONFIG_SIZE:
            return list(range(size))
        edges = {offset for place in self.declared for offset in (place.start, place.start + 1, place.stop - 1)}
        return sorted(edges | {self._random.randrange(size) for _ in range(SCATTERED)} | {0, size - 1})

    def offset(self) -> int:
        """Any offset, of which most have something declared."""
        if self.declared and self._random.random() < 0.9:
            return self._random.choice(self._random.choice(self.declared))
        return self._random.randrange(self.region.size)

    def read(self, offset: int, size: int) -> int:
        """A guest's read. Raises NonconformingError unless the value has the width."""
        region = self.region
        if isinstance(region, Io) and size in region.widths and not offset % size and offset + size <= region.size:
            value = region.read(offset, size)  # as it is: an address space would cut it to the width
            if not 0 <= value < 1 << 8 * size:
                raise NonconformingError(f"{size} bytes read at {offset:#x} of {self.name} give {value:#x}")
            return value
        return self.space.read(offset, size)

    def answer(self, offset: int, size: int) -> int:
        """What a guest reads of a device that may be broken."""
        if self.configuration:
            device = self._pci()
            return device.bus.config_read(device.slot, device.function, offset, size)
        return self.space.read(offset, size)

    def tell(self, offset: int, size: int, value: int) -> None:
        """A guest's write to a device that may be broken."""
        if self.configuration:
            device = self._pci()
            device.bus.config_write(device.slot, device.function, offset, size, value)
        else:
            self.space.write(offset, size, value)

    def _pci(self) -> PciDevice:
        assert isinstance(self.region.owner, PciDevice)
        return self.region.owner


class Stage:
    """A device of type `kind`, on a bench whose memory hooks `make_memory` makes. All that is random comes from `seed`.

    What the guest does is a list of steps (see `steps`), which `play` carries out and `played` keeps. A `script`, one
    list of steps for each time that something is played, takes the place of what would be played.
    """

    def __init__(
        self,
        kind: str | type[Device],
        make_memory: Callable[[AddressSpace], BenchMemory] = FlatBenchMemory,
        *,
        seed: int = 0,
        script: Iterable[Sequence[Step]] | None = None,
        buses: Mapping[str, type[Device]] | None = None,
    ) -> None:
        cls = discovery.load("devices", kind) if isinstance(kind, str) else kind
        assert issubclass(cls, Device)
        self.cls = cls
        self.make_memory = make_memory
        self.seed = seed
        self.random = Random(f"{cls.__name__} {seed}")
        self.played: list[list[Step]] = []
        self.step: Step | None = None
        """What is being carried out."""
        self.doing = ""
        """What a check is doing, for the report of a failure that no step is to blame for."""
        self.done = 0
        """How many steps of those that were played last were carried out."""
        self.work = 0
        """How many calls and rounds of loops it took in all."""
        self.trespasses: list[str] = []
        """Registers that a device accessed by way of guest memory or ports. The guest here doesn't go that way."""
        self.twins: list[Stage] = []
        self._probes: dict[str, Probe] = {}
        self._script: Iterator[Sequence[Step]] | None = iter(script) if script is not None else None
        self._meter = Meter()
        self._numbers = [*range(16), *numbers(cls)]
        self.lines: list[CharLine | NetworkLine] = []
        self.disks: list[MemoryDisk] = []
        self._providers = providers() if buses is None else buses
        self.device, self.bench, self.before = self._staged()
        self._does: dict[str, Callable[..., int | None]] = {
            "read": self._read,
            "write": self._write,
            "advance": self._advance,
            "feed": self._feed,
            "memory": self._fill_memory,
            "reset": self._reset_and_switch_on,
        }
        self._fill_memory("mixed")

    def _staged(self) -> tuple[Device, Bench, dict[str, Any]]:
        """On a bench with a bus; or, what has no place there because it makes the bus, on a bare one."""
        refused: RealizeError | None = None
        for bare in (False, True):
            self.bench = Bench(self.make_memory, MEMORY, bare=bare)
            self._watch_map()
            self.disks = []
            self._provide_buses(self.cls)
            self.before = layout(self.bench)
            try:
                return self.plug(), self.bench, self.before
            except RealizeError as error:
                refused = refused or error
        assert refused is not None
        raise refused

    def twin(self) -> Stage:
        """Another stage of the same device."""
        twin = Stage(self.cls, self.make_memory, seed=self.seed)
        self.twins.append(twin)
        return twin

    def close(self) -> None:
        """Checks that no device holds a mapping of guest memory."""
        for stage in (self, *self.twins):
            if stage.memory.held:
                raise NonconformingError("it holds on to a mapping of guest memory (Dma.map) after the access")

    @property
    def memory(self) -> BenchMemory:
        """The memory hooks."""
        assert isinstance(self.bench.memory, BenchMemory)
        return self.bench.memory

    def plug(self, id: str = "device") -> Device:
        """Plugs one in, and resets it."""
        lines = self.lines
        self.lines = []
        properties = self._properties(self.cls)
        if id != "device":
            self.lines = lines
        device = make_device(self.bench.machine, self.cls, id, **properties)
        self.bench.machine.plug(device)
        device.reset()
        self.device = device
        self._probes = {}
        return device

    def _properties(self, cls: type[Device]) -> dict[str, Any]:
        found: dict[str, Any] = {}
        for name, spec in cls.properties().items():
            if spec.section == "chardevs":
                self.lines.append(CharLine())
                found[name] = self.lines[-1]
            elif spec.section == "netdevs":
                self.lines.append(NetworkLine())
                found[name] = self.lines[-1]
            elif spec.section == "blockdevs":
                self.disks.append(MemoryDisk(self.random.randbytes(1 * MiB)))
                found[name] = self.disks[-1]
            elif spec.required or spec.constraints.get("examples"):
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

    def _provide_buses(self, cls: type[Device]) -> None:
        """Plugs what makes the buses that a `cls` is on; and, before it, what makes those that this is on."""
        machine = self.bench.machine
        for spec in cls.properties().values():
            if spec.section == "buses" and isinstance(spec.default, str) and spec.default not in machine.buses:
                provider = self._providers.get(spec.default)
                if provider is not None:
                    self._provide_buses(provider)
                    id = f"provider of {spec.default}"
                    self.bench.plug(provider, id, **self._properties(provider))

    def devices(self) -> list[Device]:
        """The device, after those that make what it needs."""
        return list(self.bench.machine.devices.values())

    def save(self) -> dict[str, Any]:
        """The devices' states, by id."""
        return {device.id: device.save() for device in self.devices()}

    def load(self, saved: dict[str, Any]) -> None:
        """Takes over what `save` gave."""
        for device in self.devices():
            device.load(saved[device.id])

    def surround_as(self, other: Stage) -> None:
        """Makes memory, disks, time and what was sent as they are there."""
        self.settle()
        self.bench.machine.ram.view[:] = other.bench.machine.ram.view
        for disk, its in zip(self.disks, other.disks, strict=True):
            disk.data[:] = its.data
        for line, its_line in zip(self.lines, other.lines, strict=True):
            line.sent[:] = its_line.sent
        self.bench.clock.set(other.bench.clock.now())

    # --- its ranges ----------------------------------------------------------------------------------------------

    def probes(self, *, configuration: bool = True) -> list[Probe]:
        """Every range of the device; of one that has none, as a drive, those of the device that makes its bus.

        PCI configuration space is as the bus reaches it, or left out.
        """
        if not self._probes:
            found = list(self._probes_of(self.device))
            for device in self.devices() if not found else []:
                found += self._probes_of(device)
            for probe in found:
                if probe.name in self._probes:
                    probe.name += f"#{len(self._probes)}"
                self._probes[probe.name] = probe
        return [probe for probe in self._probes.values() if configuration or not probe.configuration]

    def _probes_of(self, device: Device) -> Iterator[Probe]:
        for region in device.regions():
            shown = region if isinstance(region, BankRegion) else None
            if shown and shown.bank.internal:
                continue
            configures = isinstance(device, PciDevice) and region is device.config
            if configures:
                assert isinstance(device, PciDevice)
                region = Io(region.name, 256, device.config_read, device.config_write, widths=(1, 2, 4), owner=device)
            yield Probe(region, shown, self, configuration=configures)
        for section in self.bench.machine.memory.sections:
            rom = section.region
            if isinstance(rom, Ram) and rom.readonly and rom.owner is device and section.offset == 0:
                yield Probe(rom, None, self)

    def switch_on(self) -> None:
        """As firmware does: the PCI devices here answer at addresses of their own, and may master the bus."""
        used = dict.fromkeys(BAR_SPACE.values(), 0)
        for device in self.devices():
            if not isinstance(device, PciDevice):
                continue
            for bar in device.bars():
                space = BAR_SPACE[bar.kind]
                offset = -(-used[space] // bar.size) * bar.size
                used[space] = offset + bar.size
                self.bench.place(device, bar.name, space + offset)
            self.bench.config_write(device, 0x04, 2, 0x7)
            for offset in range(0x40, 0x100, 2):
                self._try_to_enable(device, offset)

    def _try_to_enable(self, device: PciDevice, offset: int) -> None:
        """Sets configuration bits of the device's own that switch a range of its on."""
        disabled = [region for region in device.regions() if not region.enabled]
        before = self.bench.config_read(device, offset, 2) if disabled else 0xFFFF
        if before != 0xFFFF:
            self.bench.config_write(device, offset, 2, 0xFFFF)
            if all(not region.enabled for region in disabled):
                self.bench.config_write(device, offset, 2, before)

    def registers(self) -> list[int]:
        """Where the devices here answer, in memory and ports: some addresses of each of their ranges."""
        spaces = (self.bench.machine.memory, self.bench.machine.ports)
        found: set[int] = set()
        for section in (section for space in spaces for section in space.sections):
            if isinstance(section.region, Io):
                found |= {section.start + offset for offset in range(0, min(section.size, 64), 4)}
                found.add(section.start + section.size // 2 & ~3)
        return sorted(found) or [0]

    def addresses(self) -> list[int]:
        """Some of guest memory, and of where devices answer: what a guest may tell a device to access."""
        size = self.bench.machine.ram.size
        memory = set(range(0x30, TOUCHED, 0xFF0))
        return sorted({*self.registers()[::4], *BAR_SPACE.values(), *memory, 0, TOUCHED - 8, size - 16, size - 2, size})

    def _watch_map(self) -> None:
        for space in (self.bench.machine.memory, self.bench.machine.ports):
            for what in ("read", "write"):
                setattr(space, what, self._watched(space, what, getattr(space, what)))

    def _watched(self, space: AddressSpace, what: str, function: Callable[..., Any]) -> Callable[..., Any]:
        def watched(address: int, *arguments: int) -> Any:
            section = space.find(address) if self.step is not None else None
            if section is None or not isinstance(section.region, Io):
                return function(address, *arguments)
            self.trespasses.append(f"{what} at {address:#x} of {space.name}, which is in {section.region.name}")
            return (1 << 8 * arguments[0]) - 1 if what == "read" else None

        return watched

    # --- the guest -----------------------------------------------------------------------------------------------

    def play(self, steps: list[Step]) -> tuple[list[Step], list[int | None]]:
        """Carries out `steps`, or what the script has in their place. Gives the steps, and what each read gave."""
        if self._script is not None:
            steps = list(next(self._script, ()))
        self.played.append(steps)
        try:
            return steps, self.carry_out(steps)
        except BaseException:
            del steps[self.done + 1 :]
            raise

    def carry_out(self, steps: Sequence[Step]) -> list[int | None]:
        """Carries out `steps`; gives what each read gave. Raises what a device raised, or NonconformingError."""
        answers: list[int | None] = []
        meter, memory, does = self._meter, self.memory, self._does
        self.probes()
        memory.limit = MOVED
        try:
            with meter:
                for step in steps:
                    self.step = step
                    meter.spent = memory.moved = 0
                    answers.append(does[step[0]](*step[1:]))
                    self.work += meter.spent
                    if self.trespasses:
                        raise NonconformingError(f"a device accesses registers by itself: {self.trespasses[0]}")
        except OutOfBounds as error:
            self.work += meter.spent
            raise NonconformingError(str(error)) from None
        finally:
            memory.limit = None
            self.done = len(answers)
        self.step = None
        for line in self.lines:
            line.waiting.clear()
        return answers

    def settle(self) -> None:
        """Finishes what the host does for the devices."""
        self.bench.executor.run_all()

    def storm(self, count: int, *, configuration: bool = True) -> tuple[list[Step], list[int | None]]:
        """`count` accesses of any kind; time passes, and bytes come in. At the end nothing waits to come in."""
        return self.play(self.random_steps(count, configuration=configuration))

    def random_steps(self, count: int, *, configuration: bool = True, aim: Sequence[int] = ()) -> list[Step]:
        """`count` accesses, and further steps between them. Half of what is written is of `aim`, if it has any."""
        random, probes, addresses = self.random, self.probes(configuration=configuration), self.addresses()
        rare = [probe for probe in probes if probe.configuration]
        usual = [probe for probe in probes if not probe.configuration] or rare
        steps: list[Step] = []
        again = 0
        for _ in range(count if probes else 0):
            chance = random.random()
            if again:
                again -= 1
            else:
                probe = random.choice(rare if rare and chance < 0.05 else usual)
                size = random.choice(probe.sizes)
                offset = probe.offset() & ~(random.choice((0, 1)) * (size - 1))
                again = random.randrange(32) if random.random() < 0.01 else 0
            if random.random() < 0.4:
                steps.append(("read", probe.name, offset, size))
            else:
                value = random.choice(aim) if aim and random.random() < 0.5 else self._value(size, addresses)
                steps.append(("write", probe.name, offset, size, value & (1 << 8 * size) - 1))
            if chance > 0.9995:
                steps.append(("reset",) if random.random() < 0.5 else ("memory", random.choice(PATTERNS)))
            elif chance > 0.9:
                steps.append(("advance", random.choice((1_000, 50_000, 50_000, 3_000_000))))
            for index in range(len(self.lines)):
                if random.random() < 0.05:
                    steps.append(("feed", index, random.randbytes(random.randint(1, 20))))
        return steps

    def _value(self, size: int, addresses: Sequence[int]) -> int:
        """What a guest might write."""
        random, numbers = self.random, self._numbers
        anything = random.getrandbits(8 * size)
        chosen = (0, -1, 1 << random.randrange(8 * size), random.choice(addresses), anything)
        return random.choice((*chosen, random.choice(numbers), random.choice(numbers)))

    def _read(self, name: str, offset: int, size: int) -> int:
        self.bench.executor.run_all()
        return self._probes[name].read(offset, size)

    def _write(self, name: str, offset: int, size: int, value: int) -> None:
        self._probes[name].space.write(offset, size, value)
        self.bench.executor.run_all()

    def _advance(self, ns: int) -> None:
        self.bench.clock.advance(ns=ns)

    def _feed(self, index: int, data: bytes) -> None:
        self.lines[index].feed(data)

    def _fill_memory(self, pattern: str) -> None:
        random = Random(f"{self.seed} {pattern}")
        addresses = self.registers() if pattern == "registers" else self.addresses()
        self.bench.write_memory(0, memory_contents(pattern, TOUCHED, addresses, random))

    def _reset_and_switch_on(self) -> None:
        self.reset()
        self.switch_on()

    def reset(self) -> None:
        """The machine's reset: of every device here."""
        for device in self.devices():
            device.reset()


def layout(bench: Bench) -> dict[str, Any]:
    """What devices take of a machine."""
    machine = bench.machine
    buses = {name: bus for name, bus in machine.buses.items() if isinstance(bus, PciBus)}
    wires = [*machine.isa.wires, *(wire for bus in buses.values() for wire in bus.wires)]
    return {
        "memory": [(s.start, s.size, s.region.name, s.offset, s.readonly) for s in machine.memory.sections],
        "ports": [(s.start, s.size, s.region.name, s.offset) for s in machine.ports.sections],
        "lines": [owner.id if (owner := machine.isa.owner(number)) else None for number in range(16)],
        "asserted": [wire.name for wire in wires if wire.level],
        "slots": {name: [device.id for device in bus.devices()] for name, bus in buses.items() if bus.devices()},
        "devices": sorted(machine.devices),
        "timer": machine.clock.deadline(),
    }


@functools.cache
def providers() -> dict[str, type[Device]]:
    """Which device makes which bus, by the bus's name."""
    found: dict[str, type[Device]] = {}
    left = discovery.names("devices")
    while left:
        failed = []
        for kind in left:
            try:
                stage = Stage(kind, buses=dict(found))
            except Exception:  # its own conformance tests say so
                failed.append(kind)
                continue
            for name in stage.bench.machine.buses:
                found.setdefault(name, stage.cls)
        left = failed if len(failed) < len(left) else []  # those may need a bus that was found meanwhile
    return found
