"""Words about where CPUs and memory are."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..units import MiB
from .line import Line
from .word import Word

if TYPE_CHECKING:
    from .monitor import HumanMonitor


def _numa(monitor: HumanMonitor, line: Line) -> str:
    """All memory is there from the start: none is ever plugged in."""
    line.end()
    machine = monitor.machine
    lines = [f"{len(machine.numa.nodes)} nodes"]
    for number, node in enumerate(machine.numa.nodes):
        cpus = (cpu for cpu in sorted(machine.cpus.plugged) if machine.numa.node_of(cpu) == number)
        lines += [
            f"node {number} cpus:{''.join(f' {cpu}' for cpu in cpus)}",
            f"node {number} size: {node.memory // MiB} MB",
            f"node {number} plugged: 0 MB",
        ]
    return "\n".join(lines)


async def _hotpluggable_cpus(monitor: HumanMonitor, line: Line) -> str:
    line.end()
    lines = ["Hotpluggable CPUs:"]
    for cpu in await monitor.qmp("query-hotpluggable-cpus"):
        lines += [f'  type: "{cpu["type"]}"', f'  vcpus_count: "{cpu["vcpus-count"]}"']
        if "qom-path" in cpu:
            lines.append(f'  qom_path: "{cpu["qom-path"]}"')
        place = cpu["props"]
        keys = [key for key in ("node-id", "socket-id", "core-id", "thread-id") if key in place]
        lines += ["  CPUInstance Properties:", *(f'    {key}: "{place[key]}"' for key in keys)]
    return "\n".join(lines)


TOPICS = (
    Word(("numa",), "", "show NUMA information", _numa),
    Word(("hotpluggable-cpus",), "", "show information about hotpluggable CPUs", _hotpluggable_cpus),
)
