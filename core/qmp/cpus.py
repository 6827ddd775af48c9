"""query-cpus-fast, query-hotpluggable-cpus, inject-nmi, and CPUs that device_add brings."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any, Literal, NotRequired, TypedDict

from ..errors import SouthbridgeError
from ..qemu_system.program import program

if TYPE_CHECKING:
    from ..control.commands import Function
    from ..machine import Machine

Target = Literal["i386", "x86_64"]

Place = TypedDict("Place", {"node-id": NotRequired[int], "socket-id": int, "core-id": int, "thread-id": int})
"""Where a CPU is; its NUMA node, if there are any."""
CpuInfo = TypedDict(
    "CpuInfo",
    {"cpu-index": int, "qom-path": str, "thread-id": int, "props": Place, "target": Target},
)
"""A CPU that is there."""
HotpluggableCpu = TypedDict(
    "HotpluggableCpu", {"type": str, "vcpus-count": int, "props": Place, "qom-path": NotRequired[str]}
)
"""A CPU that there can be."""


def target() -> Target:
    """The architecture, as QEMU's emulator of this program's name has it."""
    return "i386" if program().endswith("-i386") else "x86_64"


def cpu_driver(machine: Machine) -> str:
    """What device_add calls a CPU of this machine."""
    return f"{machine.cpu.name.partition(',')[0]}-{target()}-cpu"


class CpuCommands:
    """Of one machine."""

    def __init__(self, machine: Machine) -> None:
        self._machine = machine

    def commands(self) -> dict[str, Function]:
        """By name."""
        return {
            "query-cpus-fast": self.query_cpus_fast,
            "query-hotpluggable-cpus": self.query_hotpluggable_cpus,
            "inject-nmi": self.inject_nmi,
        }

    def query_cpus_fast(self) -> list[CpuInfo]:
        """The CPUs that are there."""
        from ..qom.paths import cpu_path

        machine = self._machine
        return [
            {
                "cpu-index": index,
                "qom-path": cpu_path(machine, index),
                "thread-id": _thread(machine, index),
                "props": _place(machine, index),
                "target": target(),
            }
            for index in sorted(machine.cpus.plugged)
        ]

    def query_hotpluggable_cpus(self) -> list[HotpluggableCpu]:
        """The CPUs that there can be; those that are there have a path."""
        from ..qom.paths import cpu_path

        machine = self._machine
        found: list[HotpluggableCpu] = []
        for index in reversed(range(machine.cpus.max)):
            entry: HotpluggableCpu = {"type": cpu_driver(machine), "vcpus-count": 1, "props": _place(machine, index)}
            if index in machine.cpus.plugged:
                entry["qom-path"] = cpu_path(machine, index)
            found.append(entry)
        return found

    def inject_nmi(self) -> None:
        """A non-maskable interrupt for every CPU."""
        with self._machine.lock:
            self._machine.cpus.inject_nmi()


def _place(machine: Machine, index: int) -> Place:
    place = machine.cpus.place(index)
    where: Place = {"socket-id": place.socket, "core-id": place.core, "thread-id": place.thread}
    if machine.numa.nodes:
        where["node-id"] = machine.numa.node_of(index)
    return where


def _node(place: Place) -> dict[str, Any]:
    """What a client needn't say of a CPU's place."""
    return {"node-id": place["node-id"]} if "node-id" in place else {}


def _thread(machine: Machine, index: int) -> int:
    """The thread that runs it, for those who pin threads to the host's CPUs."""
    thread = machine.cpus.thread_of(index)
    if thread is not None and thread.native_id is not None:
        return thread.native_id
    return os.getpid()


def plug_cpu(machine: Machine, id: str, properties: dict[str, Any]) -> None:
    """device_add of a CPU. Raises SouthbridgeError if it can't come. See Hotplug.plug_cpu."""
    place = {key.replace("_", "-"): value for key, value in properties.items()}
    places = (_place(machine, index) for index in range(machine.cpus.max))
    index = next((index for index, where in enumerate(places) if {**_node(where), **place} == where), None)
    if index is None:
        names = zip(("socket-id", "core-id", "thread-id"), machine.cpus.topology, strict=True)
        expected = [f"{name} 0" + (f" to {count - 1}" if count > 1 else "") for name, count in names]
        raise SouthbridgeError(f"{id}: expected {', '.join(expected)}")
    machine.hotplug.plug_cpu(index, id)
