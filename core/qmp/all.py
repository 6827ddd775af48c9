"""All of QEMU's commands for a machine."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .actions import ActionCommands
from .block import BlockCommands
from .character import CharacterCommands
from .clients import ClientCommands
from .cpus import CpuCommands
from .devices import DeviceCommands
from .files import FileCommands
from .media import MediaCommands
from .memory import MemoryCommands
from .migration import MigrationCommands
from .network import NetworkCommands
from .nodes import NodeCommands
from .objects import HostObjectCommands
from .pci import PciCommands
from .qom import ObjectCommands
from .screen import ScreenCommands
from .target import TargetCommands
from .version import VersionCommands
from .vnc import VncCommands
from .xen import XenCommands

if TYPE_CHECKING:
    from ..control.commands import Function
    from ..machine import Machine


def commands(machine: Machine) -> dict[str, Function]:
    """All of them, for `machine`, by name."""
    parts = (
        VersionCommands(machine),
        TargetCommands(machine),
        CpuCommands(machine),
        CharacterCommands(machine),
        DeviceCommands(machine),
        BlockCommands(machine),
        ActionCommands(machine),
        MediaCommands(machine),
        MigrationCommands(machine),
        ClientCommands(machine),
        HostObjectCommands(machine),
        NodeCommands(machine),
        MemoryCommands(machine),
        NetworkCommands(machine),
        FileCommands(),
        PciCommands(machine),
        ObjectCommands(machine),
        ScreenCommands(machine),
        VncCommands(machine),
        XenCommands(machine),
    )
    return {name: function for part in parts for name, function in part.commands().items()}
