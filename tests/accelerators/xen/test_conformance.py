"""The device conformance suite, with guest memory that is the simulated hypervisor's: 1 MiB of it mapped at most."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cached_property

import pytest
from southbridge import Device
from southbridge.accelerators.xen.mapcache import MapCache
from southbridge.accelerators.xen.memory import DomainMemory
from southbridge.accelerators.xen.simulated.foreignmemory import ForeignMemory
from southbridge.accelerators.xen.simulated.frames import Extent, Frames
from southbridge.discovery import load, names
from southbridge.hookspecs import hookimpl
from southbridge.memory.guest import Mapping
from southbridge.memory.ram import PAGE_SHIFT, RamBlock
from southbridge.memory.space import AddressSpace
from southbridge.testing.conformance import Check, checks_for
from southbridge.testing.memory import BenchMemory
from southbridge.testing.replay import perform
from southbridge.testing.stage import Stage
from southbridge.units import KiB, MiB


class DomainBenchMemory(BenchMemory):
    """A domain's memory, through a mapcache."""

    @cached_property
    def ram(self) -> RamBlock:
        return next(section.ram for section in self._space.sections if section.ram is not None)

    @cached_property
    def cache(self) -> MapCache:
        inside = AddressSpace("domain", 1 << 52)
        frames = Frames(inside, inside.root)
        frames.put([Extent(0, self.ram.size >> PAGE_SHIFT, self.ram, 0)])
        return MapCache(ForeignMemory(frames), bucket=64 * KiB, budget=MiB)

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


def every_check() -> Iterator[tuple[str, Check]]:
    for name in names("devices"):
        cls = load("devices", name)
        assert issubclass(cls, Device)
        for check in checks_for(cls):
            yield name, check


@pytest.mark.parametrize(
    ("device", "check"), [pytest.param(*each, id=f"{each[0]}-{each[1].__name__}") for each in every_check()]
)
def test_device(device: str, check: Check) -> None:
    stage = Stage(device, DomainBenchMemory, seed=0)
    perform(check, stage)
