"""Intel 82371SB PIIX3, PCI ISA IDE Xcelerator: south bridge and IDE controller; see README.md."""

from .device import Piix3
from .ide import Piix3Ide

__all__ = ["Piix3", "Piix3Ide"]
