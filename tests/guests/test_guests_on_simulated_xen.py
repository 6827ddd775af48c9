"""Guests whose hypervisor is the simulated Xen, alone and in turn with the software CPU."""

from __future__ import annotations

from pathlib import Path

import pytest
from southbridge import Machine
from southbridge.accelerators.kvm import KvmAccelerator
from southbridge.accelerators.xen import XenAccelerator
from southbridge.accelerators.xen.mapcache import Statistics
from southbridge.builder import build
from southbridge.description import load
from southbridge.life import ShutdownReason
from southbridge.units import KiB, MiB

from tests.guests import expect
from tests.guests.build import disk_guest
from tests.guests.conversation import plain
from tests.guests.southbridge import describe, run_southbridge
from tests.guests.swaps import UNICORN, Marks, Plan, machine_for, named, run_machine
from tests.guests.test_snapshots import DISK_PASSES, restored, save_at
from tests.guests.test_swaps import MANY

usable = KvmAccelerator.availability()

ACCELERATOR = "{type: xen, hypervisor: simulated, bucket: 64K, budget: 1M}"
LONG_ENOUGH_S = 120.0


def xen(machine: Machine) -> XenAccelerator:
    accelerator = XenAccelerator(hypervisor="simulated", bucket=64 * KiB, budget=MiB)
    accelerator.name = "xen"
    return accelerator


def on_xen(description: Path) -> Path:
    with description.open("a") as file:
        file.write(f"accelerator: {ACCELERATOR}\n")
    return description


def mapcache_of(machine: Machine) -> Statistics:
    assert isinstance(machine.accelerator, XenAccelerator)
    return machine.accelerator.cache.statistics


def test_firmware_finds_nothing_to_boot(tmp_path: Path) -> None:
    description = on_xen(describe(tmp_path, more="debug: {type: debugcon, chardev: debug}"))
    with description.open("a") as file:
        file.write("chardevs:\n  debug: {type: stdio}\n  serial0: {type: 'null'}\n")
    result = run_southbridge(description, until=b"No bootable device.", timeout_s=LONG_ENOUGH_S)
    for line in (b"Running on QEMU (i440fx)", b"PS2 keyboard initialized", b"Found 1 serial ports"):
        assert line in result.output


def test_cpu_guest_passes(cpu_guest: Path, tmp_path: Path) -> None:
    result = run_southbridge(on_xen(describe(tmp_path, image=cpu_guest)), timeout_s=LONG_ENOUGH_S)
    assert expect.cpu_failures(expect.parse_cpu_report(result.output)) == {}
    assert plain(result.output).endswith(expect.CPU_DONE)
    assert result.status == expect.CPU_EXIT_STATUS


def test_apic_guest_passes(apic_guest: Path, tmp_path: Path) -> None:
    result = run_southbridge(on_xen(describe(tmp_path, image=apic_guest)), timeout_s=LONG_ENOUGH_S)
    assert expect.cpu_failures(expect.parse_cpu_report(result.output), expect.APIC_SOURCES) == {}
    assert plain(result.output).endswith(expect.CPU_DONE)


def test_disk_is_read_through_a_small_mapcache(images: Path, tmp_path: Path) -> None:
    """A guest of 256 MiB, of which 1 MiB is mapped at most: what it read by DMA is right, and nearly all hits."""
    image, crc = disk_guest(images, sectors=16384, passes=3)
    description = on_xen(describe(tmp_path, image=image))
    serial = tmp_path / "serial.out"
    with description.open("a") as file:
        file.write(f"chardevs:\n  serial0: {{type: file, path: '{serial}'}}\n")
    machine = build(load(str(description), ["memory=256M"]))
    ran = run_machine(machine, serial, Plan(0, 0))
    assert expect.disk_crc(ran.output) == crc
    assert expect.parse_cpu_report(ran.output) == dict.fromkeys(expect.DISK_CHECKS, "ok")
    statistics = mapcache_of(machine)
    print(f"{statistics.hit_rate:.4%} of {statistics.hits + statistics.misses} accesses")
    assert statistics.hit_rate > 0.99
    assert statistics.most_mapped <= MiB
    assert statistics.locked == 0


def test_ticks_guest_counts_no_more_than_the_clock(ticks_guest_image: Path, tmp_path: Path) -> None:
    result = run_southbridge(on_xen(describe(tmp_path, image=ticks_guest_image)), timeout_s=LONG_ENOUGH_S)
    phases = expect.ticks_phases(result.output)
    assert list(phases) == expect.ticks_phase_names()
    for phase in phases.values():
        assert phase.too_many() == []
    assert expect.parse_cpu_report(result.output) == dict.fromkeys(expect.TICKS_CHECKS, "ok")


