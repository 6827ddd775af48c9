"""KVM beside QEMU with `-accel kvm`: the firmware's start, what an exit costs, and a doorbell that needs none.

In parentheses: the part of a plain write's cost.
"""

from __future__ import annotations

import statistics
from pathlib import Path

from rich.table import Table
from southbridge.builder import availability
from southbridge.discovery import load

from . import ours, qemu
from .processes import assembled

Pairs = list[tuple[float, float]]
"""Ours and QEMU's, in seconds."""

BOOTED = b"No bootable device."
MARKS = [f"<{letter}>".encode() for letter in "abcdefghijklmnop"]
COUNT = 20_000
RUNS = 5
STEPS = (
    "port read",
    "port write",
    "memory-mapped read",
    "memory-mapped write",
    "doorbell, by a port",
    "doorbell, in memory",
)
LOOP = len(STEPS)
"""The step after these: the loop alone, which isn't a part of their cost."""
PLAIN = {4: 1, 5: 3}
"""For a doorbell's step, that of a write to a plain register of its kind."""
RINGS = ((0, 0), (3, 8))
"""In which ring the guest does the steps, and the mark at which it begins with them."""


def missing() -> str | None:
    """Why KVM can't be used here, or None."""
    found = availability(load("accelerators", "kvm"))  # type: ignore[arg-type]
    return None if found.usable else found.reason


def compare(folder: Path) -> Table:
    """Runs the two in turn."""
    table = Table("", "Southbridge", "QEMU KVM", "ratio", title=f"KVM, median of {RUNS} runs")
    image = assembled(folder, "exits")
    firmware = ours.description(_folder(folder, "firmware"), accelerator="kvm")
    exits = ours.description(_folder(folder, "exits"), image, accelerator="kvm")
    drive = ("-drive", f"file={image},format=raw,snapshot=on")
    boots: Pairs = []
    accesses: list[tuple[dict[bytes, float], dict[bytes, float]]] = []
    for _ in range(RUNS):
        theirs = qemu.run([BOOTED], accelerator="kvm").seconds[BOOTED]
        boots.append((ours.machine_start(firmware, [BOOTED])[BOOTED], theirs))
        other = qemu.run(MARKS, *drive, "-device", "pci-testdev", accelerator="kvm").seconds
        accesses.append((ours.machine_start(exits, MARKS), other))
    _row(table, 'SeaBIOS, machine start to "No bootable device."', boots, 1e3, "ms")
    for ring, first in RINGS:
        costs = [[(_cost(own, first, step), _cost(other, first, step)) for own, other in accesses] for step in range(6)]
        for step, (name, pairs) in enumerate(zip(STEPS, costs, strict=True)):
            plain = costs[PLAIN[step]] if step in PLAIN else None
            _row(table, f"{name}, ring {ring}", pairs, 1e6, "us", plain)
    return table


def _folder(parent: Path, name: str) -> Path:
    folder = parent / name
    folder.mkdir()
    return folder


def _cost(seconds: dict[bytes, float], first: int, step: int) -> float:
    """Seconds of one turn of the loop of step `step` of those that begin with mark `first`, without the loop itself."""
    begin, loop = first + step, first + LOOP
    turns = seconds[MARKS[begin + 1]] - seconds[MARKS[begin]]
    return (turns - (seconds[MARKS[loop + 1]] - seconds[MARKS[loop]])) / COUNT


def _row(table: Table, name: str, pairs: Pairs, scale: float, unit: str, plain: Pairs | None = None) -> None:
    """Ours and QEMU's, and what part of `plain`, if given, it is."""
    own, other = _medians(pairs)
    part = [
        "" if plain is None else f" ({value / base:.2f})"
        for value, base in zip((own, other), _medians(plain or pairs), strict=True)
    ]
    table.add_row(
        name, f"{own * scale:.4g} {unit}{part[0]}", f"{other * scale:.4g} {unit}{part[1]}", f"{own / other:.2f}"
    )


def _medians(pairs: Pairs) -> tuple[float, float]:
    return statistics.median(own for own, _ in pairs), statistics.median(other for _, other in pairs)
