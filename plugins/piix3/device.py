"""PIIX3 function 0: PCI-to-ISA bridge (82371SB datasheet 290550, sections 2.2 and 2.5).

It routes the PCI bus's interrupt wires to ISA lines, says which lines are level-triggered, and resets the machine.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import ClassVar

from southbridge.acpi import AcpiTables
from southbridge.banks import PortBank
from southbridge.hookspecs import hookimpl
from southbridge.interrupts import Pin
from southbridge.life import ResetReason
from southbridge.pci import CONFIG, PciDevice, PciIds
from southbridge.pci.config import STATUS_FIELDS
from southbridge.registers import RO, bit, bits

from . import acpi

RESET_CONTROL = 0xCF9
EDGE_LEVEL_CONTROL = 0x4D0
POWER_MANAGEMENT = 0xB2

RESERVED_ROUTES = 1 << 0 | 1 << 1 | 1 << 2 | 1 << 8 | 1 << 13
"""ISA lines that no PIRQ can be routed to."""

USUAL_LINES = (10, 10, 11, 11)
"""Where PIRQA# to PIRQD# go if there is no firmware to say; as SeaBIOS has it."""

ROUTE = {"IRQ": bits(0, 3, doc="ISA line."), "DISABLED": bit(7, doc="IRQROUTEN: routed nowhere.")}


