"""A PCI bus: which function answers which configuration address, and where interrupt pins lead."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING

from ..errors import RealizeError
from ..interrupts import Pin, Wire
from ..life import RunState
from ..memory.regions import Container

if TYPE_CHECKING:
    from .device import PciDevice

SLOTS = 32
FUNCTIONS = 8
MULTIFUNCTION = 0x80

SlotListener = Callable[[int, int, bool], None]
"""Called with a slot, a pin (INTA# to INTD#: 0 to 3) and its new level."""


class PciBus:
    """One bus of up to 32 slots with eight functions each.

    `memory` and `ports` are where its BARs decode. `wires` are PIRQA# to PIRQD#. So that neighbours don't share, each
    slot's INTA# to INTD# are rotated by one from the slot before; INTA# of slot `first_slot` is PIRQA#. An accelerator
    that plays interrupt controllers, and knows how slots are wired, may listen to the slots instead.
    """

    def __init__(self, name: str, number: int, memory: Container, ports: Container, first_slot: int = 1) -> None:
        self.name = name
        self.number = number
        self.memory = memory
        self.ports = ports
        self.wires = [Wire(f"PIRQ{letter}#") for letter in "ABCD"]
        self.on_hotplug: list[Callable[[PciDevice, bool], None]] = []
        """Called with each device that came (True) or went (False) while the machine runs."""
        self.ask_to_leave: Callable[[PciDevice], None] | None = None
        """Asks the guest to let go of a device and to eject it; None: nothing here can."""
        self._first_slot = first_slot
        self._slot_wires: dict[tuple[int, int], tuple[Wire, Pin]] = {}
        self._listener: SlotListener | None = None
        self._functions: dict[tuple[int, int], PciDevice] = {}

    def __repr__(self) -> str:
        return f"<PciBus {self.name}>"

    def devices(self) -> list[PciDevice]:
        """What is plugged in, by slot and function."""
        return [self._functions[place] for place in sorted(self._functions)]

    def plug(self, device: PciDevice) -> None:
        """Puts `device` where its `addr` says, or in the first free slot. Raises RealizeError."""
        if device.addr is None:
            slot, function = self._free_slot(device), 0
        else:
            slot, function = int(device.addr.split(".")[0], 16), int(device.addr.split(".")[1])
        other = self._functions.get((slot, function))
        if other is not None:
            raise RealizeError(f"{device.id}: {self.name} slot {slot:02x}.{function} is taken by {other.id}")
        device.slot, device.function = slot, function
        self._functions[slot, function] = device
        if device.PCI_INTERRUPT_PIN.value:
            device.interrupt.pin = self._slot_wire(slot, device.PCI_INTERRUPT_PIN.value - 1).pin()
        self._mark_multifunction(slot)
        self._tell(device, True)

    def unplug(self, device: PciDevice) -> None:
        """Takes `device` out, if it is here."""
        if device in self._functions.values():
            del self._functions[device.slot, device.function]
            self._mark_multifunction(device.slot)
            self._tell(device, False)

    def pirq(self, slot: int, pin: int) -> int:
        """Which of PIRQA# to PIRQD# (0 to 3) pin INTA# to INTD# (0 to 3) of `slot` is wired to."""
        return (slot - self._first_slot + pin) & 3

    def _slot_wire(self, slot: int, pin: int) -> Wire:
        """What the functions of `slot` share as INTA# to INTD# (0 to 3)."""
        if (slot, pin) not in self._slot_wires:
            wire = Wire(f"{self.name} {slot:02x} INT{'ABCD'[pin]}#")
            self._slot_wires[slot, pin] = wire, self.wires[self.pirq(slot, pin)].pin()
            wire.connect(partial(self._slot_wire_changed, slot, pin))
        return self._slot_wires[slot, pin][0]

    def _slot_wire_changed(self, slot: int, pin: int, level: bool) -> None:
        if self._listener is not None:
            self._listener(slot, pin, level)
        else:
            self._slot_wires[slot, pin][1].set(level)

    def lend_interrupts(self, listener: SlotListener | None) -> None:
        """From now on each slot's interrupts go to `listener`, and PIRQA# to PIRQD# are quiet; None: as they are wired.

        The listener is told of what is asserted, now and when it ends.
        """
        asserted = [(place, pin) for place, (wire, pin) in self._slot_wires.items() if wire.level]
        for (slot, number), pin in asserted:
            if self._listener is not None:
                self._listener(slot, number, False)
            pin.set(listener is None)
            if listener is not None:
                listener(slot, number, True)
        self._listener = listener

    def config_read(self, slot: int, function: int, offset: int, size: int) -> int:
        """A configuration read; ones where nobody is (a master abort), or a device that is broken."""
        device = self._functions.get((slot, function))
        if device is not None and not device.broken:
            try:
                return device.config_read(offset, size)
            except Exception as error:  # the fault is this device's, not the host bridge's
                device.machine.faults.device_failed(device, f"configuration read at {offset:#x}", error)
        return (1 << 8 * size) - 1

    def config_write(self, slot: int, function: int, offset: int, size: int, value: int) -> None:
        """A configuration write."""
        device = self._functions.get((slot, function))
        if device is not None and not device.broken:
            try:
                device.config_write(offset, size, value)
            except Exception as error:  # the fault is this device's, not the host bridge's
                device.machine.faults.device_failed(device, f"configuration write at {offset:#x}", error)

    def _tell(self, device: PciDevice, came: bool) -> None:
        if device.machine.state is not RunState.PRELAUNCH:
            for notify in self.on_hotplug:
                notify(device, came)

    def _free_slot(self, device: PciDevice) -> int:
        taken = {slot for slot, _ in self._functions}
        for slot in range(self._first_slot, SLOTS):
            if slot not in taken:
                return slot
        raise RealizeError(f"{device.id}: no free slot on {self.name}")

    def _mark_multifunction(self, slot: int) -> None:
        """In function 0's header, where it is looked for; the others' say nothing, as in the chips of the time."""
        first = self._functions.get((slot, 0))
        if first is not None:
            several = first.multifunction or any(place == slot and function for place, function in self._functions)
            header = first.PCI_HEADER_TYPE
            header.value = header.value & ~MULTIFUNCTION | (MULTIFUNCTION if several else 0)
