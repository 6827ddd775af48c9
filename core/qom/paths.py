"""Where devices and CPUs are in the tree."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

from ..description.loader import load_tree, shipped
from ..description.nodes import OptionLocation, Table

if TYPE_CHECKING:
    from ..device import Device
    from ..machine import Machine

NAMED = "/machine/peripheral"
NAMELESS = "/machine/peripheral-anon"
BOARD = "/machine/unattached"
PLACES = {"i440fx": "i440fx", "fw_cfg": "fw_cfg"}
"""Types of devices that the board has at a place of their own."""
_USERS_OPTIONS = ("-device ", "-usbdevice ")


def device_path(machine: Machine, device: Device) -> str:
    """Where `device` is."""
    if device.id in machine.hotplug.nameless:
        return f"{NAMELESS}/device[{machine.hotplug.nameless[device.id]}]"
    if _is_users(machine, device):
        return f"{NAMED}/{device.id}"
    return board_paths(machine).get(device.id, f"{BOARD}/{device.id}")


def device_name(machine: Machine, device: Device) -> str:
    """What its user calls `device`; "" for the board's, and what nobody named."""
    return device.id if device_path(machine, device) == f"{NAMED}/{device.id}" else ""


def name_or_path(machine: Machine, device: Device) -> str:
    """What its user calls `device`, or else where it is."""
    return device_name(machine, device) or device_path(machine, device)


def cpu_path(machine: Machine, index: int) -> str:
    """Where CPU number `index` is."""
    id = machine.cpus.plugged[index]
    if id in machine.hotplug.nameless:
        return f"{NAMELESS}/device[{machine.hotplug.nameless[id]}]"
    return f"{NAMED}/{id}" if id else f"{BOARD}/device[{_first_cpus(machine).index(index)}]"


def board_paths(machine: Machine) -> dict[str, str]:
    """Where each of the board's own devices is, by its id. They are numbered after the CPUs."""
    paths: dict[str, str] = {}
    number = len(_first_cpus(machine))
    for id, device in machine.devices.items():
        if id in machine.hotplug.nameless or _is_users(machine, device):
            continue
        place = PLACES.get(type_name_of(machine, device))
        if place is not None and f"/machine/{place}" not in paths.values():
            paths[id] = f"/machine/{place}"
        else:
            paths[id] = f"{BOARD}/device[{number}]"
            number += 1
    return paths


def type_name_of(machine: Machine, device: Device) -> str:
    """What a description calls the type of `device`."""
    part = machine.part("devices", device.id)
    return type(device).__name__.lower() if part is None else part.type_name


def _first_cpus(machine: Machine) -> list[int]:
    return [index for index, id in sorted(machine.cpus.plugged.items()) if not id]


def _is_users(machine: Machine, device: Device) -> bool:
    """Whether the machine's user added it: by an option of its own, in a description, or later."""
    part = machine.part("devices", device.id)
    if part is None:  # a program plugged it in
        return True
    option = part.location.file
    if isinstance(part.location, OptionLocation) and option.startswith("-"):
        return option.startswith(_USERS_OPTIONS)
    return device.id not in boards_ids()


@cache
def boards_ids() -> frozenset[str]:
    """The ids of the devices that shipped descriptions have."""
    trees = [load_tree(name)[1].entries.get("devices") for name in shipped()]
    return frozenset(id for tree in trees if isinstance(tree, Table) for id in tree.entries)
