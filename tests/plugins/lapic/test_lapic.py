"""Local APICs: registers, messages, priorities, errors, LINT0 and LINT1, relocation, reset and saved state."""

from __future__ import annotations

from typing import Any

import pytest
from southbridge import RealizeError, SouthbridgeError
from southbridge.testing import Bench

from tests.plugins.lapic import apics as a
from tests.plugins.lapic.apics import Apics


@pytest.fixture
def one(bench: Bench) -> Apics:
    return Apics(bench)


@pytest.fixture
def four(bench: Bench) -> Apics:
    found = Apics(bench, 4)
    for cpu in range(4):
        found.write(a.LDR, 1 << 24 + cpu, cpu)
    return found


# --- registers -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("register", "value"),
    [
        (a.VERSION, 0x5_0014),
        (a.TPR, 0),
        (a.APR, 0),
        (a.PPR, 0),
        (a.RRD, 0),
        (a.LDR, 0),
        (a.DFR, 0xFFFF_FFFF),
        (a.SVR, 0xFF),
        (a.ESR, 0),
        (a.ICR_LOW, 0),
        (a.ICR_HIGH, 0),
        (a.LVT_TIMER, a.MASKED),
        (a.LVT_THERMAL, a.MASKED),
        (a.LVT_PERFORMANCE, a.MASKED),
        (a.LVT_LINT1, a.MASKED),
        (a.LVT_ERROR, a.MASKED),
        (a.INITIAL, 0),
        (a.CURRENT, 0),
        (a.DIVIDE, 0),
    ],
)
@pytest.mark.parametrize("cpu", [0, 1])
def test_values_after_a_reset(bench: Bench, register: int, value: int, cpu: int) -> None:
    apics = Apics(bench, 2, enable=False)
    assert apics.read(register, cpu) == value


def test_cpus_differ_after_a_reset(bench: Bench) -> None:
    apics = Apics(bench, 3, enable=False)
    assert [apics.read(a.ID, cpu) >> 24 for cpu in range(3)] == [0, 1, 2]
    assert [apics.read(a.LVT_LINT0, cpu) for cpu in range(3)] == [a.EXTINT, a.MASKED, a.MASKED]
    assert [bench.machine.msrs.read(cpu, a.MSR_BASE) for cpu in range(3)] == [0xFEE0_0900, 0xFEE0_0800, 0xFEE0_0800]


@pytest.mark.parametrize(
    ("register", "kept"),
    [
        (a.ID, 0xFF00_0000),
        (a.VERSION, 0),
        (a.TPR, 0xFF),
        (a.PPR, 0),
        (a.LDR, 0xFF00_0000),
        (a.SVR, 0x3FF),
        (a.ICR_HIGH, 0xFF00_0000),
        (a.LVT_TIMER, 0x3_00FF),
        (a.LVT_THERMAL, 0x1_07FF),
        (a.LVT_PERFORMANCE, 0x1_07FF),
        (a.LVT_LINT0, 0x1_A7FF),
        (a.LVT_LINT1, 0x1_A7FF),
        (a.LVT_ERROR, 0x1_00FF),
        (a.INITIAL, 0xFFFF_FFFF),
        (a.DIVIDE, 0xB),
    ],
)
def test_writable_bits(one: Apics, register: int, kept: int) -> None:
    before = one.read(register) if not kept else 0
    one.write(register, 0xFFFF_FFFF)
    assert one.read(register) == (kept or before)


def test_the_destination_format_has_ones_where_nothing_is(one: Apics) -> None:
    one.write(a.DFR, 0)
    assert one.read(a.DFR) == 0x0FFF_FFFF


def test_an_access_where_no_register_is_is_an_error(one: Apics) -> None:
    one.bench.read_mmio(a.BASE + 0x3F0)
    one.bench.write_mmio(a.BASE + 0x40, 1)
    assert one.read(a.ESR) == 0
    one.write(a.ESR, 0)
    assert one.read(a.ESR) == 0x80
    one.write(a.ESR, 0)
    assert one.read(a.ESR) == 0


