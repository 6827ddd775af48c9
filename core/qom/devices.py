"""Devices, buses and CPUs as objects."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from ..control.commands import CommandError
from ..net.address import format_mac
from ..pci import PciDevice
from ..qmp.cpus import cpu_driver
from ..register_view import register_banks
from .nodes import Entry, Node, child, link
from .paths import cpu_path, device_name, device_path, type_name_of
from .type_names import bus_type, qom_name
from .values import entries

if TYPE_CHECKING:
    from ..component import Component
    from ..device import Device
    from ..machine import Machine
    from ..registers import Register

REGISTERS = "registers"
_UINTS = {1: "uint8", 2: "uint16", 4: "uint32", 8: "uint64"}


class Devices:
    """Makes the objects of one machine's. `root` gives the tree that links lead into."""

    def __init__(self, machine: Machine, root: Node) -> None:
        self._machine = machine
        self._root = root

    def cpu(self, index: int) -> Node:
        """CPU number `index`."""
        at = self._machine.cpus.place(index)
        place: dict[str, Entry] = {
            "realized": Entry("bool", lambda: True),
            "hotplugged": Entry("bool", lambda: bool(self._machine.cpus.plugged.get(index))),
            "hotpluggable": Entry("bool", lambda: True),
            "socket-id": Entry("int32", lambda: at.socket),
            "core-id": Entry("int32", lambda: at.core),
            "thread-id": Entry("int32", lambda: at.thread),
        }
        return Node(cpu_path(self._machine, index), cpu_driver(self._machine), lambda: place)

    def device(self, device: Device) -> Node:
        """A device."""
        machine = self._machine
        kind = qom_name(type_name_of(machine, device))
        return Node(device_path(machine, device), kind, lambda: self._device(device, kind))

    def _device(self, device: Device, kind: str) -> dict[str, Entry]:
        machine = self._machine
        path = device_path(machine, device)
        name = device_name(machine, device)
        called = f"device '{name}'" if name else "anonymous device"

        def refusal(property: str) -> str:
            return f"Attempt to set property '{property}' on {called} (type '{kind}') after it was realized"

        found: dict[str, Entry] = {}
        bus = next((one for one in machine.buses.values() if _is_on(device, one)), None)
        if bus is not None:
            found["parent_bus"] = link("bus", self.bus_path(bus), lambda: self._root)
        found["realized"] = Entry("bool", lambda: True)
        found["hotplugged"] = Entry("bool", lambda: device.id in machine.hotplug.came_later)
        found["hotpluggable"] = Entry("bool", lambda: device.hotpluggable)
        found |= entries(machine, device, refusal)
        if isinstance(address := getattr(device, "mac_address", None), bytes):
            found["mac"] = found["mac"]._replace(get=partial(format_mac, address))
        if isinstance(device, PciDevice):
            number = device.slot << 3 | device.function
            place = f"{device.slot:02x}.{device.function}"
            found["addr"] = Entry("int32", lambda: number, partial(_refuse, refusal("addr")))
            found["legacy-addr"] = Entry("str", lambda: place)
        found |= {
            name: child(self._bus(f"{path}/{name}", bus))
            for name, bus in machine.buses.items()
            if self._owner(bus) is device
        }
        registers = _registers(device, f"{path}/{REGISTERS}")
        return found | ({REGISTERS: child(registers)} if registers is not None else {})

    # --- buses -------------------------------------------------------------------------------------------------------

    def bus_path(self, bus: Any) -> str:
        """Where a bus is: in the device that has it."""
        name = next((name for name, other in self._machine.buses.items() if other is bus), "")
        owner = self._owner(bus)
        return f"{device_path(self._machine, owner)}/{name}" if owner is not None else ""

    def _owner(self, bus: Any) -> Device | None:
        """The device, or a part of one, that holds the bus without being on it."""
        for device in self._machine.devices.values():
            if not _is_on(device, bus) and any(_holds(part, bus) for part in device.components()):
                return device
        return None

    def _bus(self, path: str, bus: Any) -> Node:
        machine = self._machine

        def members() -> dict[str, Entry]:
            there = [device for device in machine.devices.values() if _is_on(device, bus)]
            return {"realized": Entry("bool", lambda: True)} | {
                f"child[{number}]": link(
                    qom_name(type_name_of(machine, device)), device_path(machine, device), lambda: self._root
                )
                for number, device in enumerate(there)
            }

        return Node(path, bus_type(bus), members)


def _is_on(device: Device, bus: Any) -> bool:
    """Whether it was plugged into that bus, rather than having it."""
    return "bus" in type(device).properties() and getattr(device, "bus", None) is bus


def _holds(component: Component, bus: Any) -> bool:
    for value in vars(component).values():
        if value is bus or (isinstance(value, list | tuple) and any(item is bus for item in value)):
            return True
    return False


def _refuse(message: str, value: Any) -> None:
    raise CommandError(message)


# --- registers -------------------------------------------------------------------------------------------------------


def _registers(device: Device, path: str) -> Node | None:
    """A device's registers; None: it has none."""
    banks = {name: _bank(device, f"{path}/{name}", registers) for name, registers in register_banks(device)}
    return Node(path, REGISTERS, lambda: {name: child(bank) for name, bank in banks.items()}) if banks else None


def _bank(device: Device, path: str, registers: list[Register]) -> Node:
    """They are read from the outside, so that nothing changes by it; one is written as the guest would."""

    def entry(register: Register) -> Entry:
        spec = register.spec
        kind = _UINTS.get(spec.width, "int")
        change = partial(_write, device, register) if spec.writable else None
        return Entry(kind, lambda: register.value, change, doc=spec.doc)

    return Node(path, "register-bank", lambda: {register.spec.name: entry(register) for register in registers})


def _write(device: Device, register: Register, value: Any) -> None:
    spec = register.spec
    if type(value) is not int:
        raise CommandError(f"Invalid parameter type for '{spec.name}', expected: integer")
    if not 0 <= value <= spec.mask:
        raise CommandError(f"Parameter '{spec.name}' expects {_UINTS.get(spec.width, 'int')}")
    component = next(part for part in device.components() if vars(part).get(spec.name) is register)
    bank = vars(component)[spec.bank.name]
    size = spec.width if spec.width in spec.widths else max(spec.widths)
    for offset in range(0, spec.width, size):
        bank.write(spec.offset + offset, size, value >> 8 * offset & ((1 << 8 * size) - 1))
