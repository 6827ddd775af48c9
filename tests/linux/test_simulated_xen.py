"""Linux on the simulated Xen, alone and in turn with the software CPU."""

from __future__ import annotations

import hashlib
import re
from pathlib import Path

import pytest
from southbridge.builder import build
from southbridge.description import load
from southbridge.units import MiB

from tests.guests.conversation import Result
from tests.guests.swaps import UNICORN, Plan, run_machine
from tests.guests.test_guests_on_simulated_xen import ACCELERATOR, mapcache_of, xen
from tests.linux.guest import answer, describe, said
from tests.linux.initramfs import initramfs
from tests.linux.test_swaps import DISK, EVERY_NS, MANY, SCRIPT

ALONE = Plan(0, 0)
IN_TURN = Plan(7, MANY, to=(xen, UNICORN), accesses=1_000_000, clock_ns=EVERY_NS)


@pytest.mark.parametrize(("plan", "firmware"), [(ALONE, "rom"), (IN_TURN, "none")], ids=["alone", "in turn"])
def test_linux_boots_and_reads_its_disk(plan: Plan, firmware: str, tmp_path: Path) -> None:
    """Of its 256 MiB, 1 MiB is mapped at most, and its page cache is all over it: little is found mapped."""
    (tmp_path / "disk.img").write_bytes(DISK)
    description = describe(
        tmp_path,
        initramfs(SCRIPT, ["ata_piix", "sd_mod"]),
        firmware=firmware,
        settings={"accelerator": ACCELERATOR, "chardevs": "{serial0: {type: file, path: serial.out}}"},
        devices=["hd0: {type: ide-hd, drive: disk0}"],
        blockdevs=["disk0: {type: raw, path: disk.img, read_only: true}"],
    )
    machine = build(load(str(description)))
    ran = run_machine(machine, tmp_path / "serial.out", plan)
    text = said(Result(ran.output, ran.outcome.status, 0.0))
    assert answer(text, "disk") == f"{hashlib.sha256(DISK).hexdigest()}  -"
    assert re.findall("complaint: .*", text) == []
    if plan is ALONE:
        statistics = mapcache_of(machine)
        print(f"{statistics.hit_rate:.1%} of {statistics.hits + statistics.misses} accesses found their bucket mapped")
        assert statistics.evictions
        assert statistics.most_mapped <= MiB
    else:
        assert ran.swaps.count("xen") >= 3