@pytest.mark.parametrize("size", [1, 2])
def test_narrow_accesses_are_refused(one: Apics, size: int) -> None:
    one.bench.write_mmio(a.BASE + a.TPR, 0x55, size)
    assert one.read(a.TPR) == 0
    assert one.bench.read_mmio(a.BASE + a.TPR, size) == (1 << 8 * size) - 1
    assert any("TPR" in error for error in one.bench.guest_errors)


# --- acceptance and priorities ---------------------------------------------------------------------------------------


def test_an_interrupt_is_served_once(one: Apics) -> None:
    one.ipi(a.SELF | 0x51)
    assert (one.pending(), one.vectors(a.IRR), one.vectors(a.ISR)) == (0x51, [0x51], [])
    assert one.take() == 0x51
    assert (one.pending(), one.vectors(a.IRR), one.vectors(a.ISR)) == (None, [], [0x51])
    assert one.read(a.PPR) == 0x50
    one.write(a.EOI, 0)
    assert (one.vectors(a.ISR), one.read(a.PPR)) == ([], 0)
    assert one.ended == []


def test_the_same_vector_waits_while_it_is_served(one: Apics) -> None:
    one.ipi(a.SELF | 0x51)
    one.take()
    one.ipi(a.SELF | 0x51)
    one.ipi(a.SELF | 0x51)
    assert (one.pending(), one.vectors(a.IRR)) == (None, [0x51])
    one.write(a.EOI, 0)
    assert one.take() == 0x51
    one.write(a.EOI, 0)
    assert one.pending() is None


@pytest.mark.parametrize(
    ("tpr", "serving", "ppr"),
    [(0, None, 0), (0x35, None, 0x35), (0x35, 0x2F, 0x35), (0x35, 0x3F, 0x35), (0x35, 0x47, 0x40), (0, 0x47, 0x40)],
)
def test_processor_priority(one: Apics, tpr: int, serving: int | None, ppr: int) -> None:
    if serving is not None:
        one.ipi(a.SELF | serving)
        one.take()
    one.write(a.TPR, tpr)
    assert one.read(a.PPR) == ppr


def test_the_machine_is_told_only_of_another_outcome(one: Apics) -> None:
    one.ipi(a.SELF | 0x60)
    assert one.changes == 1
    one.ipi(a.SELF | 0x50)
    one.write(a.TPR, 0x40)
    assert one.changes == 1
    one.write(a.TPR, 0x60)
    assert (one.changes, one.pending()) == (2, None)
    one.apic().cr8 = 4
    assert (one.changes, one.pending()) == (3, 0x60)


def test_cr8_is_the_upper_half_of_the_task_priority(one: Apics) -> None:
    one.write(a.TPR, 0x9C)
    assert one.apic().cr8 == 9
    one.apic().cr8 = 0xA
    assert one.read(a.TPR) == 0xA0


def test_a_software_disabled_apic_takes_no_vectors_but_nmi_init_and_startup(bench: Bench) -> None:
    apics = Apics(bench, 2, enable=False)
    for data in (0x51, a.LOWEST | 0x51, a.LEVEL | a.ASSERT | 0x51):
        assert apics.msi(data, 1) is True
    assert apics.waiting() == [[], []]
    apics.msi(a.NMI, 1)
    apics.ipi(a.INIT | a.ASSERT, 1)
    apics.ipi(a.STARTUP | 0x9A, 1)
    assert apics.signals == [("nmi", 1), ("init", 1), ("startup", 1, 0x9A)]


def test_software_disable_masks_the_local_sources_and_keeps_what_waits(one: Apics) -> None:
    one.ipi(a.SELF | 0x51)
    for register in (a.LVT_TIMER, a.LVT_THERMAL, a.LVT_PERFORMANCE, a.LVT_LINT0, a.LVT_LINT1, a.LVT_ERROR):
        one.write(register, 0x70)
    one.write(a.SVR, 0xFF)
    for register in (a.LVT_TIMER, a.LVT_THERMAL, a.LVT_PERFORMANCE, a.LVT_LINT0, a.LVT_LINT1, a.LVT_ERROR):
        assert one.read(register) == a.MASKED | 0x70
        one.write(register, 0x71)
        assert one.read(register) == a.MASKED | 0x71
    assert one.pending() == 0x51


