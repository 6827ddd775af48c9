"""-numa, as firmware is told of it."""

from __future__ import annotations

from typing import Any

from ..errors import SouthbridgeError
from .draft import Draft


def numa_of(draft: Draft) -> dict[str, Any]:
    """Properties of fw_cfg: each node's memory in bytes, each CPU's node. Raises SouthbridgeError if that can't be.

    As with QEMU, memory that no node has is divided among all if none has any; CPUs that none has are the first's.
    """
    if not draft.numa:
        return {}
    memory = [node.memory for node in draft.numa]
    if not any(memory):
        share = draft.memory // len(memory) & ~((1 << 23) - 1)
        memory = [share] * (len(memory) - 1)
        memory.append(draft.memory - sum(memory))
    if sum(memory) != draft.memory:
        raise SouthbridgeError(f"-numa: the nodes have {sum(memory)} bytes, the machine {draft.memory}")
    of_cpu = [0] * draft.most_cpus
    for number, node in enumerate(draft.numa):
        for cpu in node.cpus:
            if cpu >= len(of_cpu):
                raise SouthbridgeError(f"-numa: there is no CPU {cpu}: there are {len(of_cpu)}")
            of_cpu[cpu] = number
    return {"numa_memory": memory, "numa_cpus": of_cpu}