class Piix3(PciDevice):
    """ISA bridge: interrupt routing, trigger modes, reset control, and settings that are only stored."""

    ids: ClassVar[PciIds] = PciIds(0x8086, 0x7000, class_code=0x060100)
    hotpluggable: ClassVar[bool] = False
    multifunction: ClassVar[bool] = True

    PCI_COMMAND = CONFIG.register(
        0x04,
        2,
        reset=0x0007,
        fields={
            "IO": bit(0, RO, doc="IOSE, always on."),
            "MEMORY": bit(1, RO, doc="MSE, always on."),
            "MASTER": bit(2, RO, doc="BME, always on."),
            "SPECIAL": bit(3, doc="SCE: special cycles."),
            "SERR": bit(8, doc="SERRE."),
            "INTX_DISABLE": bit(10, RO, doc="Not there."),
        },
    )
    PCI_STATUS = CONFIG.register(0x06, 2, reset=0x0200, fields=STATUS_FIELDS)
    PCI_CACHE_LINE_SIZE = CONFIG.register(0x0C, 1, access=RO)
    PCI_LATENCY_TIMER = CONFIG.register(0x0D, 1, access=RO)
    PCI_INTERRUPT_LINE = CONFIG.register(0x3C, 1, access=RO)

    IORT = CONFIG.register(0x4C, 1, reset=0x4D, doc="ISA I/O recovery timer.")
    XBCS = CONFIG.register(
        0x4E,
        2,
        reset=0x0003,
        fields={
            "RTC": bit(0),
            "KEYBOARD": bit(1),
            "BIOS_WRITE": bit(2, doc="BIOSCS# for writes."),
            "MOUSE": bit(4, doc="IRQ 12 from the mouse."),
            "COPROCESSOR_ERROR": bit(5, doc="IRQ 13 from FERR#."),
            "LOWER_BIOS": bit(6),
            "EXTENDED_BIOS": bit(7),
            "APIC": bit(8, doc="APIC chip select."),
        },
        doc="X-bus chip select; stored.",
    )
    PIRQRCA = CONFIG.register(0x60, 1, reset=0x80, fields=ROUTE, doc="Route of PIRQA#.")
    PIRQRCB = CONFIG.register(0x61, 1, reset=0x80, fields=ROUTE, doc="Route of PIRQB#.")
    PIRQRCC = CONFIG.register(0x62, 1, reset=0x80, fields=ROUTE, doc="Route of PIRQC#.")
    PIRQRCD = CONFIG.register(0x63, 1, reset=0x80, fields=ROUTE, doc="Route of PIRQD#.")
    TOM = CONFIG.register(
        0x69,
        1,
        reset=0x02,
        fields={"FORWARD": bits(1, 3, doc="Holes forwarded to PCI."), "TOP": bits(4, 7, doc="ISA's memory, in MiB.")},
        doc="Top of memory for ISA masters; stored.",
    )
    MSTAT = CONFIG.register(
        0x6A,
        2,
        fields={"ISA_CLOCK": bit(0), "USB": bit(4, doc="Function 2 enable."), "NB_RETRY": bit(15)},
        doc="Miscellaneous status; stored.",
    )
    MBIRQ0 = CONFIG.register(
        0x70,
        1,
        reset=0x80,
        fields={"IRQ": bits(0, 3), "PIRQD_SHARED": bit(5), "DISABLED": bit(7)},
        doc="Motherboard device interrupt route; stored.",
    )
    MBDMA0 = CONFIG.register(0x76, 1, reset=0x0C, fields={"ROUTE": bits(0, 2), "FAST": bit(7)}, doc="Stored.")
    MBDMA1 = CONFIG.register(0x77, 1, reset=0x0C, fields={"ROUTE": bits(0, 2), "FAST": bit(7)}, doc="Stored.")
    PCSC = CONFIG.register(0x78, 2, reset=0x0002, doc="Programmable chip select; stored.")
    APICBASE = CONFIG.register(0x80, 1, fields={"BASE": bits(0, 6)}, doc="I/O APIC base address; stored.")
    DLC = CONFIG.register(
        0x82,
        1,
        fields={"DELAYED": bit(0), "PASSIVE_RELEASE": bit(1), "USB_PASSIVE_RELEASE": bit(2), "SERR_TIMEOUT": bit(3)},
        doc="Deterministic latency control; stored.",
    )
    SMICNTL = CONFIG.register(
        0xA0, 1, reset=0x08, fields={"CONTROL": bits(0, 4)}, doc="System management interrupt control; stored."
    )
    SMIEN = CONFIG.register(0xA2, 2, fields={"ENABLE": bits(0, 8)}, doc="Stored.")
    SEE = CONFIG.register(0xA4, 4, doc="System event enable; stored.")
    FTMR = CONFIG.register(0xA8, 1, reset=0x0F, doc="Fast-off timer; stored.")
    SMIREQ = CONFIG.register(0xAA, 2, fields={"CAUSE": bits(0, 8)}, doc="Stored.")
    CTLTMR = CONFIG.register(0xAC, 1, doc="Clock scale, low; stored.")
    CTHTMR = CONFIG.register(0xAE, 1, doc="Clock scale, high; stored.")

    edge_level = PortBank(2, doc="Trigger modes, at 4D0h.")
    ELCR1 = edge_level.register(0, fields={"LEVEL": bits(3, 7)}, doc="IRQ 3 to 7: 1 is level-triggered.")
    ELCR2 = edge_level.register(
        1, fields={"LEVEL_9_12": bits(1, 4), "LEVEL_14_15": bits(6, 7)}, doc="IRQ 9 to 12, 14 and 15."
    )

    reset_control = PortBank(1, doc="At CF9h.")
    RCR = reset_control.register(
        0,
        fields={"SRST": bit(1, doc="1 is a hard reset, 0 a soft one."), "RCPU": bit(2, doc="Going high, resets.")},
        doc="Reset control.",
    )

    power_management = PortBank(2, doc="Advanced power management, at B2h.")
    APMC = power_management.register(0, doc="Command; stored, as there is no system management mode.")
    APMS = power_management.register(1, doc="Status; stored.")

    def realize(self) -> None:
        """Claims its ports and listens to the bus's interrupt wires."""
        super().realize()
        self._outputs: list[Pin | None] = [None] * 4
        self._sinks: list[Callable[[bool], None]] = []
        # The host bridge has the double word at CF8h, which the byte here lies in.
        self.claim_ports(self.reset_control, RESET_CONTROL, priority=1)
        self.claim_ports(self.edge_level, EDGE_LEVEL_CONTROL)
        self.claim_ports(self.power_management, POWER_MANAGEMENT)
        for index, wire in enumerate(self.bus.wires):
            sink = partial(self._wire_changed, index)
            self._sinks.append(sink)
            wire.connect(sink)
        self.machine.isa.trigger_registers.append(self._adopt_triggers)

    def unrealize(self) -> None:
        """Leaves the wires alone."""
        if self._adopt_triggers in self.machine.isa.trigger_registers:
            self.machine.isa.trigger_registers.remove(self._adopt_triggers)
        for wire, sink in zip(self.bus.wires, getattr(self, "_sinks", []), strict=False):
            wire.disconnect(sink)
        super().unrealize()

    def acpi(self, tables: AcpiTables) -> None:
        """The ISA bus, and the interrupt routers."""
        acpi.describe(self, tables)

    def reset(self) -> None:
        """Routes nothing; all lines are edge-triggered."""
        super().reset()
        self._route()
        self._trigger_modes_written(0)

    def loaded(self) -> None:
        """The lines follow the restored routes."""
        super().loaded()
        self._route()
        self._trigger_modes_written(0)

    # --- without firmware ----------------------------------------------------------------------------------------

    @hookimpl
    def machine_set_up(self) -> None:
        """The routes that PCs' firmware gives, level-triggered, and each device told its line."""
        for index, line in enumerate(USUAL_LINES):
            self.config_write(0x60 + index, 1, line)
        self.edge_level.write(1, 1, sum({1 << line - 8 for line in USUAL_LINES}))
        for device in self.bus.devices():
            pin = device.PCI_INTERRUPT_PIN.value
            if pin:
                line = USUAL_LINES[self.bus.pirq(device.slot, pin - 1)]
                device.config_write(0x3C, 1, line)

    # --- interrupts ----------------------------------------------------------------------------------------------

    @PIRQRCA.written
    @PIRQRCB.written
    @PIRQRCC.written
    @PIRQRCD.written
    def _route_written(self, value: int) -> None:
        self._route()

    def _route(self) -> None:
        """Has each wire drive the line that its register names."""
        links: list[int] = []
        for index, register in enumerate((self.PIRQRCA, self.PIRQRCB, self.PIRQRCC, self.PIRQRCD)):
            line = register.IRQ
            routed = not register.DISABLED and not RESERVED_ROUTES >> line & 1
            before = self._outputs[index]
            after = self.machine.isa.wires[line].pin() if routed else None
            if after is not None:
                after.set(self.bus.wires[index].level)
            self._outputs[index] = after
            if before is not None:
                before.set(False)
            links.append(line if routed else 0)
        if links != self.machine.pci_links:
            self.machine.pci_links = links
            self.machine.hooks.call.pci_links_changed(links=links)

    def _wire_changed(self, index: int, level: bool) -> None:
        output = self._outputs[index]
        if output is not None:
            output.set(level)

    @ELCR1.written
    @ELCR2.written
    def _trigger_modes_written(self, value: int) -> None:
        self.machine.isa.set_level_triggered(self.ELCR1.value | self.ELCR2.value << 8)

    def _adopt_triggers(self, mask: int) -> None:
        self.ELCR1.guest_store(mask & 0xFF)
        self.ELCR2.guest_store(mask >> 8)

    # --- reset ---------------------------------------------------------------------------------------------------

    @RCR.write
    def _reset_control_written(self, value: int) -> None:
        before = self.RCR.RCPU
        self.RCR.guest_store(value)
        if self.RCR.RCPU and not before:
            self.machine.request_reset(ResetReason.GUEST)
