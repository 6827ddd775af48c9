"""A stage of the conformance suite whose guest is one of the simulated hypervisor's.

What it reads and writes are requests in the shared pages, which the ioreq server serves; devices' DMA goes through the
mapcache, of which 1 MiB is mapped at most.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import cached_property
from types import SimpleNamespace
from typing import Any, cast

from southbridge import Machine
from southbridge.accelerators.xen.hypervisor import Hypervisor, Space
from southbridge.accelerators.xen.mapcache import MapCache
from southbridge.accelerators.xen.memory import DomainMemory
from southbridge.accelerators.xen.ranges import Ranges
from southbridge.accelerators.xen.server import Server
from southbridge.accelerators.xen.simulated.devicemodel import DeviceModel
from southbridge.accelerators.xen.simulated.events import EventChannels
from southbridge.accelerators.xen.simulated.foreignmemory import ForeignMemory
from southbridge.accelerators.xen.simulated.frames import Extent, Frames
from southbridge.accelerators.xen.simulated.platform import Inner
from southbridge.accelerators.xen.simulated.requests import Requests
from southbridge.banks import PortBank
from southbridge.device import Device
from southbridge.hookspecs import hookimpl
from southbridge.memory.guest import Mapping
from southbridge.memory.ram import PAGE_SHIFT, RamBlock
from southbridge.memory.regions import Io, Ram
from southbridge.memory.space import AddressSpace
from southbridge.pci import PciDevice
from southbridge.testing.memory import BenchMemory
from southbridge.testing.stage import Probe, Stage
from southbridge.testing.steps import Step
from southbridge.units import GiB, KiB, MiB

CONFIGURATION_ADDRESS, CONFIGURATION_DATA = 0xCF8, 0xCFC
LESS = 5


class DomainBenchMemory(BenchMemory):
    """A domain's memory, through a mapcache."""

    @cached_property
    def ram(self) -> RamBlock:
        return next(section.ram for section in self._space.sections if section.ram is not None)

    @cached_property
    def frames(self) -> Frames:
        inside = AddressSpace("domain", 1 << 52)
        frames = Frames(inside, inside.root)
        frames.put([Extent(0, self.ram.size >> PAGE_SHIFT, self.ram, 0)])
        return frames

    @cached_property
    def cache(self) -> MapCache:
        return MapCache(ForeignMemory(self.frames), bucket=64 * KiB, budget=MiB)

    @cached_property
    def domain(self) -> DomainMemory:
        return DomainMemory(self._space, self.ram, self.cache)

    @property
    def held(self) -> int:
        return self.cache.statistics.locked if "cache" in vars(self) else 0

    @hookimpl
    def memory_read(self, address: int, length: int) -> bytes:
        self._count(length)
        return self.domain.memory_read(address, length)

    @hookimpl
    def memory_write(self, address: int, data: bytes | memoryview) -> None:
        self._count(len(data))
        self.domain.memory_write(address, data)

    @hookimpl
    def memory_map(self, address: int, length: int, write: bool) -> Mapping:
        mapping = self.domain.memory_map(address, length, write)
        self._count(len(mapping))
        return mapping

    @hookimpl
    def memory_unmap(self, mapping: Mapping, written: int) -> None:
        self.domain.memory_unmap(mapping, written)


