"""What the program offers: query-target, query-kvm, query-machines, query-cpu-definitions."""

from __future__ import annotations

from typing import TYPE_CHECKING, NotRequired, TypedDict

from ..cpu_models import DEFAULT_MODEL, model_names
from ..discovery import names
from .cpus import Target, target

if TYPE_CHECKING:
    from ..control.commands import Function
    from ..machine import Machine

KVM = "kvm"
MOST_CPUS = 255
RAM = "pc.ram"
"""The guest's memory, as QEMU calls it."""
VERSIONED = {"pc": "pc-i440fx-7.2", "xenfv": "xenfv-4.2"}
"""Names of machines, with QEMU's for the version of them that they are like."""


class TargetInfo(TypedDict):
    """What query-target tells."""

    arch: Target


class KvmInfo(TypedDict):
    """What query-kvm tells: whether KVM runs the machine, and whether it could."""

    enabled: bool
    present: bool


MachineInfo = TypedDict(
    "MachineInfo",
    {
        "name": str,
        "alias": NotRequired[str],
        "is-default": NotRequired[bool],
        "cpu-max": int,
        "hotpluggable-cpus": bool,
        "numa-mem-supported": bool,
        "deprecated": bool,
        "default-cpu-type": NotRequired[str],
        "default-ram-id": NotRequired[str],
    },
)
"""A machine that there is."""

CpuDefinition = TypedDict(
    "CpuDefinition", {"name": str, "typename": str, "migration-safe": bool, "static": bool, "deprecated": bool}
)
"""A CPU model that there is."""


class TargetCommands:
    """The program, and what it can be."""

    def __init__(self, machine: Machine) -> None:
        self._machine = machine

    def commands(self) -> dict[str, Function]:
        """By name."""
        return {
            "query-target": self.query_target,
            "query-kvm": self.query_kvm,
            "query-machines": self.query_machines,
            "query-cpu-definitions": self.query_cpu_definitions,
        }

    def query_target(self) -> TargetInfo:
        """The architecture."""
        return {"arch": target()}

    def query_kvm(self) -> KvmInfo:
        """Whether KVM runs the machine now, and whether it is installed as an accelerator."""
        accelerator = self._machine.accelerator
        enabled = accelerator is not None and accelerator.name == KVM
        return {"enabled": enabled, "present": KVM in names("accelerators")}

    def query_machines(self) -> list[MachineInfo]:
        """What -machine knows."""
        from ..qemu_system.machines import MACHINES

        return [_machine(name) for name in MACHINES]

    def query_cpu_definitions(self) -> list[CpuDefinition]:
        """What -cpu knows; `host` differs from host to host."""
        return [_cpu(name, safe=True) for name in model_names()] + [_cpu("host", safe=False)]


def _machine(name: str) -> MachineInfo:
    full = name in VERSIONED
    found: MachineInfo = {
        "name": VERSIONED.get(name, name),
        "cpu-max": MOST_CPUS if full else 1,
        "hotpluggable-cpus": full,
        "numa-mem-supported": False,
        "deprecated": False,
    }
    if full:
        found |= {"alias": name, "default-cpu-type": f"{DEFAULT_MODEL}-{target()}-cpu", "default-ram-id": RAM}
    if name == "pc":
        found["is-default"] = True
    return found


def _cpu(name: str, *, safe: bool) -> CpuDefinition:
    typename = f"{name}-{target()}-cpu"
    return {"name": name, "typename": typename, "migration-safe": safe, "static": False, "deprecated": False}
