"""Intel 82371AB (PIIX4) function 3: power management, and the ACPI hot plug of PCI slots."""

from .device import Piix4Acpi

__all__ = ["Piix4Acpi"]
