"""The generation ID: where it is placed, by whom, and when there is a new one."""

from __future__ import annotations

import struct
import uuid
from pathlib import Path
from typing import Any

import pytest
from southbridge import Device, RealizeError, SouthbridgeError, hookimpl
from southbridge.acpi import AcpiTables, TableSet, build, eisa_id
from southbridge.acpi.tables import PowerManagement
from southbridge.acpi.terms import name
from southbridge.firmware_config import resolve
from southbridge.testing import Bench

from tests.core.acpi.reader import recompiled

GUID = "324e6eaf-d1d1-4bf6-bf41-b9bb6c91fb87"
STORED = bytes.fromhex("af6e4e32 d1d1 f64b bf41b9bb6c91fb87")
BLOCK, OFFSET = 0x20_0000, 40


class Power(Device):
    """Has tables made, and takes events."""

    def __init__(self, id: str) -> None:
        super().__init__(id)
        self.events: list[int] = []

    @hookimpl
    def acpi_event(self, number: int) -> bool:
        self.events.append(number)
        return True

    def acpi(self, tables: AcpiTables) -> None:
        tables.power = PowerManagement(sci=9, event=0x600, control=0x604, timer=0x608, gpe0=0x60C, gpe0_length=4)
        tables.host_bridge(self.machine.buses["pci.0"], "PCI0", name("_HID", eisa_id("PNP0A03")))


@pytest.fixture
def power(bench: Bench) -> Power:
    device: Power = bench.plug(Power, "power")
    return device


@pytest.fixture
def vmgenid(bench: Bench, power: Power) -> Any:
    return bench.plug("vmgenid", guid=GUID)


def tables(bench: Bench) -> TableSet:
    made = build(bench.machine)
    assert made is not None
    return made


def answer(bench: Bench, address: int = BLOCK) -> None:
    """What firmware does."""
    bench.machine.firmware_config.answers["etc/vmgenid_addr"](struct.pack("<Q", address))


def test_the_block_that_firmware_places(bench: Bench, vmgenid: Any) -> None:
    block = resolve(bench.machine.firmware_config.files["etc/vmgenid_guid"])
    assert len(block) == 4096
    assert block.strip(b"\0") == STORED
    assert block[OFFSET : OFFSET + 16] == STORED
    assert resolve(bench.machine.firmware_config.files["etc/vmgenid_addr"]) == bytes(8)


def test_the_script_places_it_and_asks_for_its_address(bench: Bench, vmgenid: Any) -> None:
    script = tables(bench).loader_files()["etc/table-loader"]
    commands = [script[at : at + 128] for at in range(0, len(script), 128)]
    file = b"etc/vmgenid_guid".ljust(56, b"\0")
    assert struct.pack("<I", 1) + file + struct.pack("<IB", 4096, 1) in [command[:65] for command in commands]
    answer_file = b"etc/vmgenid_addr".ljust(56, b"\0")
    assert struct.pack("<I", 4) + answer_file + file + struct.pack("<IIB", 0, 0, 8) in [c[:125] for c in commands]


def test_without_firmware_it_is_with_the_tables(bench: Bench, vmgenid: Any) -> None:
    made = tables(bench)
    placed = made.place(0x10_0000)
    assert vmgenid.block % 4096 == 0
    assert placed.tables[vmgenid.block - 0x10_0000 :][OFFSET : OFFSET + 16] == STORED
    table = placed.tables[made.offsets["SSDT VMGENID"] :]
    at = table.index(b"VGIA\x0c") + 5
    assert int.from_bytes(table[at : at + 4], "little") == vmgenid.block


def test_what_operating_systems_are_told(bench: Bench, vmgenid: Any, tmp_path: Path) -> None:
    source, remarks = recompiled(tmp_path, "ssdt", tables(bench)["SSDT VMGENID"].data)
    assert "0 Errors, 0 Warnings" in remarks
    for part in ('Name (_CID, "VM_Gen_Counter")', "Method (ADDR, 0", "(VGIA + 0x28)", "Notify (\\_SB.VGEN, 0x80)"):
        assert part in source
    assert "Method (\\_GPE._E05, 0" in source


