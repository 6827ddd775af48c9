"""query-pci."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, NotRequired, TypedDict

from ..pci import PciDevice
from ..pci.bus import PciBus
from ..pci.config import Bar, BarKind

if TYPE_CHECKING:
    from ..control.commands import Function
    from ..machine import Machine

CLASSES = {
    0x0101: "IDE controller",
    0x0106: "SATA controller",
    0x0200: "Ethernet controller",
    0x0300: "VGA controller",
    0x0600: "Host bridge",
    0x0601: "ISA bridge",
    0x0604: "PCI bridge",
    0x0680: "Bridge",
    0x0C03: "USB controller",
    0x0C05: "SMBus",
}
"""What people call them."""
UNPLACED = -1

PciId = TypedDict("PciId", {"vendor": int, "device": int, "subsystem-vendor": int, "subsystem": int})
"""Who made a function."""
PciClass = TypedDict("PciClass", {"class": int, "desc": NotRequired[str]})
"""What it is."""


class PciRegion(TypedDict):
    """What one of its base address registers places; sizes and addresses are in bytes."""

    bar: int
    type: Literal["io", "memory"]
    size: int
    address: int
    prefetch: NotRequired[bool]
    mem_type_64: NotRequired[bool]


class PciFunction(TypedDict):
    """A function of a card."""

    bus: int
    slot: int
    function: int
    qdev_id: str
    class_info: PciClass
    id: PciId
    irq_pin: int
    irq: NotRequired[int]
    regions: list[PciRegion]


class PciBusInfo(TypedDict):
    """A bus with what is on it."""

    bus: int
    devices: list[PciFunction]


class PciCommands:
    """PCI buses and what is on them."""

    def __init__(self, machine: Machine) -> None:
        self._machine = machine

    def commands(self) -> dict[str, Function]:
        """By name."""
        return {"query-pci": self.query_pci}

    def query_pci(self) -> list[PciBusInfo]:
        """Every bus with its functions, by slot."""
        with self._machine.lock:
            buses = [bus for bus in self._machine.buses.values() if isinstance(bus, PciBus)]
            return [
                {"bus": bus.number, "devices": [self._function(bus, device) for device in bus.devices()]}
                for bus in buses
            ]

    def _function(self, bus: PciBus, device: PciDevice) -> PciFunction:
        from ..qom.paths import device_name

        kind = device.config_read(0x0A, 2)
        about: PciClass = {"class": kind}
        if kind in CLASSES:
            about["desc"] = CLASSES[kind]
        pin = device.config_read(0x3D, 1)
        facts: PciFunction = {
            "bus": bus.number,
            "slot": device.slot,
            "function": device.function,
            "qdev_id": device_name(device.machine, device),
            "class_info": about,
            "id": {
                "vendor": device.config_read(0, 2),
                "device": device.config_read(2, 2),
                "subsystem-vendor": device.config_read(0x2C, 2),
                "subsystem": device.config_read(0x2E, 2),
            },
            "irq_pin": pin,
            "regions": [_region(device, bar) for bar in device.bars()],
        }
        if pin:
            facts["irq"] = device.config_read(0x3C, 1)
        return facts


def _region(device: PciDevice, bar: Bar) -> PciRegion:
    address = device.bar_address(bar)
    facts: PciRegion = {
        "bar": bar.index,
        "size": bar.size,
        "address": UNPLACED if address is None else address,
        "type": "io" if bar.kind is BarKind.IO else "memory",
    }
    if bar.kind is not BarKind.IO:
        facts["prefetch"] = bar.prefetchable
        facts["mem_type_64"] = bar.kind is BarKind.MEMORY_64
    return facts
