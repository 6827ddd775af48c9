"""A domain within this process."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from southbridge.builder import accelerator_named
from southbridge.memory.ram import RamBlock
from southbridge.units import GiB

from ..hypervisor import PAGE_SHIFT, Exchange
from .cpus import Cpus
from .devicemodel import DeviceModel
from .events import EventChannels
from .foreignmemory import ForeignMemory
from .frames import Extent, Frames
from .platform import FollowingClock, Inner, Platform
from .requests import Requests

if TYPE_CHECKING:
    from southbridge.machine import Machine

DOMID = 1
_VIDEO = range(0xA0, 0xC0)
"""Frames that no RAM is in: addresses A0000h to BFFFFh."""


class Control:
    """See hypervisor.Control."""

    def __init__(self, frames: Frames) -> None:
        self._frames = frames
        self._parameters: dict[int, int] = {}

    def maximum_frame(self) -> int:
        """See hypervisor.Control."""
        return self._frames.end - 1

    def populate(self, frames: Sequence[int]) -> None:
        """See hypervisor.Control."""
        block = RamBlock("domain", len(frames) << PAGE_SHIFT)
        self._frames.put(Extent(first, count, block, page) for first, count, page in _runs(frames))

    def depopulate(self, frames: Sequence[int]) -> None:
        """See hypervisor.Control."""
        for first, count, _ in _runs(frames):
            self._frames.take(first, count)

    def parameter(self, number: int) -> int:
        """See hypervisor.Control."""
        return self._parameters.get(number, 0)

    def set_parameter(self, number: int, value: int) -> None:
        """See hypervisor.Control."""
        self._parameters[number] = value


class Domain:
    """See hypervisor.Hypervisor. `machine`'s RAM is the domain's; the accelerator `runner` runs the guest's CPUs."""

    store = None

    def __init__(self, machine: Machine, runner: str) -> None:
        self.domid = DOMID
        self.inner = Inner(machine)
        self.frames = Frames(self.inner.memory, self.inner.memory.root)
        self.requests = Requests(self.inner)
        self.events = EventChannels(self.requests.notified)
        self.requests.events = self.events
        self.inner.ports.root.add(0, self.requests.ports, priority=-1)
        self.inner.bus_memory.add(0, self.requests.memory)
        self._platform = Platform(self.inner, machine)
        self.memory = ForeignMemory(self.frames, (self.requests.page, self.requests.ring))
        self.device_model = DeviceModel(self.inner, self._platform, self.frames, self.requests)
        self.control: Control | None = Control(self.frames)
        self._cpus = Cpus(self.inner, machine, self._platform, lambda: self.requests.enable(False))
        self.exchange: Exchange | None = self._cpus
        try:
            with machine.lock:
                self.frames.put(_ram(machine))
                self._cpus.attach(accelerator_named(self.inner, runner))
        except BaseException:
            self.close()
            raise

    def balloon(self, first: int, count: int) -> None:
        """The guest gives frames back: they hold nothing any more, and the device model is told of it."""
        with self.inner.lock:
            self.frames.take(first, count)
            self.requests.invalid = True

    def restrict(self) -> None:
        """See hypervisor.Hypervisor."""
        self.control = None

    def close(self) -> None:
        """See hypervisor.Hypervisor."""
        with self.inner.lock:
            self._platform.close()
            self._cpus.close()
            assert isinstance(self.inner.clock, FollowingClock)
            self.inner.clock.close()
        self.events.close()


def _ram(machine: Machine) -> list[Extent]:
    """Where the machine's RAM is: below 4 GiB, and above; but none is where a PC has video memory."""
    end = machine.ram.size >> PAGE_SHIFT
    ranges = [place for place in machine.memory_map if place.kind == 1]
    if not ranges:
        low = min((section.start for section in machine.memory.sections if section.ram is machine.ram), default=0)
        return [Extent(low >> PAGE_SHIFT, end, machine.ram, 0)]
    extents: list[Extent] = []
    page = 0
    for place in sorted(ranges, key=lambda place: place.start):
        whole = Extent(place.start >> PAGE_SHIFT, place.size >> PAGE_SHIFT, machine.ram, page)
        page = whole.page + whole.length
        if place.start < GiB and whole.first <= _VIDEO.start and whole.end >= _VIDEO.stop:
            extents += [whole.part(whole.first, _VIDEO.start), whole.part(_VIDEO.stop, whole.end)]
        else:
            extents.append(whole)
    return extents


def _runs(frames: Sequence[int]) -> list[tuple[int, int, int]]:
    """First frame, number of frames and index of each piece without a gap."""
    if isinstance(frames, range) and frames.step == 1:
        return [(frames.start, len(frames), 0)] if frames else []
    runs: list[tuple[int, int, int]] = []
    for index, frame in enumerate(frames):
        if runs and runs[-1][0] + runs[-1][1] == frame:
            runs[-1] = runs[-1][0], runs[-1][1] + 1, runs[-1][2]
        else:
            runs.append((frame, 1, index))
    return runs
