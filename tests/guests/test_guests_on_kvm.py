"""Guests on this host's KVM, beside QEMU's use of it: what ours gets wrong, QEMU gets wrong too.

Some hosts' KVM has gaps. So the CPU guest runs in parts; where one fails, QEMU tells whether that is KVM's doing.
"""

from __future__ import annotations

from itertools import cycle
from pathlib import Path

import pytest
from southbridge.accelerator import AcceleratorFailure
from southbridge.accelerators.kvm import KvmAccelerator

from tests.guests import expect
from tests.guests.build import disk_guest
from tests.guests.conversation import plain
from tests.guests.kvm_gaps import HANGS_S, failed_checks, part_image, qemu_failures
from tests.guests.southbridge import describe, run_southbridge
from tests.guests.swaps import UNICORN, Make, Marks, Plan, machine_for, run_machine
from tests.guests.test_swaps import MANY

usable = KvmAccelerator.availability()
pytestmark = pytest.mark.skipif(not usable.usable, reason=f"KVM: {usable.reason}")

LONG_ENOUGH_S = 120.0
PARTS = sorted(expect.cpu_parts())
MODES = ("on", "split", "off")


def kvm(mode: str) -> Make:
    return lambda machine: with_name(KvmAccelerator(kernel_irqchip=mode))


def with_name(accelerator: KvmAccelerator) -> KvmAccelerator:
    accelerator.name = "kvm"
    return accelerator


@pytest.mark.parametrize("cpus", [1, 2])
@pytest.mark.parametrize("mode", MODES)
def test_firmware_finds_its_cpus_and_nothing_to_boot(tmp_path: Path, mode: str, cpus: int) -> None:
    """Of several CPUs it starts the others by INIT and startup IPIs, whoever plays the local APICs."""
    description = describe(tmp_path, more="debug: {type: debugcon, chardev: debug}")
    with description.open("a") as file:
        file.write(f"accelerator: {{type: kvm, kernel_irqchip: '{mode}'}}\ncpus: {cpus}\n")
        file.write("chardevs:\n  debug: {type: stdio}\n  serial0: {type: 'null'}\n")
    result = run_southbridge(description, until=b"No bootable device.", timeout_s=LONG_ENOUGH_S)
    assert b"PS2 keyboard initialized" in result.output
    assert b"Found %d cpu(s) max supported %d cpu(s)" % (cpus, cpus) in result.output


@pytest.mark.parametrize("mode", MODES)
def test_boots_from_a_disk(images: Path, tmp_path: Path, mode: str) -> None:
    image, crc = disk_guest(images, sectors=64, passes=1)
    description = describe(tmp_path, image=image)
    with description.open("a") as file:
        file.write(f"accelerator: {{type: kvm, kernel_irqchip: '{mode}'}}\n")
    result = run_southbridge(description, timeout_s=LONG_ENOUGH_S)
    assert expect.disk_crc(result.output) == crc
    assert expect.parse_cpu_report(result.output) == dict.fromkeys(expect.DISK_CHECKS, "ok")
    assert result.status == expect.CPU_EXIT_STATUS


@pytest.mark.parametrize("part", PARTS)
def test_part_of_the_cpu_guest(images: Path, tmp_path: Path, part: str) -> None:
    """Each check is right, or one that QEMU's KVM fails on this host."""
    machine, serial = machine_for(tmp_path, part_image(images, part))
    plan = Plan(1, 1, to=[kvm("on")], fallback=None, firmware=False, accesses=1, patience_s=HANGS_S)
    try:
        output = run_machine(machine, serial, plan).output
    except (AcceleratorFailure, AssertionError):
        output = serial.read_bytes()
    failed = failed_checks(part, output)
    if failed:
        theirs, _ = qemu_failures(images, part)
        assert failed <= theirs, plain(output).decode(errors="replace")


@pytest.mark.parametrize(("part", "mode"), list(zip(PARTS, cycle(MODES), strict=False)))
def test_part_of_the_cpu_guest_under_exchanges(images: Path, tmp_path: Path, part: str, mode: str) -> None:
    """Between unicorn, which takes over from KVM's internal errors too, and KVM: as right as on one of them."""
    theirs, internal = qemu_failures(images, part)
    if theirs and not internal:
        pytest.skip(f"/dev/kvm: under QEMU too, this host's KVM fails {', '.join(sorted(theirs))}")
    machine, serial = machine_for(tmp_path, part_image(images, part))
    plan = Plan(
        len(part), MANY, to=[kvm(mode), UNICORN], firmware=False, accesses=30, clock_ns=4_000_000, delay_ns=1_000_000
    )
    output = run_machine(machine, serial, plan).output
    forgotten = {name for name in theirs if "shadow" in name}  # kvm_pvm forgets interrupt shadows
    assert failed_checks(part, output) <= forgotten, plain(output).decode(errors="replace")
    assert plain(output).endswith(expect.CPU_DONE)


@pytest.mark.parametrize("mode", MODES)
def test_disk_guest_under_exchanges(images: Path, tmp_path: Path, mode: str) -> None:
    image, crc = disk_guest(images, sectors=16384, passes=3)
    swaps = 0
    for _ in range(10):  # one run has enough exchanges, unless the host has little time for them
        machine, serial = machine_for(tmp_path, image)
        plan = Plan(3, MANY, to=[kvm(mode), UNICORN], firmware=False, accesses=20, clock_ns=2_000_000, delay_ns=200_000)
        ran = run_machine(machine, serial, plan)
        assert expect.disk_crc(ran.output) == crc
        assert expect.parse_cpu_report(ran.output) == dict.fromkeys(expect.DISK_CHECKS, "ok")
        swaps += len(ran.swaps)
        if swaps >= 50:
            break
    assert swaps >= 50


@pytest.mark.parametrize("mode", MODES)
def test_ticks_guest_under_exchanges(ticks_guest_image: Path, tmp_path: Path, mode: str) -> None:
    """KVM's own timer loses no ticks that the guest could have taken, and gives none twice; nor does ours under KVM."""
    machine, serial = machine_for(tmp_path, ticks_guest_image)
    marks = Marks(machine)
    plan = Plan(4, MANY, to=[kvm(mode), UNICORN], firmware=False, accesses=MANY, clock_ns=15_000_000)
    ran = run_machine(machine, serial, plan)
    assert len(ran.swaps) >= 50
    assert expect.parse_cpu_report(ran.output) == dict.fromkeys(expect.TICKS_CHECKS, "ok")
    phases = expect.ticks_phases(ran.output)
    assert list(phases) == expect.ticks_phase_names()
    for phase, marked in zip(phases.values(), marks.phases, strict=True):
        assert phase.too_many() == []
        assert abs(phase.rtc - marked.rtc) <= 1, (phase, marked)
        assert phase.irq0 <= marked.seconds * phase.rates[0] + len(ran.swaps) / 10 + 2, (phase, marked)