# --- to whom ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("low", "destination", "takers"),
    [
        (0x51, 2, [2]),
        (0x51, 9, []),
        (0x51, 0xFF, [0, 1, 2, 3]),
        (a.LOGICAL | 0x51, 0b0101, [0, 2]),
        (a.LOGICAL | 0x51, 0xF0, []),
        (a.LOGICAL | 0x51, 0xFF, [0, 1, 2, 3]),
        (a.SELF | 0x51, 0, [1]),
        (a.ALL | 0x51, 0, [0, 1, 2, 3]),
        (a.OTHERS | 0x51, 0, [0, 2, 3]),
        (a.LOWEST | a.LOGICAL | 0x51, 0b1100, [2]),
    ],
)
def test_destinations(four: Apics, low: int, destination: int, takers: list[int]) -> None:
    four.ipi(low, destination, cpu=1)
    assert [cpu for cpu, vectors in enumerate(four.waiting()) if vectors] == takers


@pytest.mark.parametrize(
    ("destination", "takers"),
    [(0x11, [0]), (0x13, [0, 1]), (0x21, [2]), (0xF1, [0, 2]), (0x31, []), (0xFF, [0, 1, 2, 3])],
)
def test_cluster_model(four: Apics, destination: int, takers: list[int]) -> None:
    for cpu, own in enumerate((0x11, 0x12, 0x21, 0x28)):
        four.write(a.DFR, 0x0FFF_FFFF, cpu)
        four.write(a.LDR, own << 24, cpu)
    four.msi(0x51, destination, logical=True)
    assert [cpu for cpu, vectors in enumerate(four.waiting()) if vectors] == takers


def test_lowest_priority_goes_to_the_cpu_with_the_least_important_task(four: Apics) -> None:
    for cpu, priority in enumerate((0x40, 0x30, 0x20, 0x30)):
        four.write(a.TPR, priority, cpu)
    four.msi(a.LOWEST | 0x51, 0xFF)
    assert four.waiting() == [[], [], [0x51], []]
    four.msi(0x61, 0b1011, logical=True, hint=True)
    assert four.waiting() == [[], [0x61], [0x51], []]


def test_lowest_priority_goes_to_the_focus_of_the_interrupt(four: Apics) -> None:
    four.msi(0x51, 3)
    four.msi(a.LOWEST | 0x51, 0xFF)
    assert four.waiting() == [[], [], [], [0x51]]
    four.write(a.SVR, 0x3FF, 3)  # focus checking off
    four.msi(a.LOWEST | 0x51, 0xFF)
    assert four.waiting() == [[0x51], [], [], [0x51]]


def test_lowest_priority_passes_over_disabled_cpus(four: Apics) -> None:
    four.write(a.SVR, 0xFF, 0)
    four.msi(a.LOWEST | 0x51, 0xFF)
    assert four.waiting() == [[], [0x51], [], []]


def test_init_and_startup(four: Apics) -> None:
    four.write(a.ID, 0x7700_0000, 1)
    four.write(a.TPR, 0x33, 1)
    four.msi(0x51, 0x77)
    four.ipi(a.INIT | a.ASSERT | a.LEVEL, 0x77)
    assert four.signals == [("init", 1)]
    assert (four.read(a.TPR, 1), four.read(a.SVR, 1), four.vectors(a.IRR, 1)) == (0, 0xFF, [])
    assert four.read(a.ID, 1) == 0x7700_0000
    four.ipi(a.INIT | a.LEVEL, 0x77)  # de-assert: does nothing
    four.ipi(a.STARTUP | 0x10, 0x77)
    four.ipi(a.OTHERS | a.STARTUP | 0x20)
    started = [("startup", cpu, 0x20) for cpu in (1, 2, 3)]
    assert four.signals == [("init", 1), ("startup", 1, 0x10), *started]


def test_other_messages_to_oneself_are_refused(four: Apics) -> None:
    for mode in (a.NMI, a.INIT, a.STARTUP, a.SMI):
        four.ipi(a.SELF | mode | 0x51)
    assert four.signals == []
    assert len(four.bench.guest_errors) == 4


