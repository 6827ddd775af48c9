"""What Debian's kernel makes of our tables, and of the clocks and interrupts that it learns of by them."""

from __future__ import annotations

import hashlib
import re
from pathlib import Path
from typing import NamedTuple

import pytest
from southbridge.acpi import build
from southbridge.builder import build as built
from southbridge.description import load

from tests.guests.conversation import plain, talk
from tests.linux.guest import CMDLINE, PATIENCE_S, answer, describe, qemu_command, run_linux, said
from tests.linux.initramfs import initramfs
from tests.once import once

SCRIPT = """
dmesg -r | grep -E '^<[0-4]>' | sed 's/^/complaint: /'
dmesg | grep -i -E 'firmware bug|ACPI.*(error|exception|warning|bug)' | sed 's/^/complaint: /'
for table in FACP DSDT FACS APIC HPET; do
    echo "table $table: $(sha256sum < /sys/firmware/acpi/tables/$table)"
done
ls /sys/firmware/acpi/tables | tr '\\n' ' ' | sed 's/^/tables: /'; echo
sed 's/^/line /' /proc/interrupts
cd /sys/devices/system/clocksource/clocksource0
echo "sources: $(cat available_clocksource)"
for source in acpi_pm hpet; do
    echo $source > current_clocksource
    before=$(date +%s)
    sleep 2
    echo "source $source: $(cat current_clocksource) $(($(date +%s) - before))"
done
"""

COMPLAINTS = re.compile(r"^complaint: (.*)$", re.MULTILINE)


class Started(NamedTuple):
    """Linux on a machine of ours, and all that it said."""

    description: Path
    text: str


@pytest.fixture(scope="module")
def initrd() -> bytes:
    return initramfs(SCRIPT)


TIMING = re.compile(r"clocksource|tsc|hrtimer|perf:|sched|APIC calibration|hpet: Lost")
"""What a busy host may bring about."""


def kinds(text: str) -> set[str]:
    """The complaints, whatever numbers are in them."""
    return {re.sub(r"\d+", "#", line) for line in COMPLAINTS.findall(text) if not TIMING.search(line)}


@pytest.fixture(scope="module", params=["none", "rom"])
def started(initrd: bytes, tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest) -> Started:
    def start() -> Started:
        description = describe(tmp_path_factory.mktemp("acpi"), initrd, cmdline=CMDLINE, firmware=request.param)
        return Started(description, said(run_linux(description)))

    return once(tmp_path_factory, f"acpi-{request.param}", start)


@pytest.fixture(scope="module")
def qemus(initrd: bytes, tmp_path_factory: pytest.TempPathFactory) -> str:
    file = tmp_path_factory.mktemp("qemu") / "initrd.cpio"
    file.write_bytes(initrd)
    return plain(talk(qemu_command(file, cmdline=CMDLINE), timeout_s=PATIENCE_S).output).decode("ascii", "replace")


def test_it_finds_what_we_say(started: Started) -> None:
    description, text = started
    machine = built(load(str(description)))
    tables = build(machine)
    machine.close()
    assert tables is not None
    for name, ours in (("DSDT", "DSDT"), ("APIC", "MADT"), ("HPET", "HPET")):
        data = bytearray(tables[ours].data)
        data[9] = -sum(data) & 0xFF
        assert answer(text, f"table {name}").split()[0] == hashlib.sha256(data).hexdigest()
    assert {"APIC", "DSDT", "FACP", "FACS", "HPET"} <= set(answer(text, "tables").split())

    def interrupt(number: int) -> str:
        return answer(text, f"line *{number}").split(maxsplit=1)[1]

    assert interrupt(0).split() == ["IO-APIC", "2-edge", "timer"]
    assert interrupt(4).split() == ["IO-APIC", "4-edge", "ttyS0"]
    assert interrupt(9).split() == ["IO-APIC", "9-fasteoi", "acpi"]
    assert {"acpi_pm", "hpet"} <= set(answer(text, "sources").split())
    for source in ("acpi_pm", "hpet"):
        name, seconds = answer(text, f"source {source}").split()
        assert name == source and int(seconds) >= 1


def test_it_complains_of_nothing_that_qemus_pc_doesnt_have_too(started: Started, qemus: str) -> None:
    ours, theirs = kinds(started.text), kinds(qemus)
    assert theirs, "QEMU's has one at least"
    assert not ours - theirs