def test_restored_it_is_replaced_before_the_guest_goes_on(bench: Bench, power: Power) -> None:
    vmgenid = bench.plug("vmgenid")
    answer(bench)
    before = vmgenid.number
    saved = vmgenid.save()
    vmgenid.reset()
    vmgenid.load(saved)
    assert power.events == []
    bench.machine.hooks.call.machine_resumed(machine=bench.machine)
    assert vmgenid.number != before
    assert bench.read_memory(BLOCK + OFFSET, 16) == vmgenid.number.bytes_le
    assert power.events == [5]
    bench.machine.hooks.call.machine_resumed(machine=bench.machine)
    assert power.events == [5]


def test_each_restore_gives_another_number(bench: Bench) -> None:
    vmgenid = bench.plug("vmgenid")
    answer(bench)
    saved = vmgenid.save()
    seen = {vmgenid.number}
    for _ in range(4):
        vmgenid.load(saved)
        seen.add(vmgenid.number)
    assert len(seen) == 5


def test_a_running_machine_is_told_soon(bench: Bench, vmgenid: Any, power: Power) -> None:
    posted: list[Any] = []
    bench.machine.post = posted.append  # type: ignore[method-assign,assignment]
    answer(bench)
    vmgenid.load(vmgenid.save())
    (request,) = posted
    request()
    assert bench.read_memory(BLOCK + OFFSET, 16) == STORED
    assert power.events == [5]


def test_before_firmware_answered_nothing_is_written(bench: Bench, vmgenid: Any, power: Power) -> None:
    vmgenid.load(vmgenid.save())
    bench.machine.hooks.call.machine_resumed(machine=bench.machine)
    assert bench.read_memory(0, 4096) == bytes(4096)
    assert power.events == []


@pytest.mark.parametrize("address", [0xF000_0000, (1 << 64) - 1, (1 << 64) - OFFSET])
def test_a_wrong_answer_does_no_harm(bench: Bench, vmgenid: Any, power: Power, address: int) -> None:
    answer(bench, address)
    vmgenid.load(vmgenid.save())
    bench.machine.hooks.call.machine_resumed(machine=bench.machine)
    assert power.events == []


def test_a_reset_forgets_the_address(bench: Bench, vmgenid: Any) -> None:
    answer(bench)
    vmgenid.reset()
    assert vmgenid.block == 0


def test_sleep_does_not(bench: Bench, vmgenid: Any) -> None:
    answer(bench)
    vmgenid.wake()
    assert vmgenid.block == BLOCK


def test_the_number_can_be_asked_for(bench: Bench, vmgenid: Any) -> None:
    offered = bench.machine.hooks.call.register_monitor_commands(machine=bench.machine)
    (query,) = [commands["query-vm-generation-id"] for commands in offered if "query-vm-generation-id" in commands]
    assert query() == {"guid": GUID}


def test_auto_is_new_for_each_machine(bench: Bench) -> None:
    assert bench.plug("vmgenid").number != Bench().plug("vmgenid").number


@pytest.mark.parametrize("guid", ["", "automatic", GUID[:-1], "0"])
def test_what_is_no_uuid_is_refused(bench: Bench, guid: str) -> None:
    with pytest.raises(SouthbridgeError, match='expected "auto" or a UUID'):
        bench.plug("vmgenid", guid=guid)


def test_a_second_one_is_refused(bench: Bench, vmgenid: Any) -> None:
    with pytest.raises(RealizeError, match="another vmgenid"):
        bench.plug("vmgenid", "second")
    assert uuid.UUID(GUID).bytes_le in resolve(bench.machine.firmware_config.files["etc/vmgenid_guid"])
