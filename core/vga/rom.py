"""Video BIOSes: option ROMs on a card, which firmware starts before everything else."""

from __future__ import annotations

from ..pci import option_rom
from ..units import KiB

FOLDERS = ("/usr/share/seabios", "/usr/share/qemu", "/usr/share/vgabios")
"""Where distributions keep them."""
LARGEST = 64 * KiB


def read_rom(id: str, image: str) -> bytes:
    """The contents of `image`, a path, or the name of an installed one, for the device `id`. Raises RealizeError."""
    return option_rom.read_rom(id, image, kind="video BIOS", folders=FOLDERS, package="seabios", largest=LARGEST)
