"""The interrupt routers as ACPI's link devices: LNKA to LNKD, which set PIRQRCA to PIRQRCD."""

from __future__ import annotations

from southbridge.acpi import AcpiTables, Aml, eisa_id
from southbridge.acpi.resources import interrupt, resource_template
from southbridge.acpi.tables import LEVEL_HIGH, override
from southbridge.acpi.terms import (
    ARG,
    LOCAL,
    Access,
    Bits,
    Space,
    and_,
    create_field,
    device,
    field,
    if_,
    l_not,
    method,
    name,
    operation_region,
    or_,
    return_,
    store,
)
from southbridge.pci import PciDevice

ROUTE_REGISTERS = 0x60
DISABLED, LINE = 0x80, 0x0F
LINES = (5, 10, 11)
"""What ACPI may route PCI's interrupts to: ISA lines that no other device of a PC has."""
PRESENT, ENABLED = 0x09, 0x0B
NUMBER_IN_INTERRUPT = 5
"""Where in the only descriptor of a template the line's number is."""


def describe(bridge: PciDevice, tables: AcpiTables) -> None:
    """The bridge, its four routers, and how the lines that they lead to are triggered."""
    letters = "ABCD"
    tables.isa_bridge(
        bridge,
        "ISA",
        operation_region("PIRQ", Space.PCI_CONFIG, ROUTE_REGISTERS, len(letters)),
        field("PIRQ", Access.BYTE, *(Bits(f"PRQ{letter}", 8) for letter in letters)),
    )
    home = tables.path_of(bridge.bus, bridge.slot, bridge.function)
    for number, letter in enumerate(letters):
        tables.system(_link(f"LNK{letter}", number, f"{home}.PRQ{letter}"))
        tables.pirq_links.append(f"LNK{letter}")
    tables.interrupts.overrides += [override(line, line, LEVEL_HIGH) for line in LINES]


def _link(where: str, number: int, register: str) -> Aml:
    return device(
        where,
        name("_HID", eisa_id("PNP0C0F")),
        name("_UID", number),
        name("_PRS", resource_template(interrupt(*LINES))),
        name("BUFF", resource_template(interrupt(0))),
        method("_STA", 0, if_(and_(register, DISABLED), return_(PRESENT)), return_(ENABLED)),
        method("_DIS", 0, or_(register, DISABLED, register)),
        method(
            "_CRS",
            0,
            create_field("BUFF", NUMBER_IN_INTERRUPT, "INTR", 4),
            store(register, LOCAL[0]),
            store(0, "INTR"),
            if_(l_not(and_(LOCAL[0], DISABLED)), and_(LOCAL[0], LINE, "INTR")),
            return_("BUFF"),
            serialized=True,
        ),
        method(
            "_SRS",
            1,
            create_field(ARG[0], NUMBER_IN_INTERRUPT, "INTR", 4),
            store("INTR", register),
            serialized=True,
        ),
    )
