"""What the tables say of power management, and the methods by which a guest plugs and ejects PCI devices.

Its methods, by name: PCEJ ejects what is in a slot; PCNT tells the system what came and what is to go, on event 1.
"""

from __future__ import annotations

from southbridge.acpi import AcpiTables, Aml, eisa_id
from southbridge.acpi.resources import io, resource_template
from southbridge.acpi.tables import LEVEL_HIGH, PowerManagement, override
from southbridge.acpi.terms import (
    ARG,
    LOCAL,
    Access,
    Bits,
    Space,
    Update,
    acquire,
    and_,
    call,
    device,
    field,
    if_,
    method,
    mutex,
    name,
    notify,
    operation_region,
    package,
    release,
    scope,
    shift_left,
    store,
)
from southbridge.pci import PciBus

from . import general_events, slots

SYSTEM_BUS = "\\_SB"
SLEEP_STATES = {"_S3": 1, "_S4": 2, "_S5": 0}
"""The values of SUS_TYP."""


def fixed_hardware(tables: AcpiTables, sci: int, base: int, smi_command: int, enable: int, disable: int) -> None:
    """Where the registers at `base` are, and how the machine sleeps."""
    tables.power = PowerManagement(
        sci=sci,
        event=base,
        control=base + 4,
        timer=base + 8,
        gpe0=general_events.BASE,
        gpe0_length=general_events.SIZE,
        smi_command=smi_command,
        enable=enable,
        disable=disable,
    )
    tables.interrupts.overrides.append(override(sci, sci, LEVEL_HIGH))
    tables.root(*(name(f"\\{state}", package(kind, kind, 0, 0)) for state, kind in SLEEP_STATES.items()))
    ports = [io(general_events.BASE, general_events.SIZE), io(slots.BASE, slots.SIZE), io(smi_command, 2)]
    tables.system(
        device("MRES", name("_HID", eisa_id("PNP0C02")), name("_UID", 1), name("_CRS", resource_template(*ports)))
    )


def hot_plug(tables: AcpiTables, block: slots.Slots) -> None:
    """The methods of each slot whose device may go, or come, once every device has said its own."""
    tables.at_end.append(lambda: _slots(tables, block))


def _slots(tables: AcpiTables, block: slots.Slots) -> None:
    bus = block.bus
    if not tables.shows(bus):
        return
    removable = [slot for slot in range(slots.SLOTS) if block.removable(slot)]
    for slot in removable:
        eject = method("_EJ0", 1, call("\\_SB.PCEJ", slot))
        tables.pci_place(bus, slot, 0, name("_SUN", slot), eject)
    tables.system(*_registers(), _eject())
    tables.root(*_event(tables, bus, removable))


def _registers() -> list[Aml]:
    """The registers, and what keeps two methods from using them at once."""
    base = slots.BASE
    return [
        operation_region("PCST", Space.SYSTEM_IO, base, 8),
        field("PCST", Access.DWORD, Bits("PCIU", 32), Bits("PCID", 32), update=Update.WRITE_AS_ZEROS),
        operation_region("SEJ", Space.SYSTEM_IO, base + 8, 4),
        field("SEJ", Access.DWORD, Bits("B0EJ", 32), update=Update.WRITE_AS_ZEROS),
        operation_region("BNMR", Space.SYSTEM_IO, base + 0x10, 4),
        field("BNMR", Access.DWORD, Bits("BNUM", 32), update=Update.WRITE_AS_ZEROS),
        mutex("BLCK"),
    ]


def _eject() -> Aml:
    """PCEJ(slot)."""
    return method(
        "PCEJ",
        1,
        acquire("BLCK"),
        store(slots.BUS, "BNUM"),
        store(shift_left(1, ARG[0]), "B0EJ"),
        release("BLCK"),
    )


def _event(tables: AcpiTables, bus: PciBus, removable: list[int]) -> list[Aml]:
    """The event's method, and PCNT, which it calls."""
    tells = []
    for register, reason in (("PCIU", slots.CAME), ("PCID", slots.LEAVES)):
        tells.append(store(register, LOCAL[0]))
        for slot in removable:
            tells.append(if_(and_(LOCAL[0], 1 << slot), notify(tables.path_of(bus, slot), reason)))
    count = method("PCNT", 0, acquire("BLCK"), store(slots.BUS, "BNUM"), *tells, release("BLCK"))
    event = method(f"_E{slots.EVENT:02X}", 0, call("\\_SB.PCNT"))
    return [scope(SYSTEM_BUS, count), scope("\\_GPE", event)]
