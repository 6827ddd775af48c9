"""NUMA nodes in ACPI's tables."""

from __future__ import annotations

import struct

from hypothesis import given
from hypothesis import strategies as st
from southbridge.acpi.affinity import ENABLED, HOLE_END, HOLE_START, slit, srat
from southbridge.board import MemoryRange
from southbridge.machine import Machine
from southbridge.numa import Numa, NumaNode
from southbridge.units import GiB, MiB

sizes = st.integers(0, 4096).map(lambda number: number * 256 << 10)


def entries(data: bytes) -> list[bytes]:
    assert data[:4] == b"SRAT" and len(data) == int.from_bytes(data[4:8], "little")
    found, at = [], 48
    while at < len(data):
        found.append(data[at : at + data[at + 1]])
        at += data[at + 1]
    return found


@given(memory=st.lists(sizes, min_size=1, max_size=5).filter(any), split=sizes, owners=st.lists(st.integers(0, 4)))
def test_every_byte_and_every_cpu_is_its_nodes(memory: list[int], split: int, owners: list[int]) -> None:
    """Against a naive look at each 256 KiB; those that the hole from 640 KiB to 1 MiB is in are nobody's in it."""
    total = sum(memory)
    low = min(max(split, 2 * MiB), total)
    machine = Machine(name="m", memory=4096, max_cpus=8)
    machine.memory_map = [MemoryRange(0, low), MemoryRange(4 * GiB, total - low)]
    cpus = [tuple(cpu for cpu, owner in enumerate(owners[:8]) if owner == node) for node in range(len(memory))]
    machine.numa = Numa(tuple(map(NumaNode, memory, cpus)))
    found = entries(srat(machine).data)
    described: dict[int, int] = {}
    for _, _, node, _, base, size, _, flags, _ in (struct.unpack("<BBIHQQIIQ", one) for one in found if one[0] == 1):
        assert flags == (ENABLED if size else 0)
        for address in range(base, base + size, 64 << 10):
            assert described.setdefault(address, node) == node
    expected: dict[int, int] = {}
    offset = 0
    for node, size in enumerate(memory):
        for at in range(offset, offset + size, 64 << 10):
            if not HOLE_START <= at < HOLE_END:
                expected[at if at < low else at - low + 4 * GiB] = node
        offset += size
    assert described == expected
    assert len([one for one in found if one[0] == 1]) >= len(memory) + 2
    of_cpu = {one[3]: one[2] for one in found if one[0] == 0}
    assert of_cpu == {cpu: next((node for node, own in enumerate(cpus) if cpu in own), 0) for cpu in range(8)}
    machine.close()


def test_distances() -> None:
    data = slit(((10, 20), (255, 10))).data
    assert data[:4] == b"SLIT"
    assert data[36:] == struct.pack("<Q", 2) + bytes([10, 20, 255, 10])
