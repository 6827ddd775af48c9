"""Counting accesses: those of each device, and nothing while nobody counts."""

from __future__ import annotations

from collections import Counter

from southbridge.testing import Bench


def test_accesses_are_counted_by_device(bench: Bench) -> None:
    other, uart = bench.plug("i8254"), bench.plug("uart16550")
    counts: Counter[str] = Counter()
    bench.read_port(0x3F9)
    bench.machine.ports.count_accesses(counts)
    for _ in range(3):
        bench.read_port(0x3F9)
    bench.write_port(0x3FF, 1)
    bench.read_port(0x40)
    bench.read_port(0x2E8)  # nobody's
    assert counts == {uart.id: 4, other.id: 1}
    bench.machine.ports.count_accesses(None)
    bench.read_port(0x3F9)
    assert counts == {uart.id: 4, other.id: 1}
