"""All of QEMU's commands for a machine. A family's module is imported when one of its commands is said, or looked at:
together they would be a tenth of a machine's start.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable
from functools import cache, partial
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from ..control.commands import Function
    from ..machine import Machine


class Family(NamedTuple):
    """Commands that are methods of one class: `names` are those that its `commands` has."""

    module: str
    name: str
    names: tuple[str, ...]


FAMILIES = (
    Family("actions", "ActionCommands", ("set-action", "watchdog-set-action")),
    Family("block", "BlockCommands", ("query-block", "query-named-block-nodes")),
    Family(
        "character",
        "CharacterCommands",
        ("query-chardev", "query-chardev-backends", "chardev-add", "chardev-change", "chardev-remove"),
    ),
    Family("clients", "ClientCommands", ("add_client",)),
    Family("cpus", "CpuCommands", ("query-cpus-fast", "query-hotpluggable-cpus", "inject-nmi")),
    Family("devices", "DeviceCommands", ("device_add", "device_del")),
    Family("files", "FileCommands", ("add-fd", "remove-fd", "query-fdsets", "getfd", "closefd")),
    Family(
        "media",
        "MediaCommands",
        (
            "eject",
            "blockdev-change-medium",
            "blockdev-open-tray",
            "blockdev-close-tray",
            "blockdev-insert-medium",
            "blockdev-remove-medium",
        ),
    ),
    Family("memory", "MemoryCommands", ("query-memory-size-summary", "memsave", "pmemsave")),
    Family(
        "migration",
        "MigrationCommands",
        (
            "migrate",
            "migrate_cancel",
            "migrate-incoming",
            "query-migrate",
            "migrate-set-capabilities",
            "query-migrate-capabilities",
        ),
    ),
    Family("network", "NetworkCommands", ("set_link", "netdev_add", "netdev_del", "query-rx-filter")),
    Family("nodes", "NodeCommands", ("blockdev-add", "blockdev-del")),
    Family("objects", "HostObjectCommands", ("object-add", "object-del", "query-memdev", "query-iothreads")),
    Family("pci", "PciCommands", ("query-pci",)),
    Family(
        "qom",
        "ObjectCommands",
        ("qom-list", "qom-get", "qom-set", "qom-list-types", "qom-list-properties", "device-list-properties"),
    ),
    Family("screen", "ScreenCommands", ("screendump",)),
    Family("target", "TargetCommands", ("query-target", "query-kvm", "query-machines", "query-cpu-definitions")),
    Family("version", "VersionCommands", ("query-version", "query-uuid")),
    Family("vnc", "VncCommands", ("query-vnc", "query-vnc-servers", "change-vnc-password", "set_password")),
    Family(
        "xen",
        "XenCommands",
        (
            "xen-set-global-dirty-log",
            "xen-save-devices-state",
            "xen-load-devices-state",
            "query-xen-replication-status",
        ),
    ),
)


def commands(machine: Machine) -> dict[str, Callable[[], Function]]:
    """What gives each of them, for `machine`, by name."""
    found: dict[str, Callable[[], Function]] = {}
    for family in FAMILIES:
        functions = cache(partial(_functions, machine, family))
        found |= {name: partial(_one, functions, name) for name in family.names}
    return found


def _functions(machine: Machine, family: Family) -> dict[str, Function]:
    module = importlib.import_module(f".{family.module}", __package__)
    functions: dict[str, Function] = getattr(module, family.name)(machine).commands()
    return functions


def _one(functions: Callable[[], dict[str, Function]], name: str) -> Function:
    return functions()[name]
