"""Which CPUs and which memory are near each other: NUMA nodes, as a machine tells firmware and operating systems."""

from __future__ import annotations

from typing import NamedTuple

LOCAL, REMOTE = 10, 20
"""The distance of a node from itself, in ACPI's units, and the usual one from another."""
NEAREST, FARTHEST = 11, 255
"""What the distance of two nodes may be; the farthest is out of reach."""
MOST_NODES = 128


class NumaNode(NamedTuple):
    """One node. `memory` is in bytes; the nodes' memory follows one another, as they do."""

    memory: int
    cpus: tuple[int, ...] = ()


class Numa(NamedTuple):
    """The nodes, if there are any, and their distances: a row for each, or none where nothing is said of them."""

    nodes: tuple[NumaNode, ...] = ()
    distances: tuple[tuple[int, ...], ...] = ()

    def node_of(self, cpu: int) -> int:
        """The CPU's node; CPUs that none has are the first's."""
        return next((number for number, node in enumerate(self.nodes) if cpu in node.cpus), 0)
