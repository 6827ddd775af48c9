"""Debian's Linux from process start to /init, and what memory that takes: ours beside QEMU's, the same kernel."""

from __future__ import annotations

import statistics
import tempfile
from pathlib import Path

import pytest
from rich.table import Table

from tests.linux.guest import CMDLINE, NO_ACPI, describe, qemu_command
from tests.linux.initramfs import UP, initramfs

from . import ours
from .processes import Memory, Watched, watch

RUNS = 3
MEMORY_MIB = 256
FIRMWARE = {"none": "no firmware", "rom": "SeaBIOS"}
CMDLINES = {"acpi=off": NO_ACPI, "with ACPI": CMDLINE}


def compare() -> Table | str:
    """The table; or why there is none."""
    try:
        initrd = initramfs("while true; do sleep 1000; done\n")
    except pytest.skip.Exception as reason:  # how the tests say that something can't be had
        return f"Linux is left out: {reason}"
    table = Table("process start to /init", "Southbridge", "QEMU TCG", "ratio", title="Debian's Linux, 256 MiB")
    memory: dict[str, Memory] = {}
    with tempfile.TemporaryDirectory() as folder:
        for name, cmdline in CMDLINES.items():
            machines = {ours_by: _description(Path(folder), ours_by, cmdline, initrd) for ours_by in FIRMWARE}
            commands = {by: [str(ours.program()), "run", str(path)] for by, path in machines.items()}
            commands["QEMU"] = qemu_command(machines["none"].parent / "initrd.cpio", cmdline=cmdline)
            runs: dict[str, list[Watched]] = {by: [] for by in commands}
            for _ in range(RUNS):  # in turn, so that what else the host does hits all
                for by, command in commands.items():
                    runs[by].append(watch(command, [UP], guest=MEMORY_MIB << 20))
            seconds = {by: statistics.median(run.seconds[UP] for run in those) for by, those in runs.items()}
            for by, called in FIRMWARE.items():
                ratio = f"{seconds[by] / seconds['QEMU']:.2f}"
                table.add_row(f"{called}, {name}", f"{seconds[by]:.2f} s", f"{seconds['QEMU']:.2f} s", ratio)
            memory |= {by: max((run.memory for run in those), key=lambda it: it.beyond) for by, those in runs.items()}
    for what in ("beyond", "peak"):
        mine, theirs = (getattr(memory[by], what) / 1e6 for by in ("none", "QEMU"))
        names = {"beyond": "memory at /init, guest's RAM not counted", "peak": "memory at most, guest's RAM included"}
        table.add_row(names[what], f"{mine:.0f} MB", f"{theirs:.0f} MB", f"{mine / theirs:.2f}")
    return table


def _description(folder: Path, firmware: str, cmdline: str, initrd: bytes) -> Path:
    place = folder / f"{firmware}-{'acpi' if cmdline == CMDLINE else 'plain'}"
    place.mkdir()
    settings = {"memory": f"{MEMORY_MIB}M"}
    return describe(place, initrd, cmdline=cmdline, firmware=firmware, settings=settings)
