"""Linux whose accelerator is exchanged while it boots: it comes up as if nothing had happened."""

from __future__ import annotations

import hashlib
import re
from pathlib import Path
from random import Random

import pytest
from southbridge.accelerator import Accelerator
from southbridge.builder import availability, build
from southbridge.description import load
from southbridge.discovery import load as load_plugin

from tests.guests.conversation import Result
from tests.guests.kvm_gaps import qemu_failures
from tests.guests.swaps import UNICORN, Plan, Ran, named, run_machine
from tests.linux.guest import answer, describe, said
from tests.linux.initramfs import initramfs

MIB = 1 << 20
DISK = Random("swaps").randbytes(4 * MIB)

# "hpet: Lost N RTC interrupts" is what a host brings that has no time for its guest.
SCRIPT = """\
until_can_read /dev/sda
echo "disk: $(sha256sum < /dev/sda)"
dmesg -r | grep -i -e '^<[0-3]>' -e 'BUG:' -e 'Call Trace' -e 'WARNING' -e 'as unstable' -e 'stall' -e 'lost' \\
    | grep -v 'hpet: Lost' | sed 's/^/complaint: /'
"""
EVERY_NS = 300_000_000
"""On average, by the machine's clock."""
MANY = 10_000
"""As many as there is time for; nor do port accesses matter."""


def boot(folder: Path, plan: Plan, firmware: str) -> tuple[Ran, str]:
    (folder / "disk.img").write_bytes(DISK)
    description = describe(
        folder,
        initramfs(SCRIPT, ["ata_piix", "sd_mod"]),
        firmware=firmware,
        settings={"chardevs": "{serial0: {type: file, path: serial.out}}"},
        devices=["hd0: {type: ide-hd, drive: disk0}"],
        blockdevs=["disk0: {type: raw, path: disk.img, read_only: true}"],
    )
    ran = run_machine(build(load(str(description))), folder / "serial.out", plan)
    return ran, said(Result(ran.output, ran.outcome.status, 0.0))


@pytest.mark.parametrize("firmware", ["none", "rom"])
def test_linux_boots_meanwhile(firmware: str, tmp_path: Path) -> None:
    ran, text = boot(tmp_path, Plan(7, MANY, accesses=1_000_000, clock_ns=EVERY_NS), firmware)
    assert len(ran.swaps) >= 5
    assert answer(text, "disk") == f"{hashlib.sha256(DISK).hexdigest()}  -"
    assert re.findall("complaint: .*", text) == []


def test_on_kvm_and_unicorn_in_turn(images: Path, tmp_path: Path) -> None:
    """Where KVM can't go on (some hosts' is an emulator with gaps), the software CPU takes over at once.

    Where KVM has no SYSCALL, which QEMU tells, Linux's programs don't run on it at all.
    """
    kvm = load_plugin("accelerators", "kvm")
    assert issubclass(kvm, Accelerator)
    found = availability(kvm)
    if not found.usable:
        pytest.skip(f"/dev/kvm: {found.reason}")
    if "syscall-20000" in qemu_failures(images, "lm_syscall")[0]:
        pytest.skip("/dev/kvm: under QEMU too, this host's KVM stays in ring 3 at a SYSCALL")
    plan = Plan(7, MANY, to=(named("kvm"), UNICORN), accesses=1_000_000, clock_ns=EVERY_NS)
    ran, text = boot(tmp_path, plan, "none")
    assert ran.swaps.count("kvm") >= 5
    assert answer(text, "disk") == f"{hashlib.sha256(DISK).hexdigest()}  -"
    assert [line for line in re.findall("complaint: .*", text) if "clocksource" not in line] == []
