"""A machine's tables, from what its devices say."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from . import tables
from .affinity import add_affinity
from .contributions import AcpiTables
from .linker import TableSet

if TYPE_CHECKING:
    from ..machine import Machine


def build(machine: Machine) -> TableSet | None:
    """The tables of `machine` as it is now, or None if no device of it has power management registers.

    Raises AcpiError if they are too long. A device whose `acpi` raises something else is broken, and left out.
    """
    left_out: set[str] = set()
    while True:
        collected = AcpiTables(machine)
        failed = _collect(machine, collected, left_out)
        if failed is None:
            for finish in collected.at_end:
                finish()
            add_affinity(collected)
            return _tables(collected)
        left_out.add(failed)


def _collect(machine: Machine, collected: AcpiTables, left_out: set[str]) -> str | None:
    """Asks every device. Gives the identifier of one that failed: the others say it all again without it."""
    for id, device in machine.devices.items():
        if not device.broken and id not in left_out:
            try:
                device.acpi(collected)
            except Exception as error:  # a device's code may raise anything
                machine.faults.device_failed(device, "acpi", error)
                return id
    return None


def _tables(collected: AcpiTables) -> TableSet | None:
    power = collected.power
    if power is None:
        return None
    power = replace(power, century=collected.century)
    if collected.has_keyboard_controller:
        power.boot_flags |= tables.KEYBOARD_CONTROLLER
    found = [tables.facs(), tables.table("DSDT", 2, collected.definition_block())]
    listed = [tables.fadt(power)]
    if collected.interrupts.entries():
        listed.append(tables.madt(collected.interrupts))
    listed += collected.more_tables()
    names = [table.name for table in listed]
    return TableSet(tables.rsdp(), [*found, *listed, tables.rsdt(names), tables.xsdt(names)], collected.blocks)
