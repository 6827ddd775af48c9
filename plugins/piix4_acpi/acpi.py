"""What the tables say of power management, and the methods by which a guest learns of PCI devices and CPUs that come.

Its methods, by name: PCEJ ejects what is in a slot; PCNT tells the system what came and what is to go, on event 1; CPNT
tells it of CPUs, on event 2.
"""

from __future__ import annotations

from southbridge.acpi import AcpiTables, Aml, eisa_id
from southbridge.acpi.resources import io, resource_template
from southbridge.acpi.tables import LEVEL_HIGH, PowerManagement, local_apic, override
from southbridge.acpi.terms import (
    ARG,
    LOCAL,
    Access,
    Bits,
    Space,
    Update,
    acquire,
    and_,
    buffer,
    call,
    device,
    else_,
    field,
    if_,
    method,
    mutex,
    name,
    notify,
    operation_region,
    package,
    release,
    return_,
    scope,
    shift_left,
    store,
    xor,
)
from southbridge.pci import PciBus

from . import general_events, processors, slots

SYSTEM_BUS = "\\_SB"
SLEEP_STATES = {"_S3": 1, "_S4": 2, "_S5": 0}
"""The values of SUS_TYP."""

STATE_THERE = 0xF
"""Of _STA: present, enabled, shown, functioning."""


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
    ports = [io(general_events.BASE, general_events.SIZE), io(slots.BASE, slots.SIZE)]
    ports += [io(processors.BASE, processors.SIZE), io(smi_command, 2)]
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


def cpu_hot_plug(tables: AcpiTables) -> None:
    """The methods of each CPU, if one may still come: whether it is there, and its entry of the MADT."""
    machine = tables.machine
    number = min(machine.cpus.max, processors.CPUS)
    if len(machine.cpus.plugged) == machine.cpus.max:
        return
    for index in range(number):
        byte, bit = _present(index)
        there = and_(byte, bit)
        state = method("_STA", 0, if_(there, return_(STATE_THERE)), return_(0))
        entries = [buffer(local_apic(index, index, enabled=enabled)) for enabled in (True, False)]
        tables.processor(index, state, method("_MAT", 0, if_(there, return_(entries[0])), return_(entries[1])))
    registers = range(-(-number // 8))
    tables.system(
        operation_region("CPST", Space.SYSTEM_IO, processors.BASE, processors.SIZE),
        field("CPST", Access.BYTE, *(Bits(f"CP{byte:02X}", 8) for byte in registers), update=Update.WRITE_AS_ZEROS),
        *(name(f"CK{byte:02X}", _known(tables, byte)) for byte in registers),
        mutex("CLCK"),
        _count_cpus(tables, registers, number),
    )
    tables.root(scope("\\_GPE", method(f"_E{processors.EVENT:02X}", 0, call("\\_SB.CPNT"))))


def _present(index: int) -> tuple[str, int]:
    """The field and the bit that say whether a CPU is there."""
    return f"\\_SB.CP{index // 8:02X}", 1 << index % 8


def _known(tables: AcpiTables, byte: int) -> int:
    """Of which CPUs the system learns by the tables."""
    return sum(1 << cpu % 8 for cpu in tables.machine.cpus.plugged if cpu // 8 == byte)


def _count_cpus(tables: AcpiTables, registers: range, number: int) -> Aml:
    """CPNT: tells the system of those whose bits changed since it was told."""
    tells = []
    for byte in registers:
        now, known, changed = LOCAL[0], f"CK{byte:02X}", LOCAL[1]
        tells += [store(f"CP{byte:02X}", now), xor(now, known, changed), store(now, known)]
        for index in range(8 * byte, min(8 * byte + 8, number)):
            bit, where = 1 << index % 8, tables.cpu_path(index)
            came = if_(and_(now, bit), notify(where, processors.CAME))
            tells.append(if_(and_(changed, bit), came, else_(notify(where, processors.LEAVES))))
    return method("CPNT", 0, acquire("CLCK"), *tells, release("CLCK"))
