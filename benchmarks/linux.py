"""Debian's Linux beside QEMU's, the same kernel: from process start to /init, what memory that takes, and then work."""

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
QEMU = "QEMU"

WORK = {
    "100 000 turns of a shell's loop": "i=0; while [ $i -lt 100000 ]; do i=$((i+1)); done",
    "200 programs started by a shell": "i=0; while [ $i -lt 200 ]; do /bin/true; i=$((i+1)); done",
    "400 000 system calls (dd, a byte at a time)": "dd if=/dev/zero of=/dev/null bs=1 count=200000",
    "sha256sum of 32 MiB": "dd if=/dev/zero bs=1M count=32 | sha256sum",
    "find /sys /proc": "find /sys /proc -maxdepth 4",
}
_IDLE = "while true; do sleep 1000; done\n"


def compare() -> list[Table | str]:
    """The tables; or why there are none."""
    try:
        return [_boots(), _works()]
    except pytest.skip.Exception as reason:  # how the tests say that something can't be had
        return [f"Linux is left out: {reason}"]


def _boots() -> Table:
    table = Table("process start to /init", "Southbridge", "QEMU TCG", "ratio", title="Debian's Linux, 256 MiB")
    initrd = initramfs(_IDLE)
    memory: dict[str, Memory] = {}
    with tempfile.TemporaryDirectory() as folder:
        for name, cmdline in CMDLINES.items():
            commands = _commands(Path(folder), initrd, cmdline)
            runs: dict[str, list[Watched]] = {by: [] for by in commands}
            for _ in range(RUNS):  # in turn, so that what else the host does hits all
                for by, command in commands.items():
                    runs[by].append(watch(command, [UP], guest=MEMORY_MIB << 20))
            wall = {by: statistics.median(run.seconds[UP] for run in those) for by, those in runs.items()}
            cpu = {by: statistics.median(run.cpu[UP] for run in those) for by, those in runs.items()}
            for by, called in FIRMWARE.items():
                _row(table, f"{called}, {name}", wall[by], wall[QEMU], "s")
                _row(table, "its CPU time", cpu[by], cpu[QEMU], "s")
            memory = {by: max((run.memory for run in those), key=lambda it: it.beyond) for by, those in runs.items()}
    mine, theirs = memory["none"], memory[QEMU]
    _row(table, "memory at /init, guest's RAM not counted", mine.beyond / 1e6, theirs.beyond / 1e6, "MB")
    _row(table, "memory at most, guest's RAM included", mine.peak / 1e6, theirs.peak / 1e6, "MB")
    return table


def _works() -> Table:
    """By CPU time; a guest's own clock may have missed ticks."""
    steps = [f"echo work{number}.; ({command}) >/tmp/out 2>&1\n" for number, command in enumerate(WORK.values())]
    markers = [f"work{number}.".encode() for number in range(len(WORK) + 1)]
    initrd = initramfs("".join(steps) + f"echo work{len(WORK)}.\n" + _IDLE)
    table = Table("CPU time in user space", "Southbridge", "QEMU TCG", "ratio", title="Debian's Linux at work")
    with tempfile.TemporaryDirectory() as folder:
        commands = _commands(Path(folder), initrd, NO_ACPI)
        mine, theirs = (watch(commands[by], markers).cpu for by in ("none", QEMU))
    for number, name in enumerate(WORK):
        first, then = markers[number : number + 2]
        _row(table, name, mine[then] - mine[first], theirs[then] - theirs[first], "s")
    return table


def _commands(folder: Path, initrd: bytes, cmdline: str) -> dict[str, list[str]]:
    commands = {}
    settings = {"memory": f"{MEMORY_MIB}M"}
    for firmware in FIRMWARE:
        place = folder / f"{firmware}-{len(cmdline)}"
        place.mkdir()
        path = describe(place, initrd, cmdline=cmdline, firmware=firmware, settings=settings)
        commands[firmware] = [str(ours.program()), "run", str(path)]
    commands[QEMU] = qemu_command(place / "initrd.cpio", cmdline=cmdline, memory=f"{MEMORY_MIB}M")
    return commands


def _row(table: Table, name: str, own: float, other: float, unit: str) -> None:
    table.add_row(name, f"{own:.3g} {unit}", f"{other:.3g} {unit}", f"{own / other:.2f}")
