"""One IDE channel: legacy ports, interrupt and bus master (82371SB datasheet, section 2.6; ATA/ATAPI-6, chapter 7)."""

from __future__ import annotations

from southbridge.banks import PortBank
from southbridge.component import Component, Part, State
from southbridge.ide import IdeBus
from southbridge.interrupts import Pin
from southbridge.pci import PciDevice

from .bus_master import BusMaster


class IdeChannel(Component):
    """Passes the guest's accesses on to the selected drive."""

    data = PortBank(4)
    DATA16 = data.register(0, 2, doc="Data, a word.")
    DATA32 = data.register(0, 4, doc="Data, two words.")
    command_block = PortBank(7)
    task_file = command_block.window(0, 7, widths=(1,), doc="Error and features to status and command.")
    control_block = PortBank(1)
    DEVICE_CONTROL = control_block.register(0, doc="Alternate status, read; device control, written.")

    bus_master: BusMaster = Part(BusMaster)
    unit: int = State(0, ge=0, le=1, doc="The selected device.")
    interrupt_level: bool = State(False, doc="INTRQ.")

    def connect(self, function: PciDevice, cable: IdeBus, pin: Pin) -> None:
        """`cable` leads to the drives, `pin` to the interrupt controller."""
        self.cable = cable
        self._pin = pin
        self.bus_master.connect(function, cable)

    def restore(self) -> None:
        """Cable and interrupt follow the state, after a reset or a restore."""
        self.cable.restore(self.unit, self.interrupt_level)
        self._pin.set(self.interrupt_level)

    # --- the drives' side ----------------------------------------------------------------------------------------

    def interrupt(self, level: bool) -> None:
        """See IdeHost."""
        self.interrupt_level = level
        self._pin.set(level)
        if level:
            self.bus_master.interrupt()

    def dma_requested(self) -> None:
        """See IdeHost."""
        self.bus_master.run()

    # --- the guest's side ----------------------------------------------------------------------------------------

    @DATA16.read
    def _read16(self) -> int:
        return self.cable.selected.read_data16()

    @DATA16.write
    def _write16(self, value: int) -> None:
        self.cable.selected.write_data16(value)

    @DATA32.read
    def _read32(self) -> int:
        return self.cable.selected.read_data32()

    @DATA32.write
    def _write32(self, value: int) -> None:
        self.cable.selected.write_data32(value)

    @DATA16.read_string
    def _read_words(self, items: int) -> bytes:
        return self.cable.selected.read_data(items)

    @DATA16.write_string
    def _write_words(self, data: memoryview) -> int:
        return self.cable.selected.write_data(data)

    @task_file.read
    def _read_register(self, offset: int, size: int) -> int:
        return self.cable.selected.read_register(offset + 1)

    @task_file.write
    def _write_register(self, offset: int, size: int, value: int) -> None:
        self.cable.write_register(offset + 1, value)
        self.unit = self.cable.unit

    @DEVICE_CONTROL.read
    def _alternate_status(self) -> int:
        return self.cable.selected.alternate_status()

    @DEVICE_CONTROL.write
    def _write_control(self, value: int) -> None:
        self.cable.write_control(value)
        self.unit = self.cable.unit
