"""pvpanic in both its forms: what the guest may say, and what the machine does."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from southbridge import Device, RealizeError, ShutdownReason, hookimpl
from southbridge.acpi import AcpiTables, build, eisa_id
from southbridge.acpi.tables import PowerManagement
from southbridge.acpi.terms import name
from southbridge.firmware_config import resolve
from southbridge.testing import Bench

from tests.core.acpi.reader import recompiled

PORT, BAR = 0x505, 0xE000_0000
PANICKED, CRASH_LOADED, SHUTDOWN = 1, 2, 4

Say = Callable[[int], None]


class Watcher:
    """Hears of events."""

    def __init__(self, bench: Bench) -> None:
        self.events: list[tuple[str, dict[str, Any]]] = []
        self.asked: list[object] = []
        machine = bench.machine
        machine.hooks.register(self, "watcher")
        machine.post = lambda request: request()  # type: ignore[method-assign]
        machine.request_shutdown = lambda reason, status=0: self.asked.append(reason)  # type: ignore[method-assign]
        machine.request_pause = lambda why="": self.asked.append(why)  # type: ignore[method-assign]

    @hookimpl
    def machine_event(self, name: str, data: dict[str, Any]) -> None:
        self.events.append((name, data))


@pytest.fixture
def watcher(bench: Bench) -> Watcher:
    return Watcher(bench)


def plug(bench: Bench, kind: str, **properties: Any) -> tuple[Callable[[], int], Say]:
    """The device, by its register."""
    device = bench.plug(kind, **properties)
    if kind == "pvpanic":
        return lambda: bench.read_port(PORT), lambda value: bench.write_port(PORT, value)
    bench.place(device, "bar0", BAR)
    return lambda: bench.read_mmio(BAR, 1), lambda value: bench.write_mmio(BAR, value, 1)


KINDS = pytest.mark.parametrize("kind", ["pvpanic", "pvpanic-pci"])


@KINDS
def test_it_reads_as_what_may_be_said(bench: Bench, kind: str) -> None:
    read, _ = plug(bench, kind)
    assert read() == 3


@KINDS
@pytest.mark.parametrize(
    ("on_panic", "asked", "action"),
    [
        ("shutdown", [ShutdownReason.GUEST_PANIC], "poweroff"),
        ("pause", ["guest-panicked"], "pause"),
        ("none", [], "run"),
    ],
)
def test_a_panic(bench: Bench, watcher: Watcher, kind: str, on_panic: str, asked: list[object], action: str) -> None:
    _, say = plug(bench, kind, on_panic=on_panic)
    say(PANICKED)
    assert watcher.asked == asked
    assert watcher.events == [("GUEST_PANICKED", {"action": action})]


@KINDS
def test_a_panic_that_the_guest_deals_with(bench: Bench, watcher: Watcher, kind: str) -> None:
    _, say = plug(bench, kind)
    say(CRASH_LOADED)
    assert watcher.asked == []
    assert watcher.events == [("GUEST_CRASHLOADED", {"action": "run"})]


@KINDS
def test_what_may_not_be_said_is_ignored(bench: Bench, watcher: Watcher, kind: str) -> None:
    read, say = plug(bench, kind, events=CRASH_LOADED)
    assert read() == CRASH_LOADED
    say(PANICKED | SHUTDOWN | 0xF8)
    assert (watcher.asked, watcher.events) == ([], [])


@KINDS
def test_a_shutdown_if_it_may_be_said(bench: Bench, watcher: Watcher, kind: str) -> None:
    _, say = plug(bench, kind, events=7)
    say(SHUTDOWN)
    assert watcher.asked == [ShutdownReason.GUEST_SHUTDOWN]


def test_firmware_is_told_of_the_port(bench: Bench) -> None:
    bench.plug("pvpanic", ioport=0x600)
    assert resolve(bench.machine.firmware_config.files["etc/pvpanic-port"]) == b"\x00\x06"
    assert bench.read_port(0x600) == 3


def test_a_second_one_is_refused(bench: Bench) -> None:
    bench.plug("pvpanic")
    with pytest.raises(RealizeError, match="another pvpanic"):
        bench.plug("pvpanic", "second", ioport=0x600)
    assert bench.read_port(0x600) == 0xFF


class Power(Device):
    """Has tables made."""

    def acpi(self, tables: AcpiTables) -> None:
        tables.power = PowerManagement(sci=9, event=0x600, control=0x604, timer=0x608, gpe0=0x60C, gpe0_length=4)
        tables.host_bridge(self.machine.buses["pci.0"], "PCI0", name("_HID", eisa_id("PNP0A03")))


def test_operating_systems_find_it_by_acpi(tmp_path: Path) -> None:
    bench = Bench()
    bench.plug(Power, "power")
    bench.plug("pvpanic", ioport=0x506)
    tables = build(bench.machine)
    assert tables is not None
    source, remarks = recompiled(tmp_path, "dsdt", tables["DSDT"].data)
    assert "0 Errors, 0 Warnings" in remarks
    for part in ('Name (_HID, "QEMU0001")', "0x0506,", "Method (RDPT, 0", "Method (WRPT, 1"):
        assert part in source