class Front:
    """What the ioreq server serves: the probes' regions, each at a place of its own, and the bench's PCI buses."""

    def __init__(self, stage: Stage) -> None:
        bench = stage.bench.machine
        machine = self.machine = Machine(name="front", memory=MiB, lock=bench.lock, clock=bench.clock, strict=True)
        for space in (machine.memory, machine.ports):
            space.on_fault = bench.memory.on_fault
        machine.buses.update(bench.buses)
        inner = self.inner = Inner(machine)
        self.requests = requests = Requests(inner)
        self.events = requests.events = EventChannels(requests.notified)
        inner.ports.root.add(0, requests.ports, priority=-1)
        inner.bus_memory.add(0, requests.memory)
        memory = cast(DomainBenchMemory, stage.memory)
        pages = ForeignMemory(memory.frames, (requests.page, requests.ring))
        model = DeviceModel(inner, cast(Any, None), memory.frames, requests)
        hypervisor = SimpleNamespace(domid=1, device_model=model, memory=pages, events=self.events)
        self.failures: list[Exception] = []
        self.server = Server(
            machine,
            cast(Hypervisor, hypervisor),
            memory.domain,
            memory.cache,
            failed=self.failures.append,
            time_offset=lambda seconds: None,
        )
        self.ranges = Ranges(machine, model, self.server.id, frozenset())
        self.ranges.follow()
        machine.memory.add_listener(self)
        self._next_port, self._next_address = 0, GiB
        with machine.lock:
            self.server.serve()

    def region_added(self, section: Any) -> None:
        """See SpaceListener."""
        self.ranges.add(Space.MEMORY, section)

    def region_removed(self, section: Any) -> None:
        """See SpaceListener."""
        self.ranges.remove(Space.MEMORY, section)

    def place(self, region: Io, *, ports: bool) -> int:
        """Puts it where the guest reaches it."""
        if ports:
            start = self._next_port
            self._next_port = start + -(-region.size // 8) * 8 + 8
            self.machine.ports.root.add(start, region)
        else:
            start = self._next_address
            self._next_address = start + -(-region.size // MiB) * MiB + MiB
            self.machine.memory.root.add(start, region)
        return start

    def close(self) -> None:
        self.ranges.leave()
        self.server.close()
        self.events.close()


class GuestSpace:
    """A probe's space: accesses are the guest's."""

    def __init__(self, front: Front, read: Callable[[int, int], int], write: Callable[[int, int, int], None]) -> None:
        self._front, self._read, self._write = front, read, write

    def read(self, offset: int, size: int) -> int:
        with self._front.machine.lock:
            value = self._read(offset, size)
        self._check()
        return value

    def write(self, offset: int, size: int, value: int) -> None:
        with self._front.machine.lock:
            self._write(offset, size, value)
        self._check()

    def unlink(self) -> None:
        for space in (self._front.machine.memory, self._front.machine.ports):
            space.unlink()

    def _check(self) -> None:
        """What a device raised goes through to the test."""
        if self._front.failures:
            raise self._front.failures.pop()


class RequestProbe(Probe):
    """A range that is reached by requests."""

    def __init__(self, region: Io, shown: Any, stage: Stage, front: Front, *, configuration: bool) -> None:
        super().__init__(region, shown, stage, configuration=configuration)
        if configuration:
            device = self._pci()
            space = GuestSpace(front, _configuration_read(front, device), _configuration_write(front, device))
        else:
            ports = shown is not None and isinstance(shown.bank, PortBank)
            start = front.place(region, ports=ports)
            inside = front.inner.ports if ports else front.inner.memory
            space = GuestSpace(
                front,
                lambda offset, size: inside.read(start + offset, size),
                lambda offset, size, value: inside.write(start + offset, size, value),
            )
        self.space = cast(AddressSpace, space)

    def read(self, offset: int, size: int) -> int:
        return self.space.read(offset, size)

    def answer(self, offset: int, size: int) -> int:
        return self.space.read(offset, size)

    def tell(self, offset: int, size: int, value: int) -> None:
        self.space.write(offset, size, value)


def _configuration_address(front: Front, device: PciDevice, offset: int) -> int:
    """Has the guest choose the register; the data port that shows it."""
    place = device.bus.number << 16 | device.slot << 11 | device.function << 8
    front.inner.ports.write(CONFIGURATION_ADDRESS, 4, 1 << 31 | place | offset & 0xFC)
    return CONFIGURATION_DATA | offset & 3


def _configuration_read(front: Front, device: PciDevice) -> Callable[[int, int], int]:
    def read(offset: int, size: int) -> int:
        if offset % size:  # a guest would have to do that piece by piece, too
            return sum(read(offset + at, 1) << 8 * at for at in range(size))
        return front.inner.ports.read(_configuration_address(front, device, offset), size)

    return read


def _configuration_write(front: Front, device: PciDevice) -> Callable[[int, int, int], None]:
    def write(offset: int, size: int, value: int) -> None:
        if offset % size:
            for at in range(size):
                write(offset + at, 1, value >> 8 * at & 0xFF)
        else:
            front.inner.ports.write(_configuration_address(front, device, offset), size, value)

    return write


class RequestStage(Stage):
    """See the module. What is random is less: the devices are tried thoroughly without a hypervisor between."""

    _front: Front | None = None

    def random_steps(self, count: int, *, configuration: bool = True, aim: Sequence[int] = ()) -> list[Step]:
        return super().random_steps(-(-count // LESS), configuration=configuration, aim=aim)

    def probes(self, *, configuration: bool = True) -> list[Probe]:
        if not self._probes:
            self._leave()
            self._front = Front(self)
        return super().probes(configuration=configuration)

    @property
    def front(self) -> Front:
        self.probes()
        assert self._front is not None
        return self._front

    def _probes_of(self, device: Device) -> Iterator[Probe]:
        assert self._front is not None
        for probe in super()._probes_of(device):
            if isinstance(probe.region, Ram):
                yield probe
            else:
                yield RequestProbe(probe.region, probe.bank, self, self._front, configuration=probe.configuration)

    def twin(self) -> Stage:
        twin = RequestStage(self.cls, self.make_memory, seed=self.seed)
        self.twins.append(twin)
        return twin

    def _leave(self) -> None:
        if self._front is not None:
            self._front.close()
            self._front = None

    def close(self) -> None:
        super().close()
        for stage in (self, *self.twins):
            assert isinstance(stage, RequestStage)
            if stage._front is not None:
                assert stage._front.server.nonsense == 0
                stage._leave()
