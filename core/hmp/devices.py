"""Words about devices: which there are, where, and those that come and go."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ..net import CardPort, format_mac
from ..pci import PciDevice
from ..qom.paths import type_name_of
from .line import Line
from .values import settings
from .word import Word

if TYPE_CHECKING:
    from ..device import Device
    from ..machine import Machine
    from .monitor import HumanMonitor

_SYSTEM = "main-system-bus"
_UNPLACED = -1


async def _device_add(monitor: HumanMonitor, line: Line) -> None:
    await monitor.qmp("device_add", **settings(line, "driver"))


async def _device_del(monitor: HumanMonitor, line: Line) -> None:
    id = line.word()
    line.end()
    await monitor.qmp("device_del", id=id)


async def _set_link(monitor: HumanMonitor, line: Line) -> str | None:
    name, state = line.word(), line.word()
    line.end()
    if state not in ("on", "off"):
        return f"{line.name}: 'on' or 'off' expected"
    await monitor.qmp("set_link", name=name, up=state == "on")
    return None


# --- what there is ---------------------------------------------------------------------------------------------------


def _tree(monitor: HumanMonitor, line: Line) -> str:
    line.end()
    machine = monitor.machine
    with machine.lock:
        buses: dict[str, list[Device]] = {_SYSTEM: [], **{name: [] for name in machine.buses}}
        for device in machine.devices.values():
            buses[_bus_of(machine, device)].append(device)
        return "\n".join(
            f"bus: {name}\n  type {_bus_type(machine, name)}" + "".join(_device(machine, device) for device in devices)
            for name, devices in buses.items()
        )


def _bus_of(machine: Machine, device: Device) -> str:
    bus = getattr(device, "bus", None)
    return next((name for name, found in machine.buses.items() if bus is not None and found is bus), _SYSTEM)


def _bus_type(machine: Machine, name: str) -> str:
    return "System" if name == _SYSTEM else type(machine.buses[name]).__name__.removesuffix("Bus")


def _device(machine: Machine, device: Device) -> str:
    lines = [f'  dev: {type_name_of(machine, device)}, id "{device.id}"']
    for name, spec in type(device).properties().items():
        if spec.section != "buses":
            lines.append(f"    {name} = {_value(getattr(device, name))}")
    if isinstance(device, PciDevice):
        vendor, product = device.config_read(0, 2), device.config_read(2, 2)
        lines.append(f"    addr {device.slot:02x}.{device.function}, pci id {vendor:04x}:{product:04x}")
    for component in (region for region in device.regions() if region.owner is device):
        lines.append(f"    bank {component.name} [{component.size:#x}]")
    return "\n" + "\n".join(lines)


def _value(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        return f"{value} ({value:#x})"
    if value is None:
        return "<null>"
    return f'"{getattr(value, "id", value)}"'


async def _pci(monitor: HumanMonitor, line: Line) -> str:
    line.end()
    lines: list[str] = []
    for bus in await monitor.qmp("query-pci"):
        for function in bus["devices"]:
            lines += _function(bus["bus"], function)
    return "\n".join(lines)


def _function(bus: int, function: Any) -> list[str]:
    about, ids = function["class_info"], function["id"]
    what = about.get("desc", f"Class {about['class']:04x}")
    lines = [
        f"  Bus {bus:2}, device {function['slot']:3}, function {function['function']}:",
        f"    {what}: PCI device {ids['vendor']:04x}:{ids['device']:04x}",
    ]
    if ids["subsystem-vendor"] or ids["subsystem"]:
        lines.append(f"      PCI subsystem {ids['subsystem-vendor']:04x}:{ids['subsystem']:04x}")
    if function["irq_pin"]:
        lines.append(f"      IRQ {function['irq']}, pin {'ABCD'[function['irq_pin'] - 1]}")
    for region in function["regions"]:
        address, size = region["address"], region["size"]
        last = address + size - 1 if address != _UNPLACED else size - 2
        address &= (1 << 64) - 1
        if region["type"] == "io":
            lines.append(f"      BAR{region['bar']}: I/O at 0x{address:04x} [0x{last:04x}].")
        else:
            kind = f"{64 if region['mem_type_64'] else 32} bit{' prefetchable' if region['prefetch'] else ''} memory"
            lines.append(f"      BAR{region['bar']}: {kind} at 0x{address:08x} [0x{last:08x}].")
    lines.append(f'      id "{function["qdev_id"]}"')
    return lines


def _network(monitor: HumanMonitor, line: Line) -> str:
    line.end()
    machine = monitor.machine
    lines: list[str] = []
    with machine.lock:
        netdevs = {id(backend): name for name, backend in machine.backends["netdevs"].items()}
        for device in machine.devices.values():
            if isinstance(getattr(device, "port", None), CardPort):
                mac = format_mac(getattr(device, "mac_address", b""))
                lines.append(f"{device.id}: index=0,type=nic,model={type_name_of(machine, device)},macaddr={mac}")
                backend = getattr(device, "netdev", None)
                if (name := netdevs.pop(id(backend), None)) is not None:
                    lines.append(f" \\ {name}: index=0,type={_backend_type(machine, name)}")
        lines += [f"{name}: index=0,type={_backend_type(machine, name)}" for name in netdevs.values()]
    return "\n".join(lines)


def _backend_type(machine: Machine, name: str) -> str:
    part = machine.part("netdevs", name)
    return "?" if part is None else part.type_name


def _show(monitor: HumanMonitor, line: Line) -> str:
    """Registers of one device, by bank."""
    from ..register_view import register_banks

    id = line.word("device expected")
    line.end()
    machine = monitor.machine
    device = machine.devices.get(id)
    if device is None:
        return f"Error: Device '{id}' not found"
    lines: list[str] = []
    with machine.lock:
        for name, registers in register_banks(device):
            lines.append(f"bank {name}")
            for register in registers:
                spec = register.spec
                lines.append(f"  {spec.offset:04x} {spec.name:12} = 0x{register.value:0{2 * spec.width}x}")
    return "\n".join(lines) or f"{id} has no registers"


def _usb(monitor: HumanMonitor, line: Line) -> str:
    line.end()
    machine = monitor.machine
    with machine.lock:
        found = [
            f"  Device 0.{number}, Port {number}, ID: {device.id}, Product {type_name_of(machine, device)}"
            for device in machine.devices.values()
            if (number := getattr(device, "port_number", 0))
        ]
    return "\n".join(found) or ("" if any("usb" in name for name in machine.buses) else "USB support not enabled")


_ADD = "add device, like -device on the command line"
WORDS = (
    Word(("device_add",), "driver[,prop=value][,...]", _ADD, _device_add, "drivers"),
    Word(("device_del",), "device", "remove device", _device_del, "devices"),
    Word(("set_link",), "name on|off", "change the link status of a network adapter", _set_link, "devices"),
)
TOPICS = (
    Word(("qtree",), "", "show device tree", _tree),
    Word(("pci",), "", "show PCI info", _pci),
    Word(("network",), "", "show the network state", _network),
    Word(("usb",), "", "show guest USB devices", _usb),
    Word(("device",), "device", "show a device's registers, by bank", _show, "devices"),
)
