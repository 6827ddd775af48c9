"""Prints each cost beside QEMU's: firmware's start, whole commands, guest accesses; KVM's too, if it is there."""

from __future__ import annotations

import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from rich.console import Console
from rich.table import Table

from . import core, exchange, graphics, iperf, kvm, linux, network, ours, packets, qemu, qtest, vnc, xen
from .processes import Watched, watch

RUNS = 7
BOOTED = b"No bootable device."
MARKS = [f"<{letter}>".encode() for letter in "abcde"]
COUNT = 200_000


def median(values: list[float]) -> float:
    return statistics.median(values)


def boot_times(table: Table, folder: Path) -> None:
    """From the first instruction to the firmware's last message; then the same as whole commands."""
    description = ours.description(folder)
    mine, theirs, command = [], [], []
    memory = 0
    for _ in range(RUNS):
        theirs.append(qemu.run([BOOTED]).seconds[BOOTED] * 1e3)
        mine.append(ours.machine_start(description, [BOOTED])[BOOTED] * 1e3)
        whole = watch([str(ours.program()), "run", str(description)], [BOOTED])
        command.append(whole.seconds[BOOTED] * 1e3)
        memory = max(memory, whole.memory.resident)
    row(table, 'SeaBIOS, machine start to "No bootable device."', median(mine), median(theirs), "ms")
    table.add_row("the same, whole command", f"{median(command):.0f} ms", "", "")
    table.add_row("resident memory, guest's 128 MiB included", f"{memory / 2**20:.0f} MiB", "", "")


def accesses(table: Table, folder: Path) -> None:
    """A boot sector's loops, from mark to mark."""
    image = folder / "access.img"
    source = Path(__file__).parent / "guests" / "access.asm"
    subprocess.run(["nasm", "-f", "bin", "-o", str(image), str(source)], check=True)
    mine: list[Watched] = []
    theirs: list[Watched] = []
    for _ in range(3):
        theirs.append(qemu.run(MARKS, "-drive", f"file={image},format=raw,snapshot=on"))
        mine.append(watch([str(ours.program()), "run", str(ours.description(folder, image))], MARKS))
    steps = [
        ("port read (IN from port 92h), with its loop", 0, COUNT, "us"),
        ("port write (OUT to port 70h), with its loop", 1, COUNT, "us"),
        ("three ALU instructions", 2, 100 * COUNT, "ns"),
        ("read-modify-write of memory, with its loop", 3, 20 * COUNT, "ns"),
    ]
    for name, step, count, unit in steps:
        scale = {"us": 1e6, "ns": 1e9}[unit] / count
        own, other = (median([between(w, step) for w in runs]) * scale for runs in (mine, theirs))
        row(table, name, own, other, unit)


def between(watched: Watched, step: int) -> float:
    return watched.seconds[MARKS[step + 1]] - watched.seconds[MARKS[step]]


def row(table: Table, name: str, own: float, other: float, unit: str) -> None:
    table.add_row(name, f"{own:.3g} {unit}", f"{other:.3g} {unit}", f"{own / other:.2f}")


def standing_still(*, with_kvm: bool) -> Table:
    """What is done between two instructions of the guest."""
    table = Table("256 MiB of memory", "Southbridge", title="while the guest stands still")
    with tempfile.TemporaryDirectory() as folder:
        for first, second in (("unicorn", "unicorn"), *((("unicorn", "kvm"),) if with_kvm else ())):
            for name, value in exchange.swap_times(Path(folder), first, second).items():
                table.add_row(f"accelerator exchanged, {name}", f"{value:.1f} ms")
        times = exchange.snapshot_times(Path(folder))
        table.add_row("snapshot saved", f"{times['save']:.0f} ms, a file of {times['MiB']:.0f} MiB")
        table.add_row("snapshot restored", f"{times['restore']:.0f} ms")
        if with_kvm:
            table.add_row("dirty log of 16 MiB, 480 dirty pages, KVM", f"{exchange.dirty_sync(Path(folder)):.1f} us")
    return table


def main() -> None:
    table = Table("", "Southbridge", "QEMU TCG", "ratio", title=f"median of runs, {time.strftime('%Y-%m-%d')}")
    inside = Table("", "Southbridge", title="inside the core")
    console = Console(width=110 if not sys.stdout.isatty() else None)
    with tempfile.TemporaryDirectory() as folder:
        boot_times(table, Path(folder))
        accesses(table, Path(folder))
    console.print(table)
    for name, cost in {**core.costs(), **network.costs()}.items():
        inside.add_row(name, f"{cost:.2f} us")
    console.print(inside)
    console.print(graphics.costs())
    for part in linux.compare():
        console.print(part)
    with tempfile.TemporaryDirectory() as folder:
        for part in packets.compare(Path(folder)):
            console.print(part)
    console.print(iperf.compare())
    with tempfile.TemporaryDirectory() as folder:
        console.print(xen.compare(Path(folder)))
    with tempfile.TemporaryDirectory() as folder:
        console.print(qtest.compare(Path(folder)))
        console.print(qtest.compare_starts(Path(folder)))
    with tempfile.TemporaryDirectory() as folder:
        console.print(vnc.compare(Path(folder)))
    missing = kvm.missing()
    if missing is not None:
        console.print(f"KVM is left out: {missing}")
    else:
        with tempfile.TemporaryDirectory() as folder:
            console.print(kvm.compare(Path(folder)))
    console.print(standing_still(with_kvm=missing is None))


main()
