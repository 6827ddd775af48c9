"""Linux's vmgenid driver reads the generation ID, and is told of a new one when a snapshot was restored."""

from __future__ import annotations

import uuid
from pathlib import Path

import pytest
from southbridge.control.client import MachineClient

from tests.guests.conversation import plain
from tests.linux.guest import CMDLINE, answer, describe, run_linux, said
from tests.linux.initramfs import initramfs
from tests.linux.snapshots import go_on, save_when

GUID = "324e6eaf-d1d1-4bf6-bf41-b9bb6c91fb87"

FINDS = """\
device=$(ls -d /sys/bus/acpi/devices/STHB0001:*)
echo "driver: $(readlink $device/driver)"
echo "path: $(cat $device/path) $(cat $device/status)"
dmesg | grep -i 'acpi.*error' | sed 's/^/complaint: /'
"""

NOTICES = """\
dd if=/dev/random bs=16 count=1 of=/dev/null 2>/dev/null
echo "before: $(awk '/acpi$/ {print $2}' /proc/interrupts)"
echo "waiting"
until dmesg | grep 'virtual machine fork'; do usleep 100000; done
echo "after: $(awk '/acpi$/ {print $2}' /proc/interrupts)"
dmesg | grep -i 'acpi.*error' | sed 's/^/complaint: /'
"""


@pytest.fixture(autouse=True)
def runtime(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "run").mkdir()
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path / "run"))


def boot(folder: Path, script: str, firmware: str, guid: str) -> Path:
    device = f"generation: {{type: vmgenid, guid: {guid}}}"
    return describe(folder, initramfs(script), cmdline=CMDLINE, firmware=firmware, devices=[device])


@pytest.mark.parametrize("firmware", ["none", "rom"])
def test_linux_finds_it(firmware: str, tmp_path: Path) -> None:
    text = said(run_linux(boot(tmp_path, FINDS, firmware, GUID)))
    assert answer(text, "driver").endswith("/vmgenid")
    assert answer(text, "path") == "\\_SB_.VGEN 15"
    assert "complaint:" not in text, text[-3000:]


def look(machine: MachineClient) -> None:
    assert uuid.UUID(machine.run("query-vm-generation-id")["guid"]).version == 4


def test_linux_notices_that_it_was_restored(tmp_path: Path) -> None:
    before = save_when(b"waiting", boot(tmp_path, NOTICES, "rom", "auto"), tmp_path / "snapshot", look)
    text = plain(before + go_on(tmp_path / "snapshot")).decode("ascii", "replace")
    assert int(answer(text, "after")) == int(answer(text, "before")) + 1
    # It says so only if the number isn't what it was.
    assert "random: crng reseeded due to virtual machine fork" in text
    assert "complaint:" not in text, text[-3000:]
