"""SMBIOS tables: what a machine says of itself to firmware, operating systems and inventories."""

from .build import Smbios, SmbiosError, build, pieces
from .identity import Identity, wrong_text

__all__ = ["Identity", "Smbios", "SmbiosError", "build", "pieces", "wrong_text"]
