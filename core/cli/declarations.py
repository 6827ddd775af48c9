"""What a device's class declares, as plain data."""

from __future__ import annotations

import json
import re
import warnings
from typing import Any

from ..banks import Bank
from ..component import Component
from ..device import Device
from ..discovery import Plugin, summary
from ..pci import CONFIG, PciDevice
from ..pci.config import Bar
from ..properties import Configurable, PropertySpec, property_model
from ..registers import RO, RW, WO, RegisterSpec

Facts = dict[str, Any]

_IRQ = re.compile(r"(.*_)?irq")


def device_facts(plugin: Plugin, cls: type[Device]) -> Facts:
    """Properties, PCI identity, interrupts, and the registers of the device and its parts."""
    pci = cls if issubclass(cls, PciDevice) else None
    return {
        "name": plugin.name,
        "summary": summary(cls),
        "distribution": plugin.distribution,
        "version": plugin.version,
        "properties": property_facts(cls),
        "pci": pci.ids._asdict() if pci else None,
        "interrupts": _interrupts(cls),
        **_component_facts(cls),
    }


def property_facts(cls: type[Configurable]) -> list[Facts]:
    """The properties that a description may set."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of defaults that JSON doesn't have, such as paths
        schema = property_model(cls).model_json_schema()
    return [_property_facts(name, spec, schema["properties"][name]) for name, spec in cls.properties().items()]


def _property_facts(name: str, spec: PropertySpec, schema: Facts) -> Facts:
    return {
        "name": name,
        "type": f"id of one of the {spec.section}" if spec.section else _type(schema),
        "required": spec.required,
        "default": None if spec.required else schema.get("default"),
        "doc": spec.doc,
        "link": spec.section,
    }


def _type(schema: Facts) -> str:
    """A JSON schema in a few words."""
    if "anyOf" in schema:
        return " or ".join(_type(choice) for choice in schema["anyOf"] if choice != {"type": "null"})
    if "enum" in schema:
        return " or ".join(str(choice) for choice in schema["enum"])
    low, high = schema.get("minimum"), schema.get("maximum")
    bounds = f" {shown(low)} to {shown(high)}" if low is not None and high is not None else ""
    return str(schema.get("format") or schema.get("type", "any")) + bounds


def shown(value: Any) -> str:
    """A value as people want to read it: large numbers also in hexadecimal."""
    if isinstance(value, int) and not isinstance(value, bool) and value > 255:
        return f"{value} ({value:#x})"
    return json.dumps(value)


def _interrupts(cls: type[Device]) -> list[Facts]:
    found: list[Facts] = []
    if issubclass(cls, PciDevice):
        if cls.interrupt_pin:
            found.append({"kind": "pci", "pin": cls.interrupt_pin, "doc": f"PCI {cls.interrupt_pin}#"})
        if cls.msi:
            found.append({"kind": "msi", "doc": "MSI, one vector"})
    for name, spec in cls.properties().items():
        if _IRQ.fullmatch(name):
            default = "" if spec.default is None or spec.required else f", {spec.default} by default"
            found.append({"kind": "isa", "property": name, "doc": f"ISA line, as property {name} says{default}"})
    return found


def _component_facts(cls: type[Component]) -> Facts:
    return {
        "banks": [_bank_facts(bank, cls) for bank in cls.bank_specs],
        "parts": [
            {"name": name, "count": spec.count, **_component_facts(spec.make)} for name, spec in cls.part_specs.items()
        ],
    }


def _bank_facts(bank: Bank, cls: type[Component]) -> Facts:
    registers = [spec for spec in cls.register_specs if spec.bank is bank]
    windows = [spec for spec in cls.window_specs if spec.bank is bank]
    return {
        "name": bank.name,
        "kind": _kind(bank),
        "size": bank.size,
        "doc": bank.doc,
        "registers": [_register_facts(spec) for spec in sorted(registers, key=lambda spec: spec.offset)],
        "windows": [
            {
                "name": spec.name,
                "offset": spec.offset,
                "size": spec.size,
                "widths": sorted(spec.widths),
                "doc": spec.doc,
            }
            for spec in sorted(windows, key=lambda spec: spec.offset)
        ],
    }


def _kind(bank: Bank) -> str:
    if isinstance(bank, Bar):
        return f"bytes of {bank.kind.value}"
    if bank is CONFIG:
        return "bytes of configuration space"
    return "bytes of memory" if bank.reports else "ports"


def _register_facts(spec: RegisterSpec) -> Facts:
    return {
        "name": spec.name,
        "offset": spec.offset,
        "width": spec.width,
        "widths": sorted(spec.widths),
        "access": _access(spec),
        "reset": spec.reset,
        "conditional": spec.when is not None,
        "fields": [
            {
                "name": name,
                "low": field.low,
                "high": field.high,
                "access": (spec.access if spec.access in (RO, WO) else field.access).value,
                "doc": field.doc,
            }
            for name, field in sorted(spec.fields.items(), key=lambda item: item[1].low)
        ],
        "doc": spec.doc,
    }


def _access(spec: RegisterSpec) -> str:
    if spec.access is RW and not spec.writable:
        return RO.value  # all its fields are
    return spec.access.value
