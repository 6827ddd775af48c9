"""Pausing, going on, resetting."""

from __future__ import annotations

from typing import Any

import pytest
from southbridge import ResetReason, RunState, ShutdownReason, X86State
from southbridge.vcpus import VcpuThread
from southbridge.x86 import MSR_TSC

from tests.core.fake_pc import Pc, calls, halts, spins, wait_until_halted

# --- pausing ----------------------------------------------------------------------------------------------------------


class Pause:
    """Pauses a machine, looks around, and has it go on."""

    def __init__(self, pc: Pc) -> None:
        self.pc = pc
        self.seen: list[tuple[Any, ...]] = []

    def __call__(self) -> None:
        self.pc.machine.request_pause()
        self.pc.machine.post(self.look)
        self.pc.machine.request_resume()

    def look(self) -> None:
        machine = self.pc.machine
        self.seen.append((machine.state, machine.clock.running, self.pc.vcpu.inside))


def test_a_paused_machine_stands_still_and_goes_on_where_it_was() -> None:
    pc = Pc(calls(0, 0))
    pause = Pause(pc)
    pc.call.functions.append(pause)
    pc.run()
    assert pause.seen == [(RunState.PAUSED, False, False)] * 2
    assert pc.events == ["reset", "resumed", *["paused", "resumed"] * 2, ("stopped", ShutdownReason.GUEST_SHUTDOWN)]
    assert len(pc.vcpu.loads) == 1


def test_pausing_and_resuming_twice_is_once() -> None:
    pc = Pc(calls(0))

    def twice() -> None:
        for request in (pc.machine.request_pause, pc.machine.request_resume):
            request()
            request()

    pc.call.functions.append(twice)
    pc.run()
    assert pc.events[:4] == ["reset", "resumed", "paused", "resumed"]


@pytest.mark.parametrize("settles", [False, True])
@pytest.mark.parametrize(("asked", "status"), [("request_pause", "paused"), ("request_suspend", "suspended")])
def test_what_is_asked_while_the_machine_is_held_is_done(asked: str, status: str, settles: bool) -> None:
    """A device asks for it while a snapshot is saved, or just before."""
    pc = Pc(calls(0))
    states: list[RunState] = []

    def hold() -> None:
        with pc.machine.held():
            getattr(pc.machine if asked == "request_pause" else pc.machine.power, asked)()
            if settles:
                pc.machine.settle()
            states.append(pc.machine.state)
        states.append(pc.machine.state)
        pc.machine.request_shutdown(ShutdownReason.HOST_QUIT)

    pc.call.functions.append(lambda: pc.machine.post(hold))
    pc.run()
    assert states == [RunState.SAVE_VM, RunState(status)]


def test_a_halted_cpu_is_still_halted_after_a_pause() -> None:
    pc = Pc(halts)
    pause = Pause(pc)

    def twice() -> None:
        wait_until_halted(pc)
        pause()
        pause()
        pc.machine.request_shutdown(ShutdownReason.HOST_QUIT)

    pc.machine.post(twice)
    assert pc.run().reason is ShutdownReason.HOST_QUIT
    assert pause.seen == [(RunState.PAUSED, False, False)] * 2
    assert pc.vcpu.vectors == []


def test_a_machine_may_end_while_it_is_paused() -> None:
    pc = Pc(spins)
    pc.machine.request_pause()
    pc.machine.post(lambda: pc.machine.request_shutdown(ShutdownReason.HOST_QUIT))
    assert pc.run().reason is ShutdownReason.HOST_QUIT
    assert pc.events == ["reset", "resumed", "paused", ("stopped", ShutdownReason.HOST_QUIT)]


def test_time_stands_still_in_a_pause() -> None:
    pc = Pc(spins)
    times: list[int] = []

    def look() -> None:
        times.append(pc.machine.clock.now())
        if len(times) == 3:
            pc.machine.request_shutdown(ShutdownReason.HOST_QUIT)

    pc.machine.request_pause()
    for _ in range(3):
        pc.machine.post(look)
    pc.run()
    assert len(set(times)) == 1


def test_a_reset_leaves_the_time_stamp_counter_alone() -> None:
    pc = Pc(calls(0))

    def reset() -> None:
        pc.vcpu.counter = 100
        pc.call.functions[0] = pc.vcpu.kick
        pc.machine.request_reset(ResetReason.HOST)

    pc.call.functions.append(reset)
    pc.run()
    assert [state.msrs for state in pc.vcpu.loads] == [{}, {MSR_TSC: 100}]


@pytest.mark.parametrize(("reason", "resets"), [(ResetReason.GUEST, 1), (ResetReason.HOST, 2)])
def test_a_guest_that_asks_for_two_resets_is_reset_once(reason: ResetReason, resets: int) -> None:
    """It goes on for a moment, and may ask by another device too. The host gets what it asks for."""
    pc = Pc(calls(0))

    def ask() -> None:
        pc.call.functions[0] = pc.vcpu.kick
        pc.machine.request_reset(reason)
        pc.machine.request_reset(reason)

    pc.call.functions.append(ask)
    pc.run()
    assert pc.events.count("reset") == 1 + resets


