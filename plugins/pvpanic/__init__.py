"""How a guest says that it has panicked: see README.md."""

from .isa import Pvpanic
from .pci import PvpanicPci

__all__ = ["Pvpanic", "PvpanicPci"]
