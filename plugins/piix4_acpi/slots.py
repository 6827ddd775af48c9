"""PCI slots that devices are plugged into and taken out of (registers: QEMU's docs/specs/acpi_pci_hotplug).

A device that came, or that is to go, has its slot's bit set and causes an event; the guest's ACPI methods see which
slot it is, tell the operating system, and eject what that let go of.
"""

from __future__ import annotations

from collections.abc import Callable

from southbridge.banks import PortBank
from southbridge.component import Component
from southbridge.pci import PciBus, PciDevice
from southbridge.registers import RO, WO

BASE, SIZE = 0xAE00, 20
SLOTS = 32
EVENT = 1
"""Of the general purpose events."""
CAME, LEAVES = 1, 3
"""Of Notify: look there again; eject that."""
BUS = 0
"""The number by which the guest chooses the bus: there is one."""


class Slots(Component):
    """The slots of one bus."""

    registers = PortBank(SIZE, doc="At AE00h.")
    PCIU = registers.register(0x00, 4, access=RO, doc="Slots where a device came. Reading clears it.")
    PCID = registers.register(0x04, 4, reset=None, access=RO, doc="Slots whose device is to go, until it does.")
    B0EJ = registers.register(0x08, 4, access=WO, doc="Ejects what is in these slots.")
    RMV = registers.register(0x0C, 4, access=RO, doc="Slots whose devices may be ejected.")
    BNUM = registers.register(0x10, 4, doc="Which bus the others are of.")

    def connect(self, bus: PciBus, happen: Callable[[int], None]) -> None:
        """Watches over `bus`; `happen` is called with the number of an event that happens."""
        self.bus = bus
        self._happen = happen
        bus.on_hotplug.append(self._changed)
        bus.ask_to_leave = self.ask_to_leave

    def disconnect(self) -> None:
        """The bus's devices come and go unwatched."""
        self.bus.on_hotplug.remove(self._changed)
        self.bus.ask_to_leave = None

    def removable(self, slot: int) -> bool:
        """Whether no device there is soldered in. An empty slot is removable: one may come."""
        return all(device.hotpluggable for device in self.bus.devices() if device.slot == slot)

    def ask_to_leave(self, device: PciDevice) -> None:
        """The guest is to let go of `device`, and whatever else is in its slot."""
        self.PCID.value |= 1 << device.slot
        self._happen(EVENT)

    def _changed(self, device: PciDevice, came: bool) -> None:
        if came and device.function == 0:
            self.PCIU.value |= 1 << device.slot
            self._happen(EVENT)
        elif not came:
            self.PCIU.value &= ~(1 << device.slot)
            self.PCID.value &= ~(1 << device.slot)

    def eject(self, slots: int) -> None:
        """Takes out what is in those slots, and may be."""
        for slot in range(SLOTS):
            if not slots >> slot & 1:
                continue
            if not self.removable(slot):
                self.guest_error(f"slot {slot:02x} ejected, whose device is soldered in")
                continue
            for device in [device for device in self.bus.devices() if device.slot == slot]:
                device.machine.unplug(device)

    def _chosen(self) -> bool:
        return self.BNUM.value == BUS

    @PCIU.read
    def _read_came(self) -> int:
        came = self.PCIU.value if self._chosen() else 0
        self.PCIU.value &= ~came
        return came

    @PCID.read
    def _read_leaving(self) -> int:
        return self.PCID.value if self._chosen() else 0

    @B0EJ.write
    def _eject_written(self, value: int) -> None:
        if self._chosen():
            self.eject(value)

    @RMV.read
    def _read_removable(self) -> int:
        return sum(1 << slot for slot in range(SLOTS) if self.removable(slot)) if self._chosen() else 0
