"""Several CPUs: INIT, startup IPIs, and which of them makes an access."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

from southbridge import ShutdownReason, X86State

from tests.core.fake_cpu import SPIN, FakeVcpu
from tests.core.fake_pc import CALL, EXIT, Pc, Steps

START, NOTE = 0, 1


def two_cpus(guest: Callable[[FakeVcpu], Steps], *functions: Callable[[Pc], Any]) -> Pc:
    pc = Pc(guest, cpus=2)
    for function in functions:
        pc.call.functions.append(lambda function=function: function(pc))  # type: ignore[misc]
    return pc


def second(pc: Pc) -> FakeVcpu:
    vcpu = pc.machine.cpus.threads[1].vcpu
    assert isinstance(vcpu, FakeVcpu)
    return vcpu


def test_the_second_cpu_waits_until_it_is_started() -> None:
    def guest(vcpu: FakeVcpu) -> Steps:
        vcpu.write_port(CALL, START if vcpu.index == 0 else NOTE)
        yield SPIN

    def start(pc: Pc) -> None:
        pc.machine.cpus.send_startup(1, 0x9F)

    def note(pc: Pc) -> None:
        accesses.append((pc.machine.cpus.current, threading.current_thread().name))
        pc.machine.request_shutdown(ShutdownReason.GUEST_SHUTDOWN)

    accesses: list[tuple[int, str]] = []
    pc = two_cpus(guest, start, note)
    pc.run()
    assert accesses == [(1, "vcpu1")]
    state = second(pc).loads[-1]
    assert (state.cs.selector, state.cs.base, state.rip) == (0x9F00, 0x9F000, 0)
    assert not state.waiting_for_sipi
    assert pc.machine.cpus.current == 0
    assert pc.machine.cpus.by_thread == {}


def test_a_startup_ipi_for_a_cpu_that_runs_is_ignored() -> None:
    def guest(vcpu: FakeVcpu) -> Steps:
        vcpu.write_port(CALL, START)
        vcpu.write_port(EXIT, 0)
        yield SPIN

    pc = two_cpus(guest, lambda pc: pc.machine.cpus.send_startup(0, 0x10))
    pc.run()
    assert len(pc.vcpu.loads) == 1


def test_init_stops_the_second_cpu_until_it_is_started_again() -> None:
    """As operating systems start a CPU: INIT, then the startup IPI."""
    runs: list[int] = []

    def guest(vcpu: FakeVcpu) -> Steps:
        if vcpu.index == 0:
            vcpu.write_port(CALL, START)
        else:
            runs.append(len(vcpu.loads))
            vcpu.write_port(CALL, NOTE)
        yield SPIN

    def start(pc: Pc) -> None:
        pc.machine.cpus.send_init(1)
        pc.machine.cpus.send_startup(1, 0x20)

    def note(pc: Pc) -> None:
        if len(runs) < 3:
            start(pc)
        else:
            pc.machine.request_shutdown(ShutdownReason.GUEST_SHUTDOWN)

    pc = two_cpus(guest, start, note)
    pc.run()
    assert len(runs) == 3
    assert second(pc).loads[-1].cs.base == 0x20000


def test_init_of_the_first_cpu_starts_it_at_the_reset_vector() -> None:
    def guest(vcpu: FakeVcpu) -> Steps:
        vcpu.write_port(CALL, START if len(vcpu.loads) == 1 else NOTE)
        yield SPIN

    pc = two_cpus(
        guest,
        lambda pc: pc.machine.cpus.send_init(0),
        lambda pc: pc.machine.request_shutdown(ShutdownReason.GUEST_SHUTDOWN),
    )
    pc.run()
    assert pc.vcpu.loads[-1].rip == 0xFFF0
    assert pc.vcpu.loads[-1].registers[2] == pc.machine.cpu.signature


def test_init_keeps_what_the_manual_says() -> None:
    state = X86State(rip=0x1234, cr0=0x2000_0011, mxcsr=0x1F00, fpu_control=0x27F)
    state.msrs = {0xC000_0080: 0xD01, 0xC000_0082: 0x55}
    state.vector[3] = 77
    after = state.after_init()
    assert (after.rip, after.cs.base, after.cr0) == (0xFFF0, 0xFFFF_0000, 0x2000_0010)
    assert (after.mxcsr, after.fpu_control, after.vector[3]) == (0x1F00, 0x27F, 77)
    assert after.msrs == {0xC000_0082: 0x55}


def test_a_saved_state_knows_which_cpus_wait() -> None:
    def guest(vcpu: FakeVcpu) -> Steps:
        vcpu.write_port(CALL, START)
        yield SPIN

    def save(pc: Pc) -> None:
        def now() -> None:
            states.extend(pc.machine.save_state()["cpus"])
            pc.machine.request_shutdown(ShutdownReason.HOST_QUIT)

        pc.machine.post(now)

    states: list[dict[str, Any]] = []
    two_cpus(guest, save).run()
    assert [state["waiting_for_sipi"] for state in states] == [False, True]
