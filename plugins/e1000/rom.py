"""The card's option ROM: iPXE, which boots from the network, if it is installed."""

from __future__ import annotations

from southbridge.errors import RealizeError
from southbridge.pci import MemoryBar
from southbridge.pci.option_rom import find_rom, read_rom, rom_region
from southbridge.properties import Property
from southbridge.units import KiB

from .tables import Tables

FOLDERS = ("/usr/lib/ipxe/qemu", "/usr/share/qemu", "/usr/lib/ipxe")
"""Where distributions keep them."""
ROM_SIZE = 128 * KiB


class WithRom(Tables):
    """What boots from it, and its place in the boot order."""

    default_rom = ""
    """The name of the ROM for this card's IDs, which isn't missed if it isn't installed."""

    rom = MemoryBar(ROM_SIZE, doc="The option ROM.")

    romfile: str | None = Property(
        None,
        doc="The option ROM: a path, or the name of one that is installed; empty: none. By default iPXE's, if any.",
    )
    bootindex: int | None = Property(None, ge=0, doc="Its place in the firmware's boot order.")

    _in_boot_order = False

    def realize(self) -> None:
        """Puts the ROM's contents into it. Raises RealizeError for one that was asked for and can't be had."""
        contents = self._rom_contents()
        super().realize()
        if contents:
            self.rom.add(0, rom_region(self, contents, ROM_SIZE))
        if self.bootindex is not None:
            try:
                self.machine.firmware_config.add_boot_device(self.bootindex, self._path())
            except ValueError as error:
                raise RealizeError(f"{self.id}: {error}") from None
            self._in_boot_order = True

    def unrealize(self) -> None:
        """Its place in the boot order is free again."""
        if self._in_boot_order and self.bootindex is not None:
            self._in_boot_order = False
            self.machine.firmware_config.remove_boot_device(self.bootindex)
        super().unrealize()

    def _rom_contents(self) -> bytes:
        name = self.romfile
        if name is None:
            name = self.default_rom if find_rom(self.default_rom, FOLDERS) else ""
        if not name:
            return b""
        return read_rom(self.id, name, kind="network boot ROM", folders=FOLDERS, package="ipxe-qemu", largest=ROM_SIZE)

    def _path(self) -> str:
        place = f"{self.slot:x}" + (f",{self.function:x}" if self.function else "")
        return f"/pci@i0cf8/ethernet@{place}/ethernet-phy@0"
