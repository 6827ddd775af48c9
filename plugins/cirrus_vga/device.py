"""The cards: the chip on a PCI bus, and on the ISA bus."""

from __future__ import annotations

from southbridge.banks import MmioBank
from southbridge.memory.regions import Alias
from southbridge.pci import MemoryBar, MmioBar, PciIds
from southbridge.units import MiB
from southbridge.vga import VgaCard, VgaIsaCard

from .chip import CirrusChip
from .registers import ISA_BUS, MAPPED, MEMORY, MMIO_SIZE

BLIT_WINDOW = 16 * MiB
"""Where in BAR 0 data for the blitter may go."""


class CirrusVga(CirrusChip, VgaCard):
    """1013:00b8, a CL-GD5446: a VGA with packed modes, a blitter and a hardware cursor."""

    ids = PciIds(0x1013, 0x00B8, class_code=0x03_0000, subsystem_vendor=0x1AF4, subsystem=0x1100)

    bar0 = MemoryBar(32 * MiB, prefetchable=True, doc="Video memory, and from 16 MiB on data for the blitter.")
    bar1 = MmioBar(4096, doc="Ports 3C0h to 3DBh, and the blitter's registers.")
    legacy = bar1.window(0x00, 0x1C, widths=(1,), doc="Ports 3C0h to 3DBh.")
    blits = bar1.window(0x100, MMIO_SIZE, widths=(1,), doc="The blitter's registers.")
    aperture = MmioBank(MEMORY, doc="Video memory, where it isn't just memory.")
    linear = aperture.window(0, MEMORY, widths=(1, 2, 4, 8), coalesced=True, doc="By way of the write modes.")
    blit_data = MmioBank(BLIT_WINDOW, doc="In BAR 0, from 16 MiB on.")
    system = blit_data.window(
        0, BLIT_WINDOW, widths=(1, 2, 4, 8), coalesced=True, doc="What the CPU gives the blitter."
    )

    def realize(self) -> None:
        """See VgaAdapter."""
        super().realize()
        self.bar0.add(0, self.aperture)
        self._linear = Alias(f"{self.id}.linear", self.vram, 0, MEMORY, owner=self)
        self.bar0.add(0, self._linear, priority=1)
        self.bar0.add(BLIT_WINDOW, self.blit_data)

    def path_changed(self) -> None:
        """See CirrusChip."""
        with self.machine.memory.transaction():
            self._linear.enabled = self.is_plain and self.vga.SR17.value & MAPPED != MAPPED
            super().path_changed()

    @linear.read
    def _read_linear(self, offset: int, size: int) -> int:
        if self._is_mmio(offset):
            return self.read_blitter(offset & MMIO_SIZE - 1, size)
        return self.vga.packed.read(offset, size)

    @linear.write
    def _write_linear(self, offset: int, size: int, value: int) -> None:
        if self._is_mmio(offset):
            self.write_blitter(offset & MMIO_SIZE - 1, size, value)
        else:
            self.vga.packed.write(offset, size, value)

    def _is_mmio(self, offset: int) -> bool:
        return offset >= MEMORY - MMIO_SIZE and self.vga.SR17.value & MAPPED == MAPPED

    @system.read
    def _read_system(self, offset: int, size: int) -> int:
        return self.blitter.take(size) if self.blitter.gives else (1 << 8 * size) - 1

    @system.write
    def _write_system(self, offset: int, size: int, value: int) -> None:
        if self.blitter.takes:
            self.blitter.give(size, value)

    @legacy.read
    def _read_legacy(self, offset: int, size: int) -> int:
        return self.vga.read_port(offset, size)

    @legacy.write
    def _write_legacy(self, offset: int, size: int, value: int) -> None:
        self.vga.write_port(offset, size, value)

    @blits.read
    def _read_blits(self, offset: int, size: int) -> int:
        return self.read_blitter(offset, size)

    @blits.write
    def _write_blits(self, offset: int, size: int, value: int) -> None:
        self.write_blitter(offset, size, value)


class IsaCirrusVga(CirrusChip, VgaIsaCard):
    """The same chip as an ISA card: its memory is reached at A0000h only, by banks."""

    def reset(self) -> None:
        """See Device."""
        super().reset()
        self.vga.SR17.BUS = ISA_BUS
