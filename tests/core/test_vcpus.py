"""CPUs that halt, wake and shut down."""

from __future__ import annotations

import threading

import pytest
from southbridge import AcceleratorFailure, ResetReason, RunState, ShutdownReason, SouthbridgeError, vcpus

from tests.core.fake_cpu import HLT, SHUTDOWN, SPIN, FakeVcpu
from tests.core.fake_pc import (
    CALL,
    EXIT,
    WATCHDOG_S,
    Pc,
    Steps,
    Timekeeper,
    halts,
    other_thread,
    spins,
    wait_until_halted,
)


@pytest.mark.parametrize("delay", [0, 1, 2_000_000])
def test_a_halted_cpu_wakes_by_a_devices_timer(delay: int) -> None:
    pc = Pc(halts)
    pc.plug(Timekeeper, delay=delay)
    assert pc.run().reason is ShutdownReason.GUEST_SHUTDOWN
    assert pc.vcpu.vectors == pc.pic.taken == [0x25]


def test_a_halted_cpu_wakes_by_an_interrupt_from_another_thread() -> None:
    pc = Pc(halts)

    def interrupt() -> None:
        with pc.machine.lock:
            pc.pic.pin.set(True)

    pc.machine.post(lambda: wait_until_halted(pc))
    pc.machine.post(lambda: other_thread(interrupt))
    pc.run()
    assert pc.vcpu.vectors == [0x25]


def test_an_interrupt_that_waits_as_the_cpu_halts_wakes_it() -> None:
    def guest(vcpu: FakeVcpu) -> Steps:
        for _ in range(100):
            vcpu.write_port(CALL, 0)
            yield HLT
        vcpu.write_port(EXIT, 0)

    pc = Pc(guest)
    pc.call.functions.append(lambda: pc.pic.pin.set(True))
    pc.run()
    assert len(pc.vcpu.vectors) == 100


def test_a_reset_wakes_a_halted_cpu() -> None:
    def guest(vcpu: FakeVcpu) -> Steps:
        if len(vcpu.loads) > 1:
            vcpu.write_port(EXIT, 0)
        yield HLT

    pc = Pc(guest)
    pc.machine.request_reset(ResetReason.HOST)
    assert pc.run().reason is ShutdownReason.GUEST_SHUTDOWN


def test_a_triple_fault_resets_the_machine() -> None:
    def guest(vcpu: FakeVcpu) -> Steps:
        if len(vcpu.loads) == 1:
            yield SHUTDOWN
        vcpu.write_port(EXIT, 0)
        yield SPIN

    pc = Pc(guest)
    reasons: list[ResetReason] = []
    pc.machine.on_guest_reset = lambda reason: not reasons.append(reason)  # type: ignore[func-returns-value]
    assert pc.run().reason is ShutdownReason.GUEST_SHUTDOWN
    assert reasons == [ResetReason.TRIPLE_FAULT]
    assert len(pc.vcpu.loads) == 2


def test_a_cpu_that_cannot_go_on_ends_the_machine() -> None:
    def guest(vcpu: FakeVcpu) -> Steps:
        yield HLT
        raise AcceleratorFailure("an instruction that nobody knows")

    pc = Pc(guest)
    pc.plug(Timekeeper)
    with pytest.raises(AcceleratorFailure, match="nobody knows"):
        pc.run()
    assert pc.events[-1] == ("stopped", ShutdownReason.HOST_ERROR)
    assert pc.vcpu.closed


def test_a_cpu_that_cannot_be_made_ends_the_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    pc = Pc(spins)

    def refuse(index: int) -> FakeVcpu:
        raise SouthbridgeError("no CPU today")

    monkeypatch.setattr(pc.accelerator, "create_vcpu", refuse)
    with pytest.raises(SouthbridgeError, match="no CPU today"):
        pc.run()
    assert pc.machine.state is RunState.SHUTDOWN


def test_a_cpu_that_does_not_leave_the_guest_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(vcpus, "PATIENCE", 0.0)
    leave, entered = threading.Event(), threading.Event()

    def guest(vcpu: FakeVcpu) -> Steps:
        entered.set()
        leave.wait()
        yield SPIN

    def wait_until_inside() -> None:
        assert entered.wait(WATCHDOG_S), "the guest doesn't run"

    pc = Pc(guest)
    pc.machine.post(wait_until_inside)
    pc.machine.request_pause()
    try:
        with pytest.raises(SouthbridgeError, match="vCPU 0 didn't"):
            pc.run()
    finally:
        leave.set()
