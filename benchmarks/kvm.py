"""KVM beside QEMU with `-accel kvm`: the firmware's start, what an exit costs, and a doorbell that needs none."""

from __future__ import annotations

import statistics
import subprocess
from pathlib import Path

from rich.table import Table
from southbridge.builder import availability
from southbridge.discovery import load

from . import ours, qemu

BOOTED = b"No bootable device."
MARKS = [f"<{letter}>".encode() for letter in "abcdefg"]
COUNT = 20_000
RUNS = 5
STEPS = (
    "port read, with its loop",
    "port write, with its loop",
    "memory-mapped read, with its loop",
    "memory-mapped write (to the ROM), with its loop",
    "doorbell write, with its loop",
    "write to a plain register, with its loop",
)
DOORBELL, PLAIN = 4, 5


def missing() -> str | None:
    """Why KVM can't be used here, or None."""
    found = availability(load("accelerators", "kvm"))  # type: ignore[arg-type]
    return None if found.usable else found.reason


def compare(folder: Path) -> Table:
    """Runs the two in turn."""
    table = Table("", "Southbridge", "QEMU KVM", "ratio", title=f"KVM, median of {RUNS} runs")
    image = folder / "exits.img"
    source = Path(__file__).parent / "guests" / "exits.asm"
    subprocess.run(["nasm", "-f", "bin", "-o", str(image), str(source)], check=True)
    firmware = ours.description(_folder(folder, "firmware"), accelerator="kvm")
    exits = ours.description(_folder(folder, "exits"), image, accelerator="kvm")
    drive = ("-drive", f"file={image},format=raw,snapshot=on")
    boots: list[tuple[float, float]] = []
    costs: list[list[tuple[float, float]]] = [[] for _ in STEPS]
    for _ in range(RUNS):
        boot = qemu.run([BOOTED], accelerator="kvm").seconds[BOOTED]
        boots.append((ours.machine_start(firmware, [BOOTED])[BOOTED], boot))
        theirs = qemu.run(MARKS, *drive, accelerator="kvm").seconds
        mine = ours.machine_start(exits, MARKS)
        for step, pairs in enumerate(costs):
            pairs.append((_cost(mine, step), _cost(theirs, step)))
    _row(table, 'SeaBIOS, machine start to "No bootable device."', boots, 1e3, "ms")
    for step, (name, pairs) in enumerate(zip(STEPS, costs, strict=True)):
        if step == DOORBELL:
            own = statistics.median(pair[0] for pair in pairs)
            plain = statistics.median(pair[0] for pair in costs[PLAIN])
            table.add_row(name, f"{own * 1e6:.2f} us", "", f"{own / plain:.2f} of a plain one")
        else:
            _row(table, name, pairs, 1e6, "us")
    return table


def _folder(parent: Path, name: str) -> Path:
    folder = parent / name
    folder.mkdir()
    return folder


def _cost(seconds: dict[bytes, float], step: int) -> float:
    """Seconds of one turn of a loop."""
    return (seconds[MARKS[step + 1]] - seconds[MARKS[step]]) / COUNT


def _row(table: Table, name: str, pairs: list[tuple[float, float]], scale: float, unit: str) -> None:
    own, other = (statistics.median(column) for column in zip(*pairs, strict=True))
    table.add_row(name, f"{own * scale:.4g} {unit}", f"{other * scale:.4g} {unit}", f"{own / other:.2f}")