@pytest.mark.parametrize("mode", [a.SMI, 3 << 8])
def test_what_is_not_there_is_a_guest_error(one: Apics, mode: int) -> None:
    assert one.msi(mode | 0x51) is True
    assert one.vectors(a.IRR) == []
    assert one.bench.guest_errors


# --- messages from outside -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("address", [0, 0xFED0_0000, 0xFEF0_0000, 0x1_FEE0_0000, 0xFDE0_0000])
def test_a_message_elsewhere_is_not_ours(one: Apics, address: int) -> None:
    assert not one.machine.hooks.msi_send(address, 0x51)
    assert one.pending() is None


def test_only_a_level_triggered_interrupts_end_is_broadcast(one: Apics) -> None:
    one.msi(a.LEVEL | a.ASSERT | 0x51)
    one.msi(0x61)
    assert one.vectors(a.TMR) == [0x51]
    for vector in (0x61, 0x51):
        assert one.take() == vector
        one.write(a.EOI, 0)
    assert one.ended == [0x51]
    one.msi(0x51)
    assert one.vectors(a.TMR) == []


def test_a_level_that_is_deasserted_is_no_interrupt(one: Apics) -> None:
    one.msi(a.LEVEL | 0x51)
    assert one.pending() is None


def test_a_device_cannot_start_a_cpu(four: Apics) -> None:
    four.msi(a.STARTUP | 0x51, 1)
    assert four.signals == []


# --- errors ----------------------------------------------------------------------------------------------------------


def errors(apics: Apics) -> int:
    apics.write(a.ESR, 0)
    return apics.read(a.ESR)


def test_illegal_vectors(one: Apics) -> None:
    one.ipi(a.SELF | 0x0F)
    assert errors(one) == 0x20
    one.msi(0x0F)
    assert errors(one) == 0x40
    assert one.vectors(a.IRR) == []


def test_an_error_interrupts_once(one: Apics) -> None:
    one.write(a.LVT_ERROR, 0xE1)
    one.ipi(a.SELF | 1)
    assert one.take() == 0xE1
    one.write(a.EOI, 0)
    one.ipi(a.SELF | 1)
    assert one.pending() is None
    assert errors(one) == 0x20
    one.ipi(a.SELF | 1)
    assert one.pending() == 0xE1


def test_an_error_interrupt_with_an_illegal_vector_is_no_endless_error(one: Apics) -> None:
    one.write(a.LVT_ERROR, 0x01)
    one.msi(0x02)
    one.ipi(a.SELF | 2)
    assert errors(one) == 0x60
    assert one.pending() is None


# --- the 8259A and LINT0, NMI and LINT1 ------------------------------------------------------------------------------


class Pic:
    """Stands for the 8259A."""

    def __init__(self) -> None:
        self.vector: int | None = 0x08
        self.taken: list[int] = []

    def pending_vector(self) -> int | None:
        return self.vector

    def acknowledge(self, vector: int) -> None:
        self.taken.append(vector)
        self.vector = None


def with_pic(apics: Apics) -> Pic:
    apics.machine.interrupt_controller = pic = Pic()
    return pic


def test_after_a_reset_lint0_passes_the_8259a_to_the_first_cpu(bench: Bench) -> None:
    apics = Apics(bench, 2, enable=False)
    pic = with_pic(apics)
    assert [apics.pending(cpu) for cpu in (0, 1)] == [0x08, None]
    assert apics.take() == 0x08
    assert pic.taken == [0x08]
    assert (apics.vectors(a.ISR), apics.pending()) == ([], None)


def test_lint0_passes_the_8259a_only_as_extint(one: Apics) -> None:
    with_pic(one)
    for value, vector in ((a.EXTINT, 0x08), (a.EXTINT | a.MASKED, None), (0x51, None), (a.EXTINT | 0x51, 0x08)):
        one.write(a.LVT_LINT0, value)
        assert one.pending() == vector


