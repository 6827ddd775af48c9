"""Memory with a fault: `python -m tests.guests.stuck_bit DESCRIPTION` runs a machine with one bit that is always 1.

The device lies over one page of RAM, which it reads and writes; whatever it reads has the bit set.
"""

from __future__ import annotations

import sys

from southbridge import Device, MiB
from southbridge.builder import build
from southbridge.cli.run import run_built
from southbridge.construct import make_device
from southbridge.description import load
from southbridge.memory.ram import PAGE_SIZE
from southbridge.memory.regions import Io

PAGE = 10 * MiB
ADDRESS = PAGE + 0x123
BIT = 1 << 5


class StuckBit(Device):
    """The page with the bad byte."""

    def realize(self) -> None:
        """Lies above RAM."""
        page = Io(f"{self.id}.page", PAGE_SIZE, self.read, self.write, widths=(1, 2, 4, 8), owner=self)
        self.claim_memory(page, PAGE, priority=1)

    def read(self, offset: int, size: int) -> int:
        """What RAM has, with the bit set."""
        data = bytearray(self.machine.ram.view[PAGE + offset : PAGE + offset + size])
        at = ADDRESS - PAGE - offset
        if 0 <= at < size:
            data[at] |= BIT
        return int.from_bytes(data, "little")

    def write(self, offset: int, size: int, value: int) -> None:
        """To RAM."""
        self.machine.ram.view[PAGE + offset : PAGE + offset + size] = value.to_bytes(size, "little")


def main() -> None:
    """Runs the machine."""
    machine = build(load(sys.argv[1]))
    machine.plug(make_device(machine, StuckBit, "fault"))
    sys.exit(run_built(machine, reboot=True, id=None))


if __name__ == "__main__":
    main()
