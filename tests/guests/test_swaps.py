"""Guests under which the accelerator is exchanged, as often as they last: they come to the same end as undisturbed.

Where /dev/kvm can be used, KVM is one of the accelerators.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.guests import expect
from tests.guests.conversation import plain
from tests.guests.swaps import Marks, Plan, Ran, machine_for, run_machine

MANY = 10_000
"""As many as there is time for."""


def run_swapped(folder: Path, image: Path, plan: Plan) -> Ran:
    machine, serial = machine_for(folder, image)
    ran = run_machine(machine, serial, plan)
    assert ran.outcome.status == expect.CPU_EXIT_STATUS, ran.output[-500:]
    return ran


@pytest.mark.parametrize("seed", [1, 2])
def test_cpu_guest(cpu_guest: Path, tmp_path: Path, seed: int) -> None:
    """At least 200 exchanges at seeded moments, in every mode of the CPU: the report is that of an undisturbed run."""
    undisturbed = run_swapped(tmp_path, cpu_guest, Plan(0, 0))
    ran = run_swapped(tmp_path, cpu_guest, Plan(seed, MANY, accesses=60, clock_ns=4_000_000))
    assert len(ran.swaps) >= 200
    assert expect.cpu_failures(expect.parse_cpu_report(ran.output)) == {}
    assert ran.output == undisturbed.output


@pytest.mark.parametrize("seed", [1, 2])
def test_disk_guest(disk_guest_image: tuple[Path, int], tmp_path: Path, seed: int) -> None:
    """At least 50 exchanges while the disk is read by DMA: the CRC is right, and each command has one interrupt."""
    image, crc = disk_guest_image
    ran = run_swapped(tmp_path, image, Plan(seed, MANY, accesses=25, clock_ns=1_000_000, delay_ns=200_000))
    assert len(ran.swaps) >= 50
    assert expect.disk_crc(ran.output) == crc
    assert expect.parse_cpu_report(ran.output) == dict.fromkeys(expect.DISK_CHECKS, "ok")


@pytest.mark.parametrize("seed", [1, 2])
def test_ticks_guest(ticks_guest_image: Path, tmp_path: Path, seed: int) -> None:
    """At least 50 exchanges while timers tick: each tick of the timers is one interrupt, and they keep to the clock."""
    machine, serial = machine_for(tmp_path, ticks_guest_image)
    marks = Marks(machine)
    ran = run_machine(machine, serial, Plan(seed, MANY, accesses=MANY, clock_ns=15_000_000))
    assert len(ran.swaps) >= 50
    assert expect.parse_cpu_report(ran.output) == dict.fromkeys(expect.TICKS_CHECKS, "ok")
    phases = expect.ticks_phases(ran.output)
    assert list(phases) == expect.ticks_phase_names()
    assert len(marks.phases) == len(phases)
    for phase, marked in zip(phases.values(), marks.phases, strict=True):
        assert phase.too_many() == []
        assert phase.too_few() == []
        assert abs(phase.rtc - marked.rtc) <= 1, (phase, marked)
        assert phase.irq0 <= marked.irq0 + 1 <= marked.seconds * phase.rates[0] + 2, (phase, marked)
        assert phase.seconds <= marked.seconds + 0.001, (phase, marked)
        if not phase.stalls:
            assert phase.seconds >= marked.seconds - 0.02, (phase, marked)
    assert plain(ran.output).endswith(expect.CPU_DONE)
