"""PCI: buses, devices, configuration space, message signalled interrupts."""

from .bus import PciBus
from .config import CONFIG, Bar, BarKind, IoBar, MemoryBar, MmioBar, PciIds
from .device import PciAddress, PciDevice, PciInterrupt
from .msi import Msi
from .power_management import PowerManagement

__all__ = [
    "CONFIG",
    "Bar",
    "BarKind",
    "IoBar",
    "MemoryBar",
    "MmioBar",
    "Msi",
    "PciAddress",
    "PciBus",
    "PciDevice",
    "PciIds",
    "PciInterrupt",
    "PowerManagement",
]