@pytest.mark.parametrize("known", [True, False])
def test_the_time_stamp_counter_stands_still_in_a_pause(known: bool) -> None:
    pc = Pc(calls(0))

    def pause() -> None:
        pc.vcpu.counter = 100 if known else None
        pc.machine.request_pause()
        pc.machine.post(pass_time)
        pc.machine.request_resume()

    def pass_time() -> None:
        pc.vcpu.counter = 500

    pc.call.functions.append(pause)
    pc.run()
    assert pc.vcpu.counter == (100 if known else 500)


def test_what_is_saved_in_a_pause_has_the_counter_that_stands_still() -> None:
    """However long the pause was until then: the clock is saved as it stands, too."""
    pc = Pc(spins)
    saved: list[int] = []

    def pause() -> None:
        pc.vcpu.counter = 100
        pc.machine.request_pause()
        pc.machine.post(save)

    def save() -> None:
        pc.vcpu.counter = 500
        saved.append(pc.machine.cpus.threads[0].save().msrs[MSR_TSC])
        pc.machine.request_shutdown(ShutdownReason.GUEST_SHUTDOWN)

    pc.machine.post(pause)
    pc.run()
    assert saved == [100]


def test_a_cpu_that_is_loaded_in_a_pause_has_its_counter_from_there() -> None:
    """However long the pause goes on: so after an exchange of the accelerator, or for a saved state."""
    pc = Pc(spins)

    def pause() -> None:
        pc.vcpu.counter = 100
        pc.machine.request_pause()
        pc.machine.post(load)

    def load() -> None:
        thread = pc.machine.cpus.threads[0]
        state = thread.save()
        state.msrs[MSR_TSC] = 7
        thread.load(state)
        pc.vcpu.counter = 500
        pc.machine.request_resume()
        pc.machine.post(lambda: pc.machine.request_shutdown(ShutdownReason.GUEST_SHUTDOWN))

    pc.machine.post(pause)
    pc.run()
    assert pc.vcpu.counter == 7


# --- reset ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("reason", ResetReason)
def test_a_reset_starts_devices_and_cpu_anew(reason: ResetReason) -> None:
    pc = Pc(calls(0))
    pc.machine.a20.set("test", False)

    def reset_once() -> None:
        if pc.call.resets < 2:
            pc.machine.request_reset(reason)
        else:
            pc.machine.request_shutdown(ShutdownReason.GUEST_SHUTDOWN)

    pc.call.functions.append(reset_once)
    pc.run()
    assert pc.events[1:] == ["reset", "resumed", "reset", ("stopped", ShutdownReason.GUEST_SHUTDOWN)]
    assert pc.call.resets == 2
    power_on = X86State(a20=False)
    power_on.registers[2] = pc.machine.cpu.signature
    assert pc.vcpu.loads == [power_on] * 2


@pytest.mark.parametrize(
    ("reason", "ends"),
    [
        (ResetReason.GUEST, True),
        (ResetReason.KEYBOARD, True),
        (ResetReason.TRIPLE_FAULT, True),
        (ResetReason.HOST, False),
    ],
)
def test_a_machine_may_be_told_to_end_instead_when_its_guest_resets_it(reason: ResetReason, ends: bool) -> None:
    pc = Pc(spins)
    asked: list[ResetReason] = []

    def refuse(why: ResetReason) -> bool:
        asked.append(why)
        return False

    pc.machine.on_guest_reset = refuse
    pc.machine.request_reset(reason)
    pc.machine.request_shutdown(ShutdownReason.HOST_QUIT)
    assert pc.run().reason is (ShutdownReason.GUEST_RESET if ends else ShutdownReason.HOST_QUIT)
    assert asked == ([reason] if ends else [])
    assert pc.events.count("reset") == (1 if ends else 2)


def test_a_reset_of_a_paused_machine_leaves_it_paused(monkeypatch: pytest.MonkeyPatch) -> None:
    pc = Pc(spins)
    resumed: list[VcpuThread] = []
    monkeypatch.setattr(VcpuThread, "resume", lambda thread: resumed.append(thread))
    states: list[tuple[RunState, bool]] = []
    pc.machine.request_pause()
    pc.machine.request_reset(ResetReason.HOST)
    pc.machine.post(lambda: states.append((pc.machine.state, pc.vcpu.inside)))
    pc.machine.request_shutdown(ShutdownReason.HOST_QUIT)
    pc.run()
    assert states == [(RunState.PAUSED, False)]
    assert len(resumed) == 1
    assert len(pc.vcpu.loads) == 2


@pytest.mark.parametrize("reason", [ResetReason.GUEST, ResetReason.HOST])
def test_a_reset_ends_a_machine_whose_accelerator_cant_reset_it(reason: ResetReason) -> None:
    pc = Pc(spins)
    assert pc.machine.accelerator is not None
    pc.machine.accelerator.resets = False
    pc.machine.request_reset(reason)
    assert pc.run().reason is ShutdownReason.GUEST_RESET
