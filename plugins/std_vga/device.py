"""QEMU's standard VGA card (docs/specs/standard-vga): a VGA, Bochs' VBE extensions, its memory behind BAR 0."""

from __future__ import annotations

from typing import ClassVar

from southbridge.banks import PortBank
from southbridge.component import Part, State
from southbridge.display.edid import LARGEST_SIDE, edid
from southbridge.errors import RealizeError
from southbridge.pci import MemoryBar, MmioBar, PciIds
from southbridge.properties import Property
from southbridge.registers import RO
from southbridge.units import MiB
from southbridge.vga import Mode, Vga, VgaCard, vga_mode

from .dispi import Dispi

DISPI_PORT = 0x1CE
LITTLE_ENDIAN = 0x1E1E_1E1E
DEFAULT_SIZE = 16
EDID_WINDOW = 0x400


class StdVga(VgaCard):
    """1234:1111, a VGA with linear modes of any size."""

    ids = PciIds(0x1234, 0x1111, class_code=0x03_0000, revision=2, subsystem_vendor=0x1AF4, subsystem=0x1100)
    default_rom: ClassVar[str] = "vgabios-stdvga.bin"

    vgamem_mb: int = Property(DEFAULT_SIZE, ge=1, le=256, doc="Video memory in MiB; made a power of two.")

    edid: bool = Property(True, doc="A monitor that tells what it can show: EDID, in BAR 2.")
    xres: int = Property(1280, ge=640, le=LARGEST_SIDE, doc="The width that the monitor prefers, in pixels.")
    yres: int = Property(800, ge=480, le=LARGEST_SIDE, doc="And the height.")

    bar0 = MemoryBar(DEFAULT_SIZE * MiB, prefetchable=True, doc="Video memory.")
    bar2 = MmioBar(4096, doc="The same registers that ports lead to.")
    monitor = bar2.window(0, EDID_WINDOW, widths=(1, 2, 4), doc="EDID, and ones.")
    legacy = bar2.window(0x400, 0x1C, widths=(1,), doc="Ports 3C0h to 3DBh.")
    dispi_words = bar2.window(0x500, 0x16, widths=(2,), doc="The VBE extensions' registers, without an index.")
    EXTENDED_SIZE = bar2.register(0x600, 4, reset=8, access=RO, doc="How many bytes there are from here on.")
    BYTE_ORDER = bar2.register(0x604, 4, reset=LITTLE_ENDIAN, access=RO, doc="Of the memory: little-endian.")

    dispi_ports = PortBank(3, doc="At 1CEh: the VBE extensions' index, and their data at an odd port.")
    DISPI_LOW = dispi_ports.register(1, doc="The register that DISPI_INDEX chooses, bits 7:0: kept until DISPI_HIGH.")
    DISPI_HIGH = dispi_ports.register(2, doc="Bits 15:8.")
    DISPI_INDEX = dispi_ports.register(0, 2, doc="Which register the data are.")

    vga: Vga = Part(Vga)
    dispi: Dispi = Part(Dispi)
    low: int = State(0, ge=0, le=0xFF, doc="What was written to DISPI_LOW.")

    @property
    def vram_size(self) -> int:
        """See VgaCard."""
        return (1 << (self.vgamem_mb - 1).bit_length()) * MiB

    def realize(self) -> None:
        """See VgaCard."""
        try:
            told = edid(self.xres, self.yres) if self.edid else b""
        except ValueError as error:
            raise RealizeError(f"{self.id}: EDID of a monitor of {error}") from None
        self._edid = told.ljust(EDID_WINDOW, b"\xff")
        self.resize_bar("bar0", self.vram_size)
        super().realize()
        self.claim_ports(self.dispi_ports, DISPI_PORT)
        self.bar0.add(0, self.vram)
        dispi = self.dispi
        dispi.vga, dispi.vram_size, dispi.clear = self.vga, self.vram_size, self._clear
        dispi.changed, dispi.bank_changed = self.screen.touch, self._bank_changed
        dispi.MEMORY_64K.value = self.vram_size >> 16

    def find_mode(self) -> Mode:
        """See VgaCard."""
        return self.dispi.mode() or vga_mode(self.vga)

    def registers_changed(self) -> None:
        """See VgaCard."""
        self.vga.dac_bits = 8 if self.dispi.ENABLE.DAC_8_BITS else 6
        self.vga.memory.bank = self.dispi.bank if self.dispi.ENABLE.ENABLED else 0
        super().registers_changed()

    def _bank_changed(self) -> None:
        self.vga.memory.bank = self.dispi.bank if self.dispi.ENABLE.ENABLED else 0
        self.window.follow()

    def _clear(self, size: int) -> None:
        block = self.vram.block
        block.view[:size] = bytes(size)
        block.mark_dirty(0, size)

    # --- the ways to the registers -----------------------------------------------------------------------------------

    @monitor.read
    def _read_monitor(self, offset: int, size: int) -> int:
        return int.from_bytes(self._edid[offset : offset + size], "little")

    @monitor.write
    def _write_monitor(self, offset: int, size: int, value: int) -> None:
        pass

    @legacy.read
    def _read_legacy(self, offset: int, size: int) -> int:
        return self.vga.read_port(offset, size)

    @legacy.write
    def _write_legacy(self, offset: int, size: int, value: int) -> None:
        self.vga.write_port(offset, size, value)

    @dispi_words.read
    def _read_word(self, offset: int, size: int) -> int:
        return self.dispi.numbers.read(offset, 2)

    @dispi_words.write
    def _write_word(self, offset: int, size: int, value: int) -> None:
        self.dispi.numbers.write(offset, 2, value)

    def _read_chosen(self) -> int:
        index = self.DISPI_INDEX.value
        return self.dispi.numbers.read(2 * index, 2) if index < 0x80 else 0

    @DISPI_LOW.read
    def _read_low(self) -> int:
        return self._read_chosen() & 0xFF

    @DISPI_HIGH.read
    def _read_high(self) -> int:
        return self._read_chosen() >> 8

    @DISPI_LOW.write
    def _write_low(self, value: int) -> None:
        self.low = value

    @DISPI_HIGH.write
    def _write_high(self, value: int) -> None:
        index = self.DISPI_INDEX.value
        if index < 0x80:
            self.dispi.numbers.write(2 * index, 2, value << 8 | self.low)
