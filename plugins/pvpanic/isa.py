"""The pvpanic device on an I/O port, which a guest finds by ACPI (QEMU's docs/specs/pvpanic)."""

from __future__ import annotations

import struct

from southbridge.acpi import AcpiTables, string
from southbridge.acpi.resources import io, resource_template
from southbridge.acpi.terms import (
    ARG,
    Access,
    Bits,
    Space,
    device,
    field,
    method,
    name,
    operation_region,
    return_,
    store,
)
from southbridge.banks import PortBank
from southbridge.device import Device
from southbridge.errors import RealizeError
from southbridge.properties import Property

from .events import ACTION_DOC, EVENTS_DOC, USUAL, PanicAction, happened

FIRMWARE_FILE = "etc/pvpanic-port"
WORKING = 0x0F
"""ACPI: present, enabled, shown, working."""


class Pvpanic(Device):
    """A port by which a guest says that it has panicked."""

    ioport: int = Property(0x505, ge=0, le=0xFFFF, doc="The port.")
    events: int = Property(USUAL, ge=0, le=7, doc=EVENTS_DOC)
    on_panic: PanicAction = Property("shutdown", doc=ACTION_DOC, live=True)

    ports = PortBank(1, doc="At 505h.")
    EVENTS = ports.register(0, doc="Reads as what may be written; written, it has happened.")

    def realize(self) -> None:
        """Takes its port, and tells the firmware of it."""
        self.claim_ports(self.ports, self.ioport)
        try:
            self.machine.firmware_config.add_file(FIRMWARE_FILE, struct.pack("<H", self.ioport))
        except ValueError:
            raise RealizeError(f"{self.id}: there is another pvpanic") from None

    def acpi(self, tables: AcpiTables) -> None:
        """The port, and methods for a guest without a driver for it."""
        tables.isa(
            device(
                "PEVT",
                name("_HID", string("QEMU0001")),
                name("_CRS", resource_template(io(self.ioport, 1))),
                name("_STA", WORKING),
                operation_region("PEOR", Space.SYSTEM_IO, self.ioport, 1),
                field("PEOR", Access.BYTE, Bits("PEPT", 8)),
                method("RDPT", 0, return_("PEPT")),
                method("WRPT", 1, store(ARG[0], "PEPT")),
            )
        )

    @EVENTS.read
    def capabilities(self) -> int:
        """What the guest may say."""
        return self.events

    @EVENTS.write
    def said(self, value: int) -> None:
        """It says it; bits that it may not say are ignored."""
        happened(self, value & self.events, self.on_panic)
