"""CPUs that come: the bits at AF00h, and the event."""

from __future__ import annotations

import pytest
from southbridge import SouthbridgeError
from southbridge.qmp.cpus import plug_cpu
from southbridge.testing import Bench

PRESENT, GPE0_STS = 0xAF00, 0xAFE0


def test_a_cpu_that_comes_is_an_event(bench: Bench) -> None:
    machine = bench.machine
    bench.plug("piix4_acpi", addr="01.3")
    machine.cpus = 12
    machine.plugged_cpus = {0: ""}
    assert [bench.read_port(PRESENT + place, 1) for place in (0, 1, 31)] == [1, 0, 0]
    assert bench.read_port(GPE0_STS, 2) == 0
    plug_cpu(machine, "cpu-9", {"socket_id": 9, "core_id": 0, "thread_id": 0})
    assert [bench.read_port(PRESENT + place, 1) for place in (0, 1)] == [1, 2]
    assert bench.read_port(GPE0_STS, 2) == 4
    bench.write_port(PRESENT, 1, 0)
    assert bench.read_port(PRESENT, 1) == 1
    with pytest.raises(SouthbridgeError, match="CPU 9 is there already"):
        plug_cpu(machine, "again", {"socket_id": 9, "core_id": 0, "thread_id": 0})
