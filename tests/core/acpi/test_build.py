"""What devices say of themselves becomes the machine's tables."""

from __future__ import annotations

from pathlib import Path
from typing import Any, ClassVar

import pytest
from southbridge import Device, PciDevice, PciIds
from southbridge.acpi import AcpiError, AcpiTables, TableSet, build, eisa_id
from southbridge.acpi.resources import io, resource_template
from southbridge.acpi.tables import PowerManagement
from southbridge.acpi.terms import device, external, method, name, return_, scope
from southbridge.testing.bench import Bench

from tests.core.acpi.reader import recompiled
from tests.core.acpi.test_terms import normal


class Power(Device):
    def acpi(self, tables: AcpiTables) -> None:
        tables.power = PowerManagement(sci=9, event=0x600, control=0x604, timer=0x608, gpe0=0x60C, gpe0_length=4)
        tables.host_bridge(self.machine.buses["pci.0"], "PCI0", name("_HID", eisa_id("PNP0A03")))


class Bridge(PciDevice):
    ids: ClassVar[PciIds] = PciIds(0x1234, 0x0001, class_code=0x060100)

    def acpi(self, tables: AcpiTables) -> None:
        tables.isa_bridge(self, "ISA")
        tables.pirq_links += ["LNKA", "LNKB", "LNKC", "LNKD"]
        for letter in "ABCD":
            tables.system(device(f"LNK{letter}", name("_HID", eisa_id("PNP0C0F")), name("_UID", ord(letter))))


class Abacus(Device):
    """As somebody else might write it."""

    def acpi(self, tables: AcpiTables) -> None:
        resources = resource_template(io(0x2F0, 4))
        tables.isa(device(tables.unique("ABA"), name("_HID", eisa_id("ACM0001")), name("_CRS", resources)))
        tables.ssdt("ABACUS", external("\\_SB", 6), scope("\\_SB", device("ABAX", name("_ADR", 5))))


class Counter(Device):
    def acpi(self, tables: AcpiTables) -> None:
        tables.isa(device(tables.unique("ABA"), name("_ADR", 7)))


class Card(PciDevice):
    ids: ClassVar[PciIds] = PciIds(0x1234, 0x0002, class_code=0xFF0000)

    def acpi(self, tables: AcpiTables) -> None:
        tables.pci_function(self, method("BEAD", 0, return_(7)))


class Broken(Device):
    def acpi(self, tables: AcpiTables) -> None:
        tables.system(device("HALF", name("_ADR", 1)))
        raise ZeroDivisionError


class Wordy(Device):
    def acpi(self, tables: AcpiTables) -> None:
        tables.ssdt("WORDY", *[name(f"A{index:03X}", 1 << 63) for index in range(0xFFF)] * 3)


def made(bench: Bench, *kinds: type[Device]) -> TableSet:
    for index, kind in enumerate(kinds):
        bench.plug(kind, f"{kind.__name__.lower()}{index}")
    tables = build(bench.machine)
    assert tables is not None
    return tables


def source(tmp_path: Path, tables: TableSet, table: str = "DSDT") -> str:
    text, said = recompiled(tmp_path, table.replace(" ", "-"), tables[table].data)
    assert "0 Errors, 0 Warnings" in said, said
    return normal(text)


def test_without_power_management_there_are_no_tables(bench: Bench) -> None:
    bench.plug(Abacus)
    assert build(bench.machine) is None


def test_devices_are_on_their_buses(bench: Bench, tmp_path: Path) -> None:
    tables = made(bench, Power, Counter, Bridge, Card, Counter)
    text = source(tmp_path, TableSet(tables.rsdp, [t for t in tables.tables if t.name == "DSDT"]))
    assert "Scope(_SB){Device(C000)" in text.replace("\\", "")
    # Bus: bridge in slot 1, whose device has what is on the ISA bus; the card in slot 2.
    isa, card = text.index("Device(ISA){Name(_ADR,0x00010000)"), text.index("Device(S10){Name(_ADR,0x00020000)")
    assert isa < text.index("Device(ABA1)") < text.index("Device(ABA2)") < card < text.index("Method(BEAD")


def test_pins_lead_where_the_bus_has_them(bench: Bench, tmp_path: Path) -> None:
    text = source(tmp_path, made(bench, Power, Bridge))
    for slot, pin, link in [(1, 0, "A"), (1, 1, "B"), (2, 0, "B"), (4, 3, "C")]:
        assert bench.pci.pirq(slot, pin) == "ABCD".index(link)
        number = "Zero" if pin == 0 else "One" if pin == 1 else f"0x{pin:02X}"
        assert f"Package(0x04){{0x{slot:04X}FFFF,{number},LNK{link},Zero}}" in text


def test_a_device_brings_a_table_of_its_own(bench: Bench, tmp_path: Path) -> None:
    tables = made(bench, Power, Abacus)
    assert "Device(ABAX)" in source(tmp_path, tables, "SSDT ABACUS")
    listed = [pointer.target for pointer in tables["XSDT"].pointers]
    assert listed == ["FADT", "SSDT ABACUS"]


def test_two_tables_of_a_name_are_an_error(bench: Bench) -> None:
    with pytest.raises(AcpiError, match="SSDT ABACUS"):
        made(bench, Power, Abacus, Abacus)


def test_a_device_that_raises_is_broken_and_left_out(bench: Bench, tmp_path: Path) -> None:
    bench.machine.strict = False
    tables = made(bench, Power, Broken, Card)
    assert bench.machine.devices["broken1"].broken
    text = source(tmp_path, tables)
    assert "BEAD" in text and "HALF" not in text


def test_too_much_is_an_error_that_names_the_table(bench: Bench) -> None:
    with pytest.raises(AcpiError, match="SSDT WORDY"):
        made(bench, Power, Wordy)


@pytest.mark.parametrize("text", ["", "NINE_CHAR", "ä"])
def test_names_of_tables_are_checked(bench: Bench, text: str) -> None:
    with pytest.raises(AcpiError, match="table's name"):
        AcpiTables(bench.machine).ssdt(text)


def test_numbered_names_run_out(bench: Bench) -> None:
    tables: Any = AcpiTables(bench.machine)
    assert [tables.unique("COM") for _ in range(9)] == [f"COM{number}" for number in range(1, 10)]
    with pytest.raises(AcpiError, match="COM10"):
        tables.unique("COM")