# --- exchanges ---------------------------------------------------------------------------------------------------


def test_cpu_guest_under_exchanges(cpu_guest: Path, tmp_path: Path) -> None:
    machine, serial = machine_for(tmp_path, cpu_guest)
    ran = run_machine(machine, serial, Plan(5, MANY, to=[xen, UNICORN], accesses=60, clock_ns=4_000_000))
    assert len(ran.swaps) >= 50
    assert expect.cpu_failures(expect.parse_cpu_report(ran.output)) == {}
    assert plain(ran.output).endswith(expect.CPU_DONE)


def test_disk_guest_under_exchanges(images: Path, tmp_path: Path) -> None:
    image, crc = disk_guest(images, sectors=16384, passes=3)
    machine, serial = machine_for(tmp_path, image)
    plan = Plan(6, MANY, to=[xen, UNICORN], accesses=20, clock_ns=2_000_000, delay_ns=200_000)
    ran = run_machine(machine, serial, plan)
    assert len(ran.swaps) >= 50
    assert ran.outcome.reason is ShutdownReason.GUEST_SHUTDOWN
    assert expect.disk_crc(ran.output) == crc
    assert expect.parse_cpu_report(ran.output) == dict.fromkeys(expect.DISK_CHECKS, "ok")


@pytest.mark.skipif(not usable.usable, reason=f"KVM: {usable.reason}")
def test_disk_guest_in_turn_with_kvm(images: Path, tmp_path: Path) -> None:
    image, crc = disk_guest(images, sectors=4096, passes=3)
    machine, serial = machine_for(tmp_path, image)
    plan = Plan(3, 30, to=[named("kvm"), xen], firmware=False, accesses=20, clock_ns=2_000_000, delay_ns=200_000)
    ran = run_machine(machine, serial, plan)
    assert ran.swaps.count("xen") >= 3
    assert expect.disk_crc(ran.output) == crc
    assert expect.parse_cpu_report(ran.output) == dict.fromkeys(expect.DISK_CHECKS, "ok")


def test_ticks_guest_under_exchanges(ticks_guest_image: Path, tmp_path: Path) -> None:
    """The hypervisor's timers lose no ticks that the guest could have taken, and give none twice."""
    machine, serial = machine_for(tmp_path, ticks_guest_image)
    marks = Marks(machine)
    ran = run_machine(machine, serial, Plan(7, MANY, to=[xen, UNICORN], accesses=MANY, clock_ns=15_000_000))
    assert len(ran.swaps) >= 50
    assert expect.parse_cpu_report(ran.output) == dict.fromkeys(expect.TICKS_CHECKS, "ok")
    phases = expect.ticks_phases(ran.output)
    for phase, marked in zip(phases.values(), marks.phases, strict=True):
        assert phase.too_many() == []
        assert abs(phase.rtc - marked.rtc) <= 1, (phase, marked)


@pytest.mark.parametrize("seed", [1, 2])
def test_apic_guest_under_exchanges(apic_guest: Path, tmp_path: Path, seed: int) -> None:
    machine, serial = machine_for(tmp_path, apic_guest)
    plan = Plan(seed, MANY, to=[xen, UNICORN], firmware=False, accesses=30, clock_ns=4_000_000)
    ran = run_machine(machine, serial, plan)
    assert ran.swaps
    assert expect.cpu_failures(expect.parse_cpu_report(ran.output), expect.APIC_SOURCES) == {}


# --- snapshots ---------------------------------------------------------------------------------------------------


@pytest.fixture
def runtime(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "run").mkdir()
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path / "run"))


@pytest.mark.usefixtures("runtime")
@pytest.mark.parametrize(("source", "target"), [("xen", "unicorn"), ("unicorn", "xen"), ("xen", "xen")])
def test_a_guest_goes_on_from_a_snapshot(source: str, target: str, images: Path, tmp_path: Path) -> None:
    image, crc = disk_guest(images, sectors=256, passes=DISK_PASSES)
    choices = {"xen": ACCELERATOR, "unicorn": "unicorn"}
    both = f"[{choices[source]}, {choices['xen' if source == 'unicorn' else 'unicorn']}]"
    snapshot = tmp_path / "snapshot"
    before = save_at(5, describe(tmp_path, image=image), both, snapshot)
    output = before + restored(snapshot, target)
    assert expect.disk_crc(output) == crc
    assert expect.parse_cpu_report(output) == dict.fromkeys(expect.DISK_CHECKS, "ok")
