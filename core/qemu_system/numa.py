"""-numa, as a description has it."""

from __future__ import annotations

from typing import Any

from ..errors import SouthbridgeError
from ..numa import LOCAL
from .draft import Draft

SHARE_UNIT = 8 << 20
"""Of the memory that every node but the last gets, if none is given any."""


def numa_of(draft: Draft) -> dict[str, Any]:
    """The description's `numa`; empty without nodes. Raises SouthbridgeError if that can't be.

    As with QEMU, memory that no node has is divided among all if none has any; CPUs that none has are the first's.
    """
    if not draft.numa:
        if draft.distances:
            raise SouthbridgeError("-numa dist: there are no nodes")
        return {}
    memory = [node.memory for node in draft.numa]
    if not any(memory):
        share = draft.memory // len(memory) & ~(SHARE_UNIT - 1)
        memory = [share] * (len(memory) - 1)
        memory.append(draft.memory - sum(memory))
    if sum(memory) != draft.memory:
        raise SouthbridgeError(f"-numa: the nodes have {sum(memory)} bytes, the machine {draft.memory}")
    for node in draft.numa:
        for cpu in node.cpus:
            if cpu >= draft.most_cpus:
                raise SouthbridgeError(f"-numa: there is no CPU {cpu}: there are {draft.most_cpus}")
    nodes = [{"memory": size, "cpus": sorted(set(node.cpus))} for size, node in zip(memory, draft.numa, strict=True)]
    return {"nodes": nodes, **({"distances": _distances(draft)} if draft.distances else {})}


def _distances(draft: Draft) -> list[list[int]]:
    """A row for each node. Where one direction is given for each pair, the other is the same."""
    count, given = len(draft.numa), draft.distances
    for pair in given:
        if max(pair) >= count:
            raise SouthbridgeError(f"-numa dist: there is no node {max(pair)}")
    one_way = any(given.get((b, a), value) != value for (a, b), value in given.items())
    rows = []
    for a in range(count):
        row = []
        for b in range(count):
            value = given.get((a, b), LOCAL if a == b else None if one_way else given.get((b, a)))
            if value is None:
                raise SouthbridgeError(
                    f"-numa dist: the distance from node {a} to node {b} is missing"
                    + (": where two differ, both directions of each pair are to be given" if one_way else "")
                )
            row.append(value)
        rows.append(row)
    return rows
