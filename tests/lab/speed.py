"""Our device model's speed beside QEMU's, in turn in the same boot: python -m tests.lab.speed [ROUNDS]."""

from __future__ import annotations

import sys
from statistics import median

from tests.lab.dom0 import results, run_in_dom0, said
from tests.lab.program import PROGRAM, QEMU, program_disks

NAMES = {QEMU: "QEMU", PROGRAM: "southbridge"}
MEASURED = ("xl create, s", "until the guest's first line, s", "requests a second")


def main() -> None:
    """Prints the median and the range of each."""
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 3
    text = said(run_in_dom0(f"exec ./speed.sh {rounds} {QEMU} {PROGRAM}", disks=program_disks(), patience_s=1800))
    found: dict[str, list[tuple[float, ...]]] = {}
    for line in results(text):
        *figures, model = line.split()
        if model in NAMES:
            found.setdefault(NAMES[model], []).append(tuple(map(float, figures)))
    medians = {}
    for name, rows in found.items():
        for measured, values in zip(MEASURED, zip(*rows, strict=True), strict=True):
            medians[name, measured] = median(values)
            print(f"{name:12} {measured:32} {median(values):10.2f}  ({min(values):.2f} to {max(values):.2f})")
    for measured in MEASURED:
        print(f"southbridge : QEMU {measured:32} {medians['southbridge', measured] / medians['QEMU', measured]:10.2f}")


if __name__ == "__main__":
    main()