def test_extint_bypasses_priorities(one: Apics) -> None:
    pic = with_pic(one)
    one.write(a.LVT_LINT0, a.EXTINT)
    one.write(a.TPR, 0xFF)
    one.ipi(a.SELF | 0x51)
    assert one.take() == 0x08
    assert one.pending() is None
    one.write(a.TPR, 0)
    assert one.take() == 0x51
    assert pic.taken == [0x08]


def test_the_8259as_vector_may_be_one_of_the_apics(one: Apics) -> None:
    pic = with_pic(one)
    pic.vector = 0x51
    one.write(a.LVT_LINT0, a.EXTINT)
    one.ipi(a.SELF | 0x51)
    assert (one.take(), one.vectors(a.ISR)) == (0x51, [])
    assert (one.take(), one.vectors(a.ISR)) == (0x51, [0x51])
    assert pic.taken == [0x51]


def test_a_vector_of_the_8259a_that_it_withdrew_meanwhile_is_acknowledged_there(one: Apics) -> None:
    pic = with_pic(one)
    one.write(a.LVT_LINT0, a.EXTINT)
    assert one.pending() == 0x08
    pic.vector = None
    one.apic().acknowledge(0x08)
    assert pic.taken == [0x08]


def test_an_extint_message_asks_the_8259a_once(one: Apics) -> None:
    pic = with_pic(one)
    one.write(a.LVT_LINT0, a.MASKED)
    assert one.pending() is None
    one.msi(a.EXTINT)
    assert one.take() == 0x08
    pic.vector = 0x09
    assert one.pending() is None


def test_the_spurious_vector_does_not_go_into_service(one: Apics) -> None:
    pic = with_pic(one)
    one.write(a.LVT_LINT0, a.MASKED)
    one.write(a.SVR, 0x1EF)
    one.apic().acknowledge(0xEF)
    assert one.vectors(a.ISR) == []
    assert pic.taken == []


def test_lint1(bench: Bench) -> None:
    apics = Apics(bench, 2)
    apics.device.nmi()
    assert apics.signals == []
    apics.write(a.LVT_LINT1, a.NMI, 1)
    apics.device.nmi()
    assert apics.signals == [("nmi", 1)]
    apics.write(a.LVT_LINT1, 0x51, 1)
    apics.device.nmi()
    assert apics.waiting() == [[], [0x51]]
    apics.write(a.LVT_LINT1, a.INIT, 1)
    apics.device.nmi()
    assert apics.signals == [("nmi", 1), ("init", 1)]


# --- IA32_APIC_BASE --------------------------------------------------------------------------------------------------


def set_base(apics: Apics, value: int, cpu: int = 0) -> bool:
    done: bool = apics.machine.msrs.write(cpu, a.MSR_BASE, value)
    return done


def test_switched_off_the_8259a_reaches_the_first_cpu(bench: Bench) -> None:
    apics = Apics(bench, 2)
    with_pic(apics)
    for cpu in (0, 1):
        apics.write(a.LVT_LINT0, a.MASKED, cpu)
        assert set_base(apics, 0xFEE0_0000, cpu)
    assert apics.machine.msrs.read(0, a.MSR_BASE) == 0xFEE0_0100
    assert [apics.pending(cpu) for cpu in (0, 1)] == [0x08, None]
    assert apics.read(a.VERSION) == 0xFFFF_FFFF  # nothing is there
    apics.msi(0x51, 0xFF)
    apics.device.nmi()
    assert apics.signals == [("nmi", 0), ("nmi", 1)]
    assert set_base(apics, 0xFEE0_0800)
    assert (apics.read(a.SVR), apics.vectors(a.IRR)) == (0xFF, [])


@pytest.mark.parametrize("value", [0xFEE0_0C00, 0xFEE0_0801, 0xFEE0_0A00, 1 << 40 | 0x800, 1 << 63])
def test_reserved_bits_of_the_base_are_refused(one: Apics, value: int) -> None:
    assert not set_base(one, value)
    assert one.machine.msrs.read(0, a.MSR_BASE) == 0xFEE0_0900


