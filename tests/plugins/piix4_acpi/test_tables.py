"""The tables of the machine that ships, read by Debian's iasl, and by what walks them in memory."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from southbridge import Device, Machine, MiB
from southbridge.acpi import AcpiError, AcpiTables, TableSet, build
from southbridge.acpi.linker import RSDP, SCRIPT, TABLES, find_facs
from southbridge.acpi.terms import name
from southbridge.builder import build as built
from southbridge.description import load
from southbridge.testing import Bench

from tests.core.acpi.reader import recompiled
from tests.core.acpi.test_terms import normal
from tests.guests.build import need


class Wordy(Device):
    def acpi(self, tables: AcpiTables) -> None:
        tables.ssdt("WORDY", *[name(f"A{index:03X}", 1 << 63) for index in range(0xFFF)] * 3)


@pytest.fixture
def pc() -> Iterator[Machine]:
    machine = built(load("pc", ["accelerator=unicorn", "chardevs.serial0.type=null"]))
    yield machine
    machine.close()


@pytest.fixture
def tables(pc: Machine) -> TableSet:
    tables = build(pc)
    assert tables is not None
    return tables


@pytest.mark.parametrize("table", ["DSDT", "FADT", "MADT", "HPET", "FACS"])
def test_a_compiler_takes_what_it_took_apart(tables: TableSet, table: str, tmp_path: Path) -> None:
    need("iasl", "acpica-tools")
    _, said = recompiled(tmp_path, table, tables[table].data)
    assert "0 Errors, 0 Warnings" in said, said


def test_what_is_soldered_in_has_no_method_to_eject_it(tables: TableSet, tmp_path: Path) -> None:
    need("iasl", "acpica-tools")
    text = normal(recompiled(tmp_path, "DSDT", tables["DSDT"].data)[0])
    assert text.count("Method(_EJ0,1,") == 30
    assert "Name(_S3,Package(0x04){One,One,Zero,Zero})" in text.replace("\\", "")
    assert "Notify(\\_SB.PCI0.S28,One)" in text and "Notify(\\_SB.PCI0.S28,0x03)" in text


def test_firmware_is_given_them(pc: Machine, tables: TableSet) -> None:
    contents = {name: pc.firmware_config.files[name] for name in (SCRIPT, TABLES, RSDP)}
    assert {name: given() for name, given in contents.items() if callable(given)} == tables.loader_files()


def test_without_firmware_they_lead_from_the_root_to_the_facs(pc: Machine, tables: TableSet) -> None:
    assert pc.boot_tables is not None
    base = 0x100_0000
    contents, rsdp = pc.boot_tables(base)
    assert contents[rsdp - base :].startswith(b"RSD PTR ")
    assert find_facs(contents, base, rsdp) == base + tables.offsets["FACS"]
    assert contents[tables.offsets["FACS"] :].startswith(b"FACS")


def test_too_much_is_an_error_before_the_machine_runs(bench: Bench) -> None:
    bench.machine.firmware_config.shown = True
    chip = bench.plug("piix4_acpi", addr="01.3")
    bench.plug(Wordy)
    with pytest.raises(
        AcpiError, match=r"the ACPI tables take 0x\w+ bytes, 0x\w+ of them SSDT WORDY; 0x20000 have room"
    ):
        chip.machine_created()


def test_a_device_that_comes_and_says_too_much_leaves_them_as_they_were(bench: Bench, caplog: Any) -> None:
    bench.machine.firmware_config.shown = True
    chip = bench.plug("piix4_acpi", addr="01.3")
    chip.machine_created()
    bench.plug(Wordy)
    assert bench.machine.boot_tables is not None
    assert bench.machine.boot_tables(MiB)[0]
    assert "the tables stay as they were" in caplog.text
