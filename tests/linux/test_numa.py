"""Linux finds the nodes that a description has, their memory, CPUs and distances."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.linux.guest import answer, describe, run_linux, said
from tests.linux.initramfs import initramfs

SCRIPT = """\
cd /sys/devices/system/node
for node in node*; do
    cpus=$(cat $node/cpulist)
    read distance < $node/distance
    echo "$node: CPUs $cpus, distances $distance"
    awk -v node=$node '/MemTotal/ { print node " memory: " int($4 / 1024 + 0.5) " MB" }' $node/meminfo
done
dmesg | grep -o 'SRAT: .*' | sed 's/^/said: /'
echo "complaints: $(dmesg | grep -c -i -E 'ACPI.*(error|warning|exception|BIOS)|firmware bug')"
"""
NUMA = "{nodes: [{memory: 96M, cpus: [0]}, {memory: 160M, cpus: [1, 2]}], distances: [[10, 21], [31, 10]]}"


@pytest.mark.parametrize("firmware", ["none", "rom"])
def test_nodes(tmp_path: Path, firmware: str) -> None:
    settings = {"memory": "256M", "maxcpus": "3", "numa": NUMA}
    text = said(run_linux(describe(tmp_path, initramfs(SCRIPT), firmware=firmware, settings=settings)))
    assert answer(text, "node0") == "CPUs 0, distances 10 21"
    assert answer(text, "node1") == "CPUs , distances 31 10"  # the software CPU is one; the others may come
    # Linux keeps some for itself: its code and data, the page structures, the initial RAM disk.
    first, second = (int(answer(text, f"node{number} memory").split()[0]) for number in (0, 1))
    assert 20 < first < 96
    assert 96 < second <= 160
    for line in (
        "SRAT: PXM 0 -> APIC 0x00 -> Node 0",
        "SRAT: PXM 1 -> APIC 0x02 -> Node 1",
        "SRAT: Node 0 PXM 0 [mem 0x00000000-0x0009ffff]",
        "SRAT: Node 0 PXM 0 [mem 0x00100000-0x05ffffff]",
        "SRAT: Node 1 PXM 1 [mem 0x06000000-0x0fffffff]",
    ):
        assert f"said: {line}" in text.replace("ACPI: ", "")
    assert answer(text, "complaints") == "0"
