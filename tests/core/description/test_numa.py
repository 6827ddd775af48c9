"""What a description says of NUMA nodes."""

from __future__ import annotations

from pathlib import Path

import pytest
from southbridge.description import Description, load
from southbridge.errors import DescriptionError
from southbridge.numa import Numa, NumaNode
from southbridge.snapshot.contents import description_tree
from southbridge.units import MiB

TWO = "{memory: 16M, cpus: [1]}, {memory: 48M, cpus: [0, 2]}"


def described(folder: Path, text: str) -> Description:
    path = folder / "m.yaml"
    path.write_text(
        f"extends: pc\naccelerator: unicorn\nmemory: 64M\nmaxcpus: 3\nchardevs: {{serial0: {{type: 'null'}}}}\n{text}"
    )
    return load(str(path))


@pytest.mark.parametrize(
    ("text", "numa"),
    [
        ("", Numa()),
        ("numa: null\n", Numa()),
        ("numa: {nodes: [{memory: 64M}]}\n", Numa((NumaNode(64 * MiB),))),
        (f"numa: {{nodes: [{TWO}]}}\n", Numa((NumaNode(16 * MiB, (1,)), NumaNode(48 * MiB, (0, 2))))),
        (
            f"numa: {{nodes: [{TWO}], distances: [[10, 20], [255, 10]]}}\n",
            Numa((NumaNode(16 * MiB, (1,)), NumaNode(48 * MiB, (0, 2))), ((10, 20), (255, 10))),
        ),
        ("numa: {nodes: [{memory: 64M}, {cpus: [2]}]}\n", Numa((NumaNode(64 * MiB), NumaNode(0, (2,))))),
    ],
)
def test_what_is_said(tmp_path: Path, text: str, numa: Numa) -> None:
    description = described(tmp_path, text)
    assert description.numa == numa
    again = description_tree(description).get("numa")
    assert (again is None) == (not numa.nodes)
    if again:
        assert described(tmp_path, f"numa: {again}\n").numa == numa


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("numa: 2", "6:7: numa: expected a mapping, not 2"),
        ("numa: {}", "numa.nodes: expected a list of one to 128 nodes"),
        ("numa: {nodes: []}", "numa.nodes: expected a list of one to 128 nodes"),
        ("numa: {node: [{memory: 64M}]}", "numa.node: there is no such key; did you mean 'nodes'"),
        ("numa: {nodes: [{memory: 63M}]}", "numa.nodes: the nodes have 63 MiB, the machine 64 MiB"),
        ("numa: {nodes: [{memory: x}]}", "numa.nodes[0].memory: "),
        ("numa: {nodes: [{memory: 64M, cpus: 1}]}", "numa.nodes[0].cpus: expected a list of CPUs' numbers, not 1"),
        ("numa: {nodes: [{memory: 64M, cpus: [3]}]}", "numa.nodes[0].cpus[0]: expected a CPU's number, 0 to 2, not 3"),
        ("numa: {nodes: [{memory: 64M, cpus: [1, 1]}]}", "numa.nodes[0].cpus[1]: CPU 1 is node 0's already"),
        ("numa: {nodes: [{cpus: [1]}, {memory: 64M, cpus: [1]}]}", "nodes[1].cpus[0]: CPU 1 is node 0's already"),
        (f"numa: {{nodes: [{TWO}], distances: [[10]]}}", "numa.distances: expected a list for each of the 2 nodes"),
        (f"numa: {{nodes: [{TWO}], distances: [[10], [1]]}}", "distances[0]: expected 2 distances, one to each node"),
        (f"numa: {{nodes: [{TWO}], distances: [[10, 10], [20, 10]]}}", "distances[0][1]: expected 11 to 255, not 10"),
        (
            f"numa: {{nodes: [{TWO}], distances: [[10, 20], [20, 11]]}}",
            "numa.distances[1][1]: expected 10, which a node is from itself, not 11",
        ),
    ],
)
def test_what_is_wrong(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(DescriptionError) as caught:
        described(tmp_path, text)
    assert message in str(caught.value)
    assert str(caught.value).startswith(str(tmp_path / "m.yaml"))
