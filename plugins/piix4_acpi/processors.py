"""CPUs that are there, for a guest whose ACPI methods look here when event 2 happens.

Registers: QEMU's docs/specs/acpi_cpu_hotplug, in the older of its two forms, which Xen's firmware knows.
"""

from __future__ import annotations

from southbridge.banks import PortBank
from southbridge.component import Component

BASE, SIZE = 0xAF00, 32
EVENT = 2
"""Of the general purpose events: a CPU came."""
CPUS = 8 * SIZE
CAME, LEAVES = 1, 3
"""Of Notify: look there again; eject that."""


class Processors(Component):
    """A bit for each CPU, by its local APIC's number."""

    registers = PortBank(SIZE, doc="At AF00h.")
    PRESENT = registers.window(0, SIZE, widths=(1,), doc="The CPUs that are there, a bit each.")

    @PRESENT.read
    def _read(self, offset: int, size: int) -> int:
        plugged = self.device.machine.cpus.plugged
        return sum(1 << bit for bit in range(8) if 8 * offset + bit in plugged)

    @PRESENT.write
    def _write(self, offset: int, size: int, value: int) -> None:
        """QEMU's newer form, which this would choose, isn't there."""
        self.guest_error(f"{value:#x} written to the CPUs' bits at {BASE + offset:#x}, which can only be read")
