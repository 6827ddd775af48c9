"""The types that there are: of the installed plugins, with QEMU's names for what they are kinds of."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple, cast

from ..cpu_models import model_names
from ..discovery import load, names
from ..errors import PluginError
from ..objects import IOTHREAD, MEMORY_KINDS, SECRET
from ..pci import PciDevice
from ..qemu_system.machines import MACHINES
from ..qmp.cpus import target
from ..qmp.target import VERSIONED
from .type_names import qom_name
from .values import default_of, shown_properties, type_name

if TYPE_CHECKING:
    from ..device import Device

_ABSTRACT = {
    "object": "", "device": "object", "bus": "object", "machine": "object", "chardev": "object", "cpu": "device",
    "accel": "object", "memory-backend": "object", "x86-machine": "machine", "generic-pc-machine": "x86-machine",
    "pci-device": "device", "usb-device": "device", "ide-device": "device", "smbus-device": "i2c-slave",
    "i2c-slave": "device",
}  # fmt: skip
"""Types that nothing is directly, and what each is a kind of."""
_ON_BUS = {"pci": "pci-device", "usb": "usb-device", "ide": "ide-device", "smbus": "smbus-device"}
_BUSES = ("PCI", "IDE", "usb-bus", "i2c-bus", "floppy-bus")


class PropertyFacts(NamedTuple):
    """A property of a type."""

    type: str
    doc: str = ""
    default: Any = None


DEVICE = {
    "type": PropertyFacts("string"),
    "parent_bus": PropertyFacts("link<bus>"),
    "realized": PropertyFacts("bool"),
    "hotplugged": PropertyFacts("bool"),
    "hotpluggable": PropertyFacts("bool"),
}
"""Every device's; those that a device is made with aren't among them."""


def parents() -> dict[str, str]:
    """Each type's parent; "" for the one that has none."""
    cpu = f"{target()}-cpu"
    found = dict(_ABSTRACT) | {cpu: "cpu" if target() == "x86_64" else "x86_64-cpu", "container": "object"}
    if target() != "x86_64":
        found["x86_64-cpu"] = "cpu"
    found |= {qom_name(name): _device_parent(name) for name in names("devices") if _loaded(name) is not None}
    found |= {f"{name}-{cpu}": cpu for name in [*model_names(), "host"]}
    found |= {f"chardev-{name}": "chardev" for name in names("chardevs")}
    found |= {f"{name}-accel": "accel" for name in names("accelerators")}
    found |= dict.fromkeys(_BUSES, "bus") | dict.fromkeys(MEMORY_KINDS, "memory-backend")
    found |= {IOTHREAD: "object", SECRET: "object"}
    return found | {f"{VERSIONED.get(name, name)}-machine": _machine_parent(name) for name in MACHINES}


def is_abstract(name: str) -> bool:
    """Whether nothing is directly of the type `name`."""
    return name in _ABSTRACT or name == f"{target()}-cpu" or name == "x86_64-cpu"


def is_kind_of(name: str, other: str, known: dict[str, str]) -> bool:
    """Whether `other` is the type `name`, or one that it is a kind of."""
    while name and name != other:
        name = known.get(name, "")
    return bool(name)


def own_type(name: str) -> str | None:
    """Our type of device that QOM calls `name`."""
    return next((ours for ours in names("devices") if qom_name(ours) == name or ours == name), None)


def device_properties(ours: str) -> dict[str, PropertyFacts]:
    """What a device of our type is made with."""
    cls = cast("type[Device]", load("devices", ours))
    return {
        name: PropertyFacts(type_name(cls, name, spec), spec.doc, default_of(spec))
        for name, spec in shown_properties(cls).items()
    }


def object_properties(kind: str) -> dict[str, PropertyFacts]:
    """What an object of that type has; nothing, if it is no such type."""
    from .objects import PROPERTIES

    return {name: PropertyFacts(type) for name, (type, _) in PROPERTIES.get(kind, {}).items()}


def _machine_parent(name: str) -> str:
    return "generic-pc-machine" if name in VERSIONED else "machine"


def _loaded(name: str) -> type[Device] | None:
    try:
        return cast("type[Device]", load("devices", name))
    except PluginError:
        return None


def _device_parent(name: str) -> str:
    cls = _loaded(name)
    bus = None if cls is None else cls.properties().get("bus")
    if cls is not None and issubclass(cls, PciDevice):
        return "pci-device"
    kind = bus.default.partition(".")[0] if bus is not None and isinstance(bus.default, str) else ""
    return _ON_BUS.get(kind, "device")
