"""What VGA cards have in common: legacy ports and memory, video memory, a video BIOS, a console."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import ClassVar

from ..device import Device
from ..errors import RealizeError
from ..memory.ram import RamBlock
from ..memory.regions import Alias, Container, Ram
from ..pci import MemoryBar, PciDevice
from ..pci.option_rom import rom_region
from ..properties import Property
from ..units import KiB
from .memory import MAPS, WINDOW_SIZE, VgaMemory
from .modes import Mode
from .registers import COLOR, COMMON, MONO, Vga
from .rom import read_rom
from .screen import Screen

WINDOW = 0xA_0000
ROM_SIZE = 64 * KiB


class VgaAdapter(Device, ABC):
    """A card, on whatever bus. Its class has a part `vga`, and says how large the memory is and what mode it is in."""

    default_rom: ClassVar[str] = ""

    romfile: str | None = Property(None, doc='The video BIOS: a path, or the name of one that is installed; "": none.')

    vga: Vga
    screen: Screen

    # --- for cards ---------------------------------------------------------------------------------------------------

    @property
    @abstractmethod
    def vram_size(self) -> int:
        """How much video memory it has, in bytes."""

    @abstractmethod
    def find_mode(self) -> Mode:
        """What it shows now."""

    @abstractmethod
    def offer_rom(self, contents: bytes) -> None:
        """Has the firmware find the video BIOS."""

    def make_window(self) -> VgaWindow:
        """What answers at A0000h."""
        return VgaWindow(self)

    # --- life --------------------------------------------------------------------------------------------------------

    def realize(self) -> None:
        """Claims the legacy ranges, and makes memory and console."""
        name = self.default_rom if self.romfile is None else self.romfile
        contents = read_rom(self.id, name) if name else b""
        super().realize()
        block = RamBlock(f"{self.id}.vram", self.vram_size)
        self.vram = Ram(f"{self.id}.vram", block, owner=self)
        self.vga.memory = VgaMemory(self.vga, block)
        if contents:
            self.offer_rom(contents)
        for region, base in ((self.vga.mono, MONO), (self.vga.common, COMMON), (self.vga.color, COLOR)):
            self.claim_ports(region, base)
        self.window = self.make_window()
        self._claim(self.machine.bus_memory, self.window, WINDOW, "memory", 0)
        self.screen = Screen(self, self.vga, self.vram, self.find_mode)
        self.vga.changed = self.screen.touch
        self.vga.memory_path_changed = self.window.follow
        self.machine.consoles.append(self.screen.console)

    def unrealize(self) -> None:
        """Takes the console away."""
        if "screen" in vars(self):
            self.screen.close()
            self.machine.consoles = [it for it in self.machine.consoles if it is not self.screen.console]
        super().unrealize()

    def reset(self) -> None:
        """See Device."""
        super().reset()
        self.registers_changed()

    def loaded(self) -> None:
        """See Device."""
        super().loaded()
        self.registers_changed()

    def registers_changed(self) -> None:
        """Any register may have another value."""
        self.window.follow()
        self.screen.redraw()


class VgaCard(VgaAdapter, PciDevice):
    """A card on a PCI bus. Its video BIOS is behind a BAR."""

    rom = MemoryBar(ROM_SIZE, doc="The video BIOS.")

    def offer_rom(self, contents: bytes) -> None:
        """See VgaAdapter."""
        self.rom.add(0, rom_region(self, contents, ROM_SIZE))

    def _update_decoding(self) -> None:
        super()._update_decoding()
        if "window" in vars(self):
            self.window.enabled = bool(self.PCI_COMMAND.MEMORY)
        for region in (self.vga.mono, self.vga.common, self.vga.color):
            region.enabled = bool(self.PCI_COMMAND.IO)


class VgaIsaCard(VgaAdapter):
    """A card on the ISA bus. The firmware gets its video BIOS by fw_cfg."""

    def offer_rom(self, contents: bytes) -> None:
        """See VgaAdapter. Raises RealizeError if there is another such card."""
        try:
            self.machine.firmware_config.add_file(f"vgaroms/{self.default_rom}", contents)
        except ValueError as error:
            raise RealizeError(f"{self.id}: {error}") from None


class VgaWindow(Container):
    """The 128 KiB at A0000h: the card's memory by way of the graphics controller, or as it is."""

    def __init__(self, card: VgaAdapter) -> None:
        super().__init__(f"{card.id}.window", WINDOW_SIZE, card)
        self._card = card
        self._memory = card.vga.memory
        self.add(0, card.vga.window)
        self._linear = Alias(f"{card.id}.linear", card.vram, 0, MAPS[1][1], owner=card)
        self._linear.enabled = False
        self.add(0, self._linear, priority=1)

    def follow(self) -> None:
        """The registers changed."""
        memory = self._memory
        memory.changed()
        map = self._card.vga.GR06.MAP
        linear = memory.linear and map < 2 and bool(self._card.vga.MISC_OUTPUT.RAM)
        if not linear:
            self._linear.enabled = False
            return
        with self._card.machine.memory.transaction():
            self._linear.point(memory.bank)
            self._linear.enabled = True
