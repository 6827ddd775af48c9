"""SMBIOS tables: what a machine says of itself to firmware, operating systems and inventories."""

from .identity import Identity, wrong_text

__all__ = ["Identity", "wrong_text"]
