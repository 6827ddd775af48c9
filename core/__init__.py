"""Southbridge: a PC device-model platform. What plugins import is here, and in the modules named here."""

from .accelerator import Accelerator, AcceleratorFailure, Availability, ExitReason, Vcpu
from .banks import MmioBank, PortBank
from .component import Component, Part, Parts, State, timer
from .device import Device
from .errors import (
    DescriptionError,
    GuestMemoryError,
    PluginError,
    RealizeError,
    SouthbridgeError,
)
from .hookspecs import hookimpl
from .interrupts import Pin, Wire
from .life import ResetReason, RunState, ShutdownReason
from .machine import Machine
from .pci import IoBar, MmioBar, Msi, PciBus, PciDevice, PciIds
from .properties import Configurable, FilePath, Link, Property, Size
from .registers import RC, RO, RW, W1C, WO, bit, bits
from .units import GiB, KiB, MiB
from .x86 import X86State

__version__ = "0.1.0"

__all__ = [
    "RC",
    "RO",
    "RW",
    "W1C",
    "WO",
    "Accelerator",
    "AcceleratorFailure",
    "Availability",
    "Component",
    "Configurable",
    "DescriptionError",
    "Device",
    "ExitReason",
    "FilePath",
    "GiB",
    "GuestMemoryError",
    "IoBar",
    "KiB",
    "Link",
    "Machine",
    "MiB",
    "MmioBank",
    "MmioBar",
    "Msi",
    "Part",
    "Parts",
    "PciBus",
    "PciDevice",
    "PciIds",
    "Pin",
    "PluginError",
    "PortBank",
    "Property",
    "RealizeError",
    "ResetReason",
    "RunState",
    "ShutdownReason",
    "Size",
    "SouthbridgeError",
    "State",
    "Vcpu",
    "Wire",
    "X86State",
    "__version__",
    "bit",
    "bits",
    "hookimpl",
    "timer",
]
