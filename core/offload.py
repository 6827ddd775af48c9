"""Offloading: platform devices that the accelerator plays itself, and that come back when it goes.

A device's model in user space always exists. While the accelerator plays it, the model sleeps: its timers are off, it
asserts no line, its hooks aren't called. No device knows that any of this happened.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from .errors import SouthbridgeError
from .hooks import has_hooks
from .interrupts import Sink, Wire
from .pci.bus import PciBus

if TYPE_CHECKING:
    from .device import Device
    from .machine import Machine

LISTENS = frozenset({"i8259", "ioapic"})
"""An accelerator that plays one of these is told of the ISA lines."""


PCI_INTERRUPTS = "pci-interrupts"
"""What an accelerator may play beside platform devices: the way from a PCI slot's INTx to interrupt controllers."""


class Offload:
    """What the machine's accelerator plays."""

    def __init__(self, machine: Machine) -> None:
        self._machine = machine
        self._devices: list[Device] = []
        self._sinks: list[tuple[Wire, Sink]] = []

    def has(self, platform: str) -> bool:
        """Whether the accelerator plays, or is going to play, the platform device of that name."""
        accelerator = self._machine.accelerator
        return accelerator is not None and platform in accelerator.offloads

    def plays(self, device: Device) -> bool:
        """Whether the accelerator plays `device` now: its model sleeps."""
        return device in self._devices

    def begin(self) -> None:
        """The accelerator takes over what it plays. Its vCPUs are there, and stand still. With the lock held.

        Raises SouthbridgeError if it can't take a device's state; those that it took are given back.
        """
        machine = self._machine
        accelerator = machine.accelerator
        if accelerator is None or self._devices or not accelerator.offloads:
            return
        try:
            for device in machine.devices.values():
                if device.platform in accelerator.offloads and not device.broken:
                    self._give(device)
        except BaseException:
            self.end()
            raise
        if accelerator.offloads & LISTENS:
            for number, wire in enumerate(machine.isa.wires):
                sink: Sink = partial(self._line_changed, number)
                self._sinks.append((wire, sink))
                wire.connect(sink)
            machine.event_lines.offload()
        if PCI_INTERRUPTS in accelerator.offloads:
            for bus in machine.buses.values():
                if isinstance(bus, PciBus):
                    bus.lend_interrupts(partial(self._slot_changed, bus.number))
            machine.hooks.call.pci_links_changed(links=machine.pci_links)

    def end(self) -> None:
        """Every device comes back, with its state. The vCPUs stand still. With the lock held."""
        for bus in self._machine.buses.values():
            if isinstance(bus, PciBus):
                bus.lend_interrupts(None)
        if self._sinks:
            self._machine.event_lines.reclaim()
        for wire, sink in self._sinks:
            wire.disconnect(sink)
        self._sinks.clear()
        # A timer comes back before the interrupt controller that it drives, as it was taken after it.
        while self._devices:
            self._take_back(self._devices[-1])

    def _give(self, device: Device) -> None:
        state = device.save()
        if not self._machine.hooks.call.offload_device(device=device, state=state):
            accelerator = type(self._machine.accelerator).__name__
            raise SouthbridgeError(f"{accelerator} says that it plays {device.platform}, but doesn't take {device.id}")
        self._devices.append(device)
        for component in device.components():
            for name in component.timer_specs:
                getattr(component, name).cancel()
        self._machine.isa.let_go(device)
        self._machine.hooks.unregister(f"devices.{device.id}")

    def _take_back(self, device: Device) -> None:
        machine = self._machine
        state = machine.hooks.call.reclaim_device(device=device)
        self._devices.remove(device)
        if has_hooks(type(device)):
            machine.hooks.register(device, f"devices.{device.id}")
        if state is None:
            raise SouthbridgeError(f"{type(machine.accelerator).__name__} doesn't give {device.id} back")
        device.load(state)

    def _slot_changed(self, bus: int, slot: int, pin: int, level: bool) -> None:
        self._machine.hooks.pci_irq_set(bus, slot, pin, level)

    def _line_changed(self, number: int, level: bool) -> None:
        self._machine.hooks.irq_set(number, level)
