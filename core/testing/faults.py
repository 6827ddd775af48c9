"""Exceptions put into a device's registers, and a device beside it that must not notice."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from ..banks import BankRegion, PortBank, WindowSpec
from ..component import Component, State, timer
from ..device import Device
from ..errors import RealizeError
from ..memory.regions import Io
from ..registers import RegisterSpec
from .stage import Probe, Stage

PLACES = range(0x8000, 0x9000, 0x10)
"""Ports where a neighbour looks for room."""


class InjectedError(Exception):
    """What the faults raise."""


class Neighbour(Device):
    """Counts milliseconds."""

    ports = PortBank(1)
    VALUE = ports.register(0, doc="Anything.")
    ticks: int = State(0, ge=0, doc="Milliseconds since the reset.")

    def realize(self) -> None:
        """Takes a port that nobody has."""
        for base in PLACES:
            try:
                self.claim_ports(self.ports, base)
                return
            except RealizeError:
                continue
        raise RealizeError(f"{self.id}: no free port")

    def reset(self) -> None:
        """Begins to count."""
        super().reset()
        self.tick.after(ms=1)

    @timer
    def tick(self) -> None:
        """A millisecond has passed."""
        self.ticks += 1
        self.tick.after(ms=1)


class Fault:
    """An exception in what answers a `kind` of access ("read" or "write") to the device's region number `index`."""

    def __init__(self, index: int, kind: str) -> None:
        self.index = index
        self.kind = kind
        self.where = ""
        self.calls = 0
        """How often it was raised."""

    def __str__(self) -> str:
        return f"the {self.kind} of {self.where}"

    def strike(self, stage: Stage) -> bool:
        """Puts it where a guest's access reaches it, and makes that access. False if there is no such place."""
        region = stage.device.regions()[self.index]
        probe = next(probe for probe in stage.probes() if region in (probe.bank, probe.region))
        if isinstance(region, BankRegion):
            component = _component(stage.device, region)
            specs: list[RegisterSpec | WindowSpec] = [*component.register_specs, *component.window_specs]
            for spec in specs:
                method = spec.bank is region.bank and self._method(spec)
                if method and self._reached(probe, spec.offset, min(spec.widths), component, method):
                    self.where = f"{spec.name} ({method})"
                    return True
        self.where = region.name
        setattr(region, f"link_{self.kind}", lambda offset, size: None)
        return self._reached(probe, 0, min(region.widths), region, self.kind)

    def _method(self, spec: RegisterSpec | WindowSpec) -> str | None:
        if self.kind == "read":
            return spec.reader
        return spec.writer or (spec.after_write if isinstance(spec, RegisterSpec) else None)

    def _reached(self, probe: Probe, offset: int, size: int, owner: object, name: str) -> bool:
        if isinstance(probe.bank, BankRegion):  # what it was linked to before
            probe.bank._readers.clear()
            probe.bank._writers.clear()
        setattr(owner, name, self._raise)
        if self.kind == "read":
            probe.answer(offset, size)
        else:
            probe.tell(offset, size, 1)
        probe.space.unlink()  # as the machine does with its own
        if not self.calls:
            delattr(owner, name)
        return bool(self.calls)

    def _raise(self, *arguments: Any) -> Any:
        self.calls += 1
        raise InjectedError("put here by the conformance suite")


def faults(device: Device) -> Iterator[Fault]:
    """A fault for each kind of access to each of the device's ranges."""
    for index, region in enumerate(device.regions()):
        if isinstance(region, BankRegion) and region.bank.internal:
            continue
        yield Fault(index, "read")
        yield Fault(index, "write")


def _component(device: Device, region: Io) -> Component:
    return next(part for part in device.components() if any(value is region for value in vars(part).values()))
