"""Linux's pvpanic drivers tell the host that the guest has panicked."""

from __future__ import annotations

from pathlib import Path

import pytest
from southbridge.control.client import find_machine

from tests.guests.conversation import plain
from tests.linux.guest import CMDLINE, NO_ACPI, answer, control_sockets, describe, only_machine, run_linux
from tests.linux.initramfs import UP, initramfs

SCRIPT = """\
echo "driver: $(ls /sys/bus/{bus}/drivers/{driver})"
echo "events: $(cat /sys/bus/{bus}/drivers/{driver}/*/events)"
echo c > /proc/sysrq-trigger
"""


def panics(
    folder: Path, device: str, *, module: str = "pvpanic_pci", cmdline: str = NO_ACPI, firmware: str = "none"
) -> Path:
    bus = "pci" if module == "pvpanic_pci" else "platform"
    script = SCRIPT.format(bus=bus, driver=module.replace("_", "-"))
    return describe(folder, initramfs(script, [module]), cmdline=cmdline, firmware=firmware, devices=[device])


def test_the_machine_ends_with_a_status_that_says_so(tmp_path: Path) -> None:
    result = run_linux(panics(tmp_path, "panic: {type: pvpanic-pci, addr: 05.0}"))
    text = plain(result.output).decode()
    assert "0000:00:05.0" in answer(text, "driver")
    assert answer(text, "events") == "3"
    assert "Kernel panic - not syncing: sysrq triggered crash" in text
    assert result.status == 1
    assert text.count(UP.decode()) == 1


@pytest.mark.parametrize("firmware", ["none", "rom"])
def test_by_a_port_that_acpi_tells_of(firmware: str, tmp_path: Path) -> None:
    description = panics(tmp_path, "panic: {type: pvpanic}", module="pvpanic_mmio", cmdline=CMDLINE, firmware=firmware)
    result = run_linux(description)
    text = plain(result.output).decode()
    assert "QEMU0001:00" in answer(text, "driver")
    assert answer(text, "events") == "3"
    assert result.status == 1


def test_it_may_be_looked_at(tmp_path: Path) -> None:
    """The guest stops where it says so: it doesn't come to restart."""

    def look() -> None:
        with find_machine(only_machine("guest-panicked")) as machine:
            assert not machine.run("query-status")["running"]
            machine.run("quit")

    with control_sockets():
        description = panics(tmp_path, "panic: {type: pvpanic-pci, on_panic: pause}")
        result = run_linux(description, then=[(b"Kernel panic - not syncing", look)])
    text = plain(result.output).decode()
    assert "end Kernel panic" not in text
    assert text.count(UP.decode()) == 1


def test_the_guest_may_be_left_to_reboot(tmp_path: Path) -> None:
    description = panics(tmp_path, "panic: {type: pvpanic-pci, on_panic: none}")
    run_linux(description, until=[UP, b"sysrq triggered crash", UP])
