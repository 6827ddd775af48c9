"""NUMA nodes in ACPI (specification 6.4, sections 5.2.16 and 5.2.17): SRAT, SLIT, and each CPU's _PXM.

As QEMU's: memory is described without the hole from 640 KiB to 1 MiB, and empty entries are left for what comes later.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import TYPE_CHECKING

from ..units import KiB, MiB
from .contributions import AcpiTables
from .tables import Table, table
from .terms import name

if TYPE_CHECKING:
    from ..board import MemoryRange
    from ..machine import Machine

HOLE_START, HOLE_END = 640 * KiB, MiB
SPARE = 2
"""So many more entries of memory are there than nodes."""
ENABLED = 1


def add_affinity(tables: AcpiTables) -> None:
    """Adds what there is to say of nodes, if the machine has any."""
    numa = tables.machine.numa
    if not numa.nodes:
        return
    for cpu in range(tables.machine.cpus.max):
        tables.processor(cpu, name("_PXM", numa.node_of(cpu)))
    tables.add(srat(tables.machine))
    if numa.distances:
        tables.add(slit(numa.distances))


def srat(machine: Machine) -> Table:
    """System resource affinity table. Each CPU's local APIC has the CPU's number."""
    numa = machine.numa
    cpus = b"".join(_cpu(index, numa.node_of(index)) for index in range(machine.cpus.max))
    memory = [
        _memory(base, size, number, ENABLED)
        for number, (start, end) in enumerate(_shares(machine))
        for base, size in _places(machine.memory_map, start, end)
    ]
    memory += [_memory(0, 0, 0, 0)] * (len(numa.nodes) + SPARE - len(memory))
    return table("SRAT", 1, struct.pack("<IQ", 1, 0) + cpus + b"".join(memory))


def slit(distances: tuple[tuple[int, ...], ...]) -> Table:
    """System locality information table: how far each node is from each."""
    return table("SLIT", 1, struct.pack("<Q", len(distances)) + b"".join(map(bytes, distances)))


def _shares(machine: Machine) -> Iterator[tuple[int, int]]:
    """Where in the RAM each node's begins and ends."""
    start = 0
    for node in machine.numa.nodes:
        yield start, start + node.memory
        start += node.memory


def _places(memory_map: list[MemoryRange], start: int, end: int) -> Iterator[tuple[int, int]]:
    """Address and size of what the guest has of the RAM from `start` to `end`."""
    for low, high in ((start, min(end, HOLE_START)), (max(start, HOLE_END), end)):
        offset = 0
        for part in memory_map:
            first, last = max(low, offset), min(high, offset + part.size)
            if first < last:
                yield part.start + first - offset, last - first
            offset += part.size


def _cpu(apic_id: int, node: int) -> bytes:
    """Processor local APIC affinity."""
    return struct.pack("<BBBBIB3sI", 0, 16, node & 0xFF, apic_id, ENABLED, 0, (node >> 8).to_bytes(3, "little"), 0)


def _memory(base: int, size: int, node: int, flags: int) -> bytes:
    """Memory affinity."""
    return struct.pack("<BBIHQQIIQ", 1, 40, node, 0, base, size, 0, flags, 0)
