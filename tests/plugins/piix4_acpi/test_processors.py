"""CPUs that come: the bits at AF00h, the event, and the tables' methods."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from southbridge import Machine, SouthbridgeError
from southbridge.acpi import build
from southbridge.builder import build as built
from southbridge.description import load
from southbridge.qmp.cpus import plug_cpu
from southbridge.testing import Bench

from tests.core.acpi.reader import recompiled
from tests.core.acpi.test_terms import normal
from tests.guests.build import need

PRESENT, GPE0_STS = 0xAF00, 0xAFE0
LOCAL_APICS = 44
"""Where the MADT's entries begin."""


@pytest.fixture
def chip(bench: Bench) -> Any:
    bench.machine.cpus.max = 255
    return bench.plug("piix4_acpi", addr="01.3")


@pytest.fixture
def pc() -> Iterator[Machine]:
    settings = ["accelerator=unicorn", "maxcpus=10", "chardevs.serial0.type=null"]
    machine = built(load("pc", settings))
    yield machine
    machine.close()


def test_a_cpu_that_comes_has_a_bit_and_is_an_event(bench: Bench, chip: Any) -> None:
    assert (bench.read_port(PRESENT, 1), bench.read_port(GPE0_STS, 2)) == (1, 0)
    for index in (9, 254):
        bench.machine.hotplug.plug_cpu(index)
    assert bench.read_port(GPE0_STS, 2) == 4
    assert [bench.read_port(PRESENT + byte, 1) for byte in range(32)] == [1, 2, *[0] * 29, 0x40]


def test_device_add_of_a_cpu(bench: Bench, chip: Any) -> None:
    plug_cpu(bench.machine, "cpu-9", {"socket_id": 0, "core_id": 9, "thread_id": 0})
    assert bench.read_port(PRESENT + 1, 1) == 2
    with pytest.raises(SouthbridgeError, match="CPU 9 is there already"):
        plug_cpu(bench.machine, "again", {"socket_id": 0, "core_id": 9, "thread_id": 0})


def test_the_bits_can_only_be_read(bench: Bench, chip: Any) -> None:
    bench.write_port(PRESENT, 0, 1)
    assert bench.read_port(PRESENT, 1) == 1
    assert "which can only be read" in bench.machine.guest_errors[-1]


def test_a_reset_leaves_the_cpus_there(bench: Bench, chip: Any) -> None:
    bench.machine.hotplug.plug_cpu(1)
    chip.reset()
    assert bench.read_port(PRESENT, 1) == 3
    assert bench.read_port(GPE0_STS, 2) == 0


def test_a_compiler_takes_the_methods(pc: Machine, tmp_path: Path) -> None:
    need("iasl", "acpica-tools")
    tables = build(pc)
    assert tables is not None
    _, said = recompiled(tmp_path, "DSDT", tables["DSDT"].data)
    assert "0 Errors, 0 Warnings" in said, said
    text = normal((tmp_path / "DSDT.dsl").read_text()).replace("\\", "")
    assert text.count("Method(_MAT,0,") == text.count("Method(_STA,0,NotSerialized){If((_SB.CP0") == 10
    assert "Method(_E02,0," in text
    assert "Notify(_SB.C009,One)" in text


def test_a_cpu_that_may_come_has_a_disabled_entry(pc: Machine) -> None:
    tables = build(pc)
    assert tables is not None
    assert [tables["MADT"].data[LOCAL_APICS + 8 * cpu + 4] for cpu in range(10)] == [1, *[0] * 9]


def test_where_none_may_come_there_are_no_methods(bench: Bench, chip: Any) -> None:
    bench.machine.cpus.max = 1
    tables = build(bench.machine)
    assert tables is not None
    assert b"CPNT" not in tables["DSDT"].data
