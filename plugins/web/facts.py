"""What the page shows of a machine, as plain data. Nothing that is read here has a side effect for the guest.

Numbers that may be larger than JavaScript's are exact with are sent as hexadecimal texts.
"""

from __future__ import annotations

from typing import Any

from southbridge.device import Device
from southbridge.discovery import summary
from southbridge.machine import Machine
from southbridge.memory.regions import Section
from southbridge.memory.space import AddressSpace
from southbridge.register_view import register_banks
from southbridge.registers import Register

Facts = dict[str, Any]

MOST_SECTIONS = 4096


def status(machine: Machine) -> Facts:
    """How it is."""
    return {
        "name": machine.name,
        "state": machine.state.value,
        "accelerator": machine.accelerator.name if machine.accelerator is not None else None,
        "cpus": len(machine.cpus.plugged),
        "cpu": machine.cpu.name,
        "memory": machine.ram.size,
        "seconds": machine.clock.now() / 1e9,
        "errors": list(machine.guest_errors),
    }


def devices(machine: Machine) -> list[Facts]:
    """Every device, with the bus that it is on, by its name, and where on it."""
    names = {id(bus): name for name, bus in machine.buses.items()}
    return [
        {
            "id": device.id,
            "type": type(device).__name__,
            "summary": summary(type(device)),
            "bus": next(filter(None, (names.get(id(bus)) for bus in _buses(device))), None),
            "place": _place(device),
            "broken": device.broken,
        }
        for device in machine.devices.values()
    ]


def _buses(device: Device) -> list[object]:
    links = [name for name, spec in device.properties().items() if spec.section == "buses"]
    return [getattr(device, name) for name in links]


def _place(device: Device) -> str | None:
    slot, function = getattr(device, "slot", None), getattr(device, "function", None)
    return None if slot is None or function is None else f"{slot:02x}.{function}"


def memory_map(space: AddressSpace) -> list[Facts]:
    """What answers where."""
    return [_section(section) for section in space.sections[:MOST_SECTIONS]]


def _section(section: Section) -> Facts:
    owner = getattr(section.region, "owner", None)
    kind = "rom" if section.is_ram and section.readonly else "ram" if section.is_ram else "registers"
    return {
        "start": hex(section.start),
        "end": hex(section.end - 1),
        "name": section.region.name,
        "device": owner.id if owner is not None else None,
        "kind": kind,
    }


def interrupts(machine: Machine) -> Facts:
    """Lines that are asserted, and the vectors that CPUs are to take."""
    lines = [{"name": wire.name, "level": wire.level} for wire in machine.isa.wires]
    pending = {}
    for cpu in sorted(machine.cpus.plugged):
        controller = machine.cpus.interrupts_of(cpu)
        pending[str(cpu)] = controller.pending_vector() if controller is not None else None
    return {"lines": lines, "pending": pending}


def registers(device: Device) -> list[Facts]:
    """The registers of the device and its parts, as they are, by bank."""
    return [
        {"bank": bank, "registers": [_register(register) for register in registers]}
        for bank, registers in register_banks(device)
    ]


def _register(register: Register) -> Facts:
    spec = register.spec
    value = register.value
    return {
        "name": spec.name,
        "offset": spec.offset,
        "width": spec.width,
        "value": f"{value:0{2 * spec.width}x}",
        "doc": spec.doc,
        "fields": {name: hex((value & field.mask) >> field.low) for name, field in spec.fields.items()},
    }
