"""The key `numa` of a description: nodes, each with its memory and CPUs, and their distances."""

from __future__ import annotations

from typing import Any

from ..errors import DescriptionError
from ..numa import FARTHEST, LOCAL, MOST_NODES, NEAREST, Numa, NumaNode
from ..units import format_size
from .nodes import Node, Scalar, Sequence, Table, is_null, what_is
from .values import check_key, size_in_bytes

KEY = "numa"


def numa(node: Node | None, memory: int, max_cpus: int) -> Numa:
    """What it says, of a machine with so many bytes of memory, and CPUs at most. Raises DescriptionError."""
    if node is None or is_null(node):
        return Numa()
    table = _table(node, KEY, ("nodes", "distances"))
    listed = table.entries.get("nodes")
    if not isinstance(listed, Sequence) or not 0 < len(listed.items) <= MOST_NODES:
        place = table.location if listed is None else listed.location
        raise DescriptionError(f"expected a list of one to {MOST_NODES} nodes", place, f"{KEY}.nodes")
    owners: dict[int, int] = {}
    nodes = tuple(_node(item, number, owners, max_cpus) for number, item in enumerate(listed.items))
    total = sum(each.memory for each in nodes)
    if total != memory:
        message = f"the nodes have {format_size(total)}, the machine {format_size(memory)}"
        raise DescriptionError(message, listed.location, f"{KEY}.nodes")
    return Numa(nodes, _distances(table.entries.get("distances"), len(nodes)))


def numa_tree(numa: Numa) -> dict[str, Any]:
    """As a description has it; nothing without nodes."""
    if not numa.nodes:
        return {}
    tree: dict[str, Any] = {"nodes": [{"memory": node.memory, "cpus": list(node.cpus)} for node in numa.nodes]}
    if numa.distances:
        tree["distances"] = [list(row) for row in numa.distances]
    return {KEY: tree}


def _table(node: Node, key: str, keys: tuple[str, ...]) -> Table:
    if not isinstance(node, Table):
        raise DescriptionError(f"expected a mapping, not {what_is(node)}", node.location, key)
    for name in node.entries:
        check_key(node, name, keys, f"{key}.{name}")
    return node


def _node(node: Node, number: int, owners: dict[int, int], max_cpus: int) -> NumaNode:
    key = f"{KEY}.nodes[{number}]"
    table = _table(node, key, ("memory", "cpus"))
    cpus = table.entries.get("cpus")
    if cpus is not None and not isinstance(cpus, Sequence):
        raise DescriptionError(f"expected a list of CPUs' numbers, not {what_is(cpus)}", cpus.location, f"{key}.cpus")
    numbers = [_cpu(item, f"{key}.cpus[{index}]", max_cpus) for index, item in enumerate(cpus.items if cpus else ())]
    for index, cpu in enumerate(numbers):
        if owners.setdefault(cpu, number) != number or cpu in numbers[:index]:
            assert cpus is not None
            raise DescriptionError(
                f"CPU {cpu} is node {owners[cpu]}'s already", cpus.items[index].location, f"{key}.cpus[{index}]"
            )
    memory = table.entries.get("memory")
    size = 0 if memory is None or is_null(memory) else size_in_bytes(memory, f"{key}.memory")
    return NumaNode(size, tuple(numbers))


def _cpu(node: Node, key: str, max_cpus: int) -> int:
    if not isinstance(node, Scalar) or type(node.value) is not int or not 0 <= node.value < max_cpus:
        raise DescriptionError(f"expected a CPU's number, 0 to {max_cpus - 1}, not {what_is(node)}", node.location, key)
    return node.value


def _distances(node: Node | None, count: int) -> tuple[tuple[int, ...], ...]:
    if node is None or is_null(node):
        return ()
    if not isinstance(node, Sequence) or len(node.items) != count:
        raise DescriptionError(f"expected a list for each of the {count} nodes", node.location, f"{KEY}.distances")
    return tuple(_row(row, number, count) for number, row in enumerate(node.items))


def _row(node: Node, number: int, count: int) -> tuple[int, ...]:
    key = f"{KEY}.distances[{number}]"
    if not isinstance(node, Sequence) or len(node.items) != count:
        raise DescriptionError(f"expected {count} distances, one to each node", node.location, key)
    row = []
    for other, item in enumerate(node.items):
        least, most = (LOCAL, LOCAL) if other == number else (NEAREST, FARTHEST)
        if not isinstance(item, Scalar) or type(item.value) is not int or not least <= item.value <= most:
            expected = f"{LOCAL}, which a node is from itself" if other == number else f"{least} to {most}"
            raise DescriptionError(f"expected {expected}, not {what_is(item)}", item.location, f"{key}[{other}]")
        row.append(item.value)
    return tuple(row)
