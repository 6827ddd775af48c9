"""What QOM calls types: of devices, buses, back ends, and of the machine."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ..qemu_system.qdev import NAMES
from ..qmp.target import VERSIONED

if TYPE_CHECKING:
    from ..machine import Machine

_ALIASES = {"isa-pvpanic", "e1000-82540em"}
"""Options know them, QOM doesn't."""
_QOM_NAMES = {ours: name for name, ours in reversed(NAMES.items()) if name not in _ALIASES}
_BUSES = {"Pci": "PCI", "Ide": "IDE", "Usb": "usb-bus", "Smbus": "i2c-bus", "Floppy": "floppy-bus", "IsaDma": "isa-dma"}


def qom_name(type_name: str) -> str:
    """Of our type of device."""
    return _QOM_NAMES.get(type_name, type_name)


def bus_type(bus: Any) -> str:
    """Of a bus."""
    name = type(bus).__name__.removesuffix("Bus")
    return _BUSES.get(name, name.lower())


def machine_type(machine: Machine) -> str:
    """Of a machine."""
    accelerator = machine.accelerator
    if not machine.buses:
        return "none-machine"
    return f"{VERSIONED['xenfv' if accelerator is not None and accelerator.name == 'xen' else 'pc']}-machine"
