"""Southbridge: a PC device-model platform. What plugins import is here, and in the modules named here.

Each name's module is imported when the name is first asked for, so that a command that runs no machine is quick.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
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

_NAMES = {
    "accelerator": ("Accelerator", "AcceleratorFailure", "Availability", "ExitReason", "Vcpu"),
    "banks": ("MmioBank", "PortBank"),
    "component": ("Component", "Part", "Parts", "State", "timer"),
    "device": ("Device",),
    "errors": ("DescriptionError", "GuestMemoryError", "PluginError", "RealizeError", "SouthbridgeError"),
    "hookspecs": ("hookimpl",),
    "interrupts": ("Pin", "Wire"),
    "life": ("ResetReason", "RunState", "ShutdownReason"),
    "machine": ("Machine",),
    "pci": ("IoBar", "MmioBar", "Msi", "PciBus", "PciDevice", "PciIds"),
    "properties": ("Configurable", "FilePath", "Link", "Property", "Size"),
    "registers": ("RC", "RO", "RW", "W1C", "WO", "bit", "bits"),
    "units": ("GiB", "KiB", "MiB"),
    "x86": ("X86State",),
}
"""By module: what `import_module` is called for; the same as type checkers are told above."""

_MODULES = {name: module for module, names in _NAMES.items() for name in names}

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

if not TYPE_CHECKING:  # or they would take any name for one that there is

    def __getattr__(name: str) -> Any:
        module = _MODULES.get(name)
        if module is None:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        value = globals()[name] = getattr(import_module(f".{module}", __name__), name)
        return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