def test_the_page_can_be_moved(bench: Bench) -> None:
    apics = Apics(bench, 2)
    assert set_base(apics, 0x20_0000 | 0x800, 1)
    apics.write(a.TPR, 0x11, 0)
    assert apics.read(a.TPR, 1) == 0xFFFF_FFFF  # not its own
    assert bench.read_mmio(0x20_0000 + a.ID) == 1 << 24
    apics.be(0)
    assert bench.read_mmio(0x20_0000 + a.ID) == 0xFFFF_FFFF
    assert set_base(apics, 0x20_0800, 0)
    assert bench.read_mmio(0x20_0000 + a.TPR) == 0x11
    assert set_base(apics, 0xFEE0_0800, 0)
    assert set_base(apics, 0xFEE0_0800, 1)
    bench.write_mmio(0x20_0000, 0x1234)
    assert bench.read_memory(0x20_0000, 2) == b"\x34\x12"  # memory again


def test_a_reset_brings_it_back(bench: Bench) -> None:
    apics = Apics(bench, 2)
    set_base(apics, 0x20_0800, 0)
    set_base(apics, 0xFEE0_0000, 1)
    apics.device.reset()
    assert [apics.read(a.ID, cpu) >> 24 for cpu in (0, 1)] == [0, 1]


# --- the device ------------------------------------------------------------------------------------------------------


def test_a_second_one_is_refused(one: Apics) -> None:
    with pytest.raises(RealizeError, match="have local APICs already"):
        one.bench.plug("lapic", "another")
    one.ipi(a.SELF | 0x51)
    assert one.pending() == 0x51


def test_unplugged_the_cpus_have_none(one: Apics) -> None:
    one.bench.machine.unplug(one.device)
    assert one.machine.cpus.local_apics == {}
    assert one.machine.msrs.read(0, a.MSR_BASE) is None or a.MSR_BASE in one.machine.cpu.msrs
    assert not one.machine.hooks.msi_send(a.BASE, 0x51)


def busy(bench: Bench) -> Apics:
    apics = Apics(bench, 2, deadline=True)
    apics.msi(a.LEVEL | a.ASSERT | 0x51, 1)
    apics.take(1)
    apics.msi(0x61, 1)
    apics.write(a.TPR, 0x20)
    apics.write(a.LVT_TIMER, a.PERIODIC | 0x71)
    apics.write(a.INITIAL, 1000)
    set_base(apics, 0x20_0800, 1)
    return apics


def test_state_is_restored(bench: Bench) -> None:
    apics = busy(bench)
    saved = apics.device.save()
    apics.device.reset()
    assert apics.pending(1) is None
    apics.device.load(saved)
    assert apics.device.save() == saved
    assert apics.pending(1) == 0x61
    apics.be(1)
    assert bench.read_mmio(0x20_0000 + a.ID) == 1 << 24
    bench.clock.advance(ns=1999)
    assert apics.pending() is None
    bench.clock.advance(ns=1)
    assert apics.pending() == 0x71


def test_a_state_without_timers_has_them_set_anew(bench: Bench) -> None:
    """Accelerators that play local APICs give back registers and counts, not timers of ours."""
    apics = busy(bench)
    saved = apics.device.save()
    assert saved["parts"]["apics[0]"]["parts"]["timer"]["timers"].pop("expire")["deadline"] == 2000
    apics.device.load(saved)
    bench.clock.advance(ns=2000)
    assert apics.pending() == 0x71


def test_a_state_of_another_number_of_cpus_is_refused(bench: Bench) -> None:
    apics = Apics(bench, 2)
    saved = apics.device.save()
    del saved["parts"]["apics[1]"]
    with pytest.raises(SouthbridgeError, match=r"apics\[1\]"):
        apics.device.load(saved)


@pytest.mark.parametrize(
    ("name", "value"), [("base", 0xFEE0_0D00), ("base", 1 << 60), ("irr", 1 << 256), ("isr", -1), ("errors", 0x100)]
)
def test_a_wrong_state_is_refused(one: Apics, name: str, value: Any) -> None:
    saved = one.device.save()
    before = one.device.save()
    saved["parts"]["apics[0]"]["state"][name] = value
    with pytest.raises(SouthbridgeError, match=name):
        one.device.load(saved)
    assert one.device.save() == before
