"""PIIX3 function 1: IDE controller with two channels (82371SB datasheet, sections 2.3 and 2.6)."""

from __future__ import annotations

from typing import ClassVar

from southbridge.component import Parts
from southbridge.hookspecs import hookimpl
from southbridge.ide import IdeBus
from southbridge.pci import CONFIG, IoBar, PciDevice, PciIds
from southbridge.pci.config import STATUS_FIELDS
from southbridge.registers import RO, bit, bits

from .channel import IdeChannel

LEGACY = ((0x1F0, 0x3F6, 14), (0x170, 0x376, 15))
"""Each channel's command block, device control register and interrupt line."""

TIMING = {
    "TIMING_0": bits(0, 3, doc="TIME0, IE0, PPE0, DTE0."),
    "TIMING_1": bits(4, 7, doc="TIME1, IE1, PPE1, DTE1."),
    "RTC": bits(8, 9, doc="Recovery time."),
    "ISP": bits(12, 13, doc="IORDY sample point."),
    "SITRE": bit(14, doc="Device 1 has its own timing."),
    "DECODE": bit(15, doc="IDE: the channel's ports are decoded."),
}


class Piix3Ide(PciDevice):
    """IDE function: legacy ports and interrupts, and bus-master DMA; provides the buses "ide.0" and "ide.1"."""

    ids: ClassVar[PciIds] = PciIds(0x8086, 0x7010, class_code=0x010180)
    hotpluggable: ClassVar[bool] = False

    PCI_COMMAND = CONFIG.register(
        0x04,
        2,
        fields={
            "IO": bit(0, doc="IOSE: decodes the legacy ports and BMIBA."),
            "MEMORY": bit(1, RO),
            "MASTER": bit(2, doc="BME: masters the bus."),
            "INTX_DISABLE": bit(10, RO),
        },
    )
    PCI_STATUS = CONFIG.register(0x06, 2, reset=0x0280, fields=STATUS_FIELDS)
    PCI_CACHE_LINE_SIZE = CONFIG.register(0x0C, 1, access=RO)
    PCI_LATENCY_TIMER = CONFIG.register(0x0D, 1, fields={"COUNT": bits(4, 7)}, doc="MLT: master latency timer.")
    PCI_INTERRUPT_LINE = CONFIG.register(0x3C, 1, access=RO)
    IDETIM0 = CONFIG.register(0x40, 2, fields=TIMING, doc="Primary channel's timing and decoding.")
    IDETIM1 = CONFIG.register(0x42, 2, fields=TIMING, doc="Secondary channel's.")
    SIDETIM = CONFIG.register(0x44, 1, doc="Timing of the two devices 1.")

    bar4 = IoBar(16, doc="BMIBA: bus masters of both channels, eight ports each.")
    bus_masters = bar4.window(0, 16)

    channels: list[IdeChannel] = Parts(IdeChannel, 2)

    def realize(self) -> None:
        """Claims the legacy ports and lines, and offers the two cables."""
        super().realize()
        path = f"/pci@i0cf8/ide@{self.slot:x}" + (f",{self.function:x}" if self.function else "")
        for number, (channel, (command, control, irq)) in enumerate(zip(self.channels, LEGACY, strict=True)):
            cable = IdeBus(f"ide.{number}", number, f"{path}/drive@{number}", channel)
            channel.connect(self, cable, self.claim_irq(irq))
            # The data port is the lower priority's, as a wide access to it passes over the ports that follow.
            self.claim_ports(channel.data, command, priority=-1)
            self.claim_ports(channel.command_block, command + 1)
            self.claim_ports(channel.control_block, control)
            self.machine.add_bus(cable.name, cable)

    def reset(self) -> None:
        """Decoding, bus masters and interrupts are off, device 0 is selected; the drives reset by themselves."""
        super().reset()
        for channel in self.channels:
            channel.restore()

    def wake(self) -> None:
        """Timing and decoding stay as they were: SeaBIOS sets them when the machine starts, not when it wakes."""
        kept = [register.value for register in (self.IDETIM0, self.IDETIM1, self.SIDETIM)]
        super().wake()
        self.IDETIM0.value, self.IDETIM1.value, self.SIDETIM.value = kept
        self._update_decoding()

    def loaded(self) -> None:
        """Ports, selection and interrupts follow the restored state."""
        super().loaded()
        for channel in self.channels:
            channel.restore()

    @hookimpl
    def machine_set_up(self) -> None:
        """Without firmware: both channels' ports are decoded."""
        self.config_write(0x40, 2, 1 << 15)
        self.config_write(0x42, 2, 1 << 15)

    @PCI_COMMAND.written
    def _command_written(self, value: int) -> None:
        self._update_decoding()

    @IDETIM0.written
    @IDETIM1.written
    def _timing_written(self, value: int) -> None:
        self._update_decoding()

    def _update_decoding(self) -> None:
        super()._update_decoding()
        with self.machine.ports.transaction():
            for channel, timing in zip(self.channels, (self.IDETIM0, self.IDETIM1), strict=True):
                decoded = bool(self.PCI_COMMAND.IO and timing.DECODE)
                for region in (channel.data, channel.command_block, channel.control_block):
                    region.enabled = decoded

    @bus_masters.read
    def _read_bus_master(self, offset: int, size: int) -> int:
        return self.channels[offset >> 3].bus_master.ports.read(offset & 7, size)

    @bus_masters.write
    def _write_bus_master(self, offset: int, size: int, value: int) -> None:
        self.channels[offset >> 3].bus_master.ports.write(offset & 7, size, value)
