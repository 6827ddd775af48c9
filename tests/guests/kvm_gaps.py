"""What this host's KVM gets wrong, as QEMU's use of it shows with the CPU guest.

Some hosts' KVM executes a part of the guest's code with an emulator that has gaps (`kvm_pvm`).
"""

from __future__ import annotations

import json
import os
from pathlib import Path

from tests.guests import expect
from tests.guests.build import GUESTS, assemble
from tests.guests.qemu import run_qemu_kvm

HANGS_S = 20.0
"""Under QEMU, after which a part of the CPU guest is taken to hang."""


def failed_checks(part: str, output: bytes) -> set[str]:
    """Which checks of a part aren't reported as right."""
    report = expect.parse_cpu_report(output)
    return {name for name in expect.cpu_parts()[part] if report.get(name) != "ok"}


def part_image(images: Path, part: str) -> Path:
    """A disk with the CPU guest that runs just that part."""
    return assemble(GUESTS / "cpu" / "boot.asm", images, {"PART": part})


def qemu_failures(images: Path, part: str) -> tuple[set[str], bool]:
    """Which checks of a part QEMU's KVM fails on this host, and whether by an internal error alone. Asked once."""
    known = images / f"kvm-{part}.json"
    if not known.exists():
        output = run_qemu_kvm(part_image(images, part), timeout_s=HANGS_S)
        failed = sorted(failed_checks(part, output.split(b"KVM internal error")[0]))
        unfinished = known.with_suffix(f".{os.getpid()}")
        unfinished.write_text(json.dumps([failed, b"KVM internal error" in output and b"FAIL" not in output]))
        unfinished.rename(known)
    failed, internal = json.loads(known.read_text())
    return set(failed), internal
