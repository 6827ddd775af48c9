"""The CPU's state: exact in both directions, and what KVM refuses is named."""

from __future__ import annotations

import dataclasses
import time

import pytest
from southbridge.x86 import MSR_TSC, PendingEvent, X86State

from tests.accelerators.kvm.guest import KvmMachine
from tests.accelerators.unicorn.guest import real_mode
from tests.accelerators.unicorn.test_state import MODES, filled, virtual_8086

PLAUSIBLE = {
    0x174: 8,
    0x175: 0xFFFF_8000_0000_5678,
    0x176: 0xFFFF_8000_0000_ABCD,
    0x1A0: 1,
    0x200: 0x8000_0006,
    0x201: 0xFF_8000_0800,
    0x250: 0x0606_0606_0606_0606,
    0x26F: 0x0505_0505_0505_0505,
    0x277: 0x0007_0106_0007_0106,
    0x2FF: 0xC06,
    0xC000_0081: 0x23_0010_0000_0000,
    0xC000_0082: 0xFFFF_8000_0000_1234,
    0xC000_0084: 0x4_7700,
    0xC000_0102: 0x7FFF_1234_5678,
    0xC000_0103: 7,
}
"""KVM takes only values that the manuals allow."""


def plausible(state: X86State, seed: int) -> X86State:
    efer = {number: value for number, value in state.msrs.items() if number == 0xC000_0080}
    return dataclasses.replace(filled(state, seed), msrs={**PLAUSIBLE, **efer})


@pytest.mark.parametrize("mode", [mode for mode in MODES if mode not in ("v86", "software-interrupt")])
@pytest.mark.parametrize("seed", [1, 2])
def test_save_gives_what_was_loaded(machine: KvmMachine, mode: str, seed: int) -> None:
    state = plausible(MODES[mode](machine), seed)
    machine.vcpu.load(state)
    saved = machine.vcpu.save()
    assert {number: saved.msrs[number] for number in state.msrs} == state.msrs
    assert dataclasses.replace(saved, msrs={}) == dataclasses.replace(state, msrs={})
    machine.new_vcpu().load(saved)
    again = machine.vcpu.save()
    del saved.msrs[MSR_TSC], again.msrs[MSR_TSC]
    assert again == saved


def test_the_rate_of_the_time_stamp_counter_is_known(machine: KvmMachine) -> None:
    start, counter = time.monotonic_ns(), machine.vcpu.tsc()
    while time.monotonic_ns() - start < 20_000_000:
        pass
    counted = machine.vcpu.tsc() - counter
    rate = counted * 1_000_000_000 / (time.monotonic_ns() - start)
    assert machine.tsc_hz == pytest.approx(rate, rel=0.2)


def test_int_n_is_executed_again(machine: KvmMachine) -> None:
    """RIP still points at it; KVM is told nothing."""
    machine.vcpu.load(real_mode(event=PendingEvent(0x80, software=True)))
    assert machine.vcpu.save().event is None


def test_virtual_8086_mode_is_taken_or_refused_by_name(machine: KvmMachine) -> None:
    state = plausible(virtual_8086(machine), 1)
    try:
        machine.vcpu.load(state)
    except ValueError as error:
        assert str(error) == "the CPU is in virtual-8086 mode, which this host's KVM doesn't have"
    else:
        assert machine.vcpu.save().rflags == state.rflags


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"in_smm": True}, "system management mode"),
        ({"msrs": {0x3A: 5}}, "the model-specific register 0x3a is 0x5"),
        ({"msrs": {0x200: 0x99}}, "model-specific register 0x200"),
        ({"xcr0": 0xFFFF_0001}, "XCR0"),
        ({"event": PendingEvent(0x20, external=True)}, "IF is clear"),
        ({"cr4": 1 << 40}, "the control registers and segments"),
    ],
)
def test_what_it_cannot_take_is_named(machine: KvmMachine, change: dict[str, object], named: str) -> None:
    state = dataclasses.replace(real_mode(), **change)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match=named):
        machine.vcpu.load(state)
    machine.vcpu.load(real_mode())


def test_a_masked_nmi_does_not_end_hlt(machine: KvmMachine) -> None:
    machine.vcpu.load(real_mode(halted=True, nmi_masked=True, nmi_pending=True))
    assert not machine.vcpu.wakes()
    machine.vcpu.load(real_mode(halted=True, nmi_pending=True))
    assert machine.vcpu.wakes()
