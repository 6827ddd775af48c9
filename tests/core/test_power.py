"""Sleeping and waking, and the power button."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
from southbridge import Device, ResetReason, RunState, ShutdownReason, SouthbridgeError, State, hookimpl
from southbridge.life import WakeReason

from tests.core.fake_cpu import FakeAccelerator
from tests.core.fake_pc import Pc, calls, exits, spins


class Keeper(Device):
    """Keeps a value while the machine sleeps, and has another reset."""

    kept: int = State(0)
    lost: int = State(0)

    def wake(self) -> None:
        kept = self.kept
        super().wake()
        self.kept = kept


class Button(Device):
    presses = 0

    @hookimpl
    def machine_powerdown(self) -> bool:
        self.presses += 1
        return True


class Sleeper:
    """Sleeps and wakes, and writes down what it sees of that."""

    def __init__(self, pc: Pc) -> None:
        self.pc = pc
        self.seen: list[Any] = []
        pc.machine.hooks.register(self, "sleeper")

    @hookimpl
    def machine_suspended(self) -> None:
        machine = self.pc.machine
        self.seen.append((machine.state, machine.clock.running, self.pc.vcpu.inside))

    @hookimpl
    def machine_woken(self, reason: WakeReason) -> None:
        self.seen.append(reason)


def sleeping(*then: Callable[[Pc], Any]) -> tuple[Pc, Sleeper]:
    """A machine that ran: its guest slept, and each of `then` was done to it, one turn of the main loop each."""
    pc = Pc(calls(0))
    sleeper = Sleeper(pc)

    def sleep() -> None:
        pc.call.functions[0] = lambda: pc.machine.request_shutdown(ShutdownReason.GUEST_SHUTDOWN)
        pc.machine.power.request_suspend()
        for step in then:
            pc.machine.post(partial(step, pc))

    pc.call.functions.append(sleep)
    return pc, sleeper


def test_time_passes_while_it_sleeps_and_no_cpu_runs() -> None:
    pc, sleeper = sleeping(lambda pc: pc.machine.power.request_wake(WakeReason.RTC))
    pc.run()
    assert sleeper.seen == [(RunState.SUSPENDED, True, False), WakeReason.RTC]
    assert pc.events == ["reset", "resumed", ("stopped", ShutdownReason.GUEST_SHUTDOWN)], "waking is no reset"
    assert len(pc.vcpu.loads) == 2, "but the CPU begins anew"
    assert pc.call.resets == 2, "and so does a device that has no power"


def test_a_device_keeps_what_it_says() -> None:
    pc, _ = sleeping(lambda pc: pc.machine.power.request_wake(WakeReason.OTHER))
    keeper = pc.plug(Keeper)

    def fill(pc: Pc) -> None:
        keeper.kept = keeper.lost = 7

    pc.machine.post(partial(fill, pc))
    pc.run()
    assert (keeper.kept, keeper.lost) == (7, 0)


def test_a_reset_ends_sleep() -> None:
    pc, sleeper = sleeping(lambda pc: pc.machine.request_reset(ResetReason.HOST))
    pc.run()
    assert len(sleeper.seen) == 1
    assert pc.events.count("reset") == 2
    assert not pc.machine.power.suspended


def test_it_may_be_paused_asleep_and_woken_paused() -> None:
    states = []

    def look(pc: Pc) -> None:
        states.append((pc.machine.state, pc.machine.power.suspended))

    pc, _ = sleeping(
        lambda pc: pc.machine.pause(),
        look,
        lambda pc: pc.machine.resume(),
        look,
        lambda pc: pc.machine.pause(),
        lambda pc: pc.machine.power.system_wakeup(),
        lambda pc: pc.machine.post(lambda: look(pc)),
        lambda pc: pc.machine.post(pc.machine.resume),
    )
    pc.run()
    assert states == [(RunState.PAUSED, True), (RunState.SUSPENDED, True), (RunState.PAUSED, False)]


def test_a_guest_that_sleeps_just_when_it_is_paused_sleeps() -> None:
    """The request to sleep is served after the one to pause."""
    pc = Pc(calls(0))
    states: list[Any] = []

    def both() -> None:
        machine = pc.machine
        machine.request_pause()
        machine.power.request_suspend()
        machine.post(lambda: states.append((machine.state, machine.power.suspended)))
        machine.request_resume()
        machine.post(lambda: states.append((machine.state, machine.power.suspended)))
        machine.request_shutdown(ShutdownReason.HOST_QUIT)

    pc.call.functions.append(both)
    pc.run()
    assert states == [(RunState.PAUSED, True), (RunState.SUSPENDED, True)]


def test_its_state_is_saved_and_loaded_asleep() -> None:
    saved: list[Any] = []

    def save(pc: Pc) -> None:
        saved.append(pc.machine.save_state())
        pc.machine.request_shutdown(ShutdownReason.HOST_QUIT)

    pc, _ = sleeping(save)
    pc.run()
    other = Pc(calls(0))
    sleeper = Sleeper(other)
    other.machine.load_state(saved[0])
    other.call.functions.append(lambda: other.machine.request_shutdown(ShutdownReason.GUEST_SHUTDOWN))
    states = []
    other.machine.post(lambda: states.append(other.machine.state))
    other.machine.post(lambda: other.machine.power.request_wake(WakeReason.BUTTON))
    other.run()
    assert states == [RunState.SUSPENDED]
    assert sleeper.seen == [WakeReason.BUTTON]


def test_its_accelerator_is_exchanged_asleep() -> None:
    states = []
    pc, sleeper = sleeping(
        lambda pc: pc.machine.swap_accelerator(FakeAccelerator(exits)),
        lambda pc: states.append(pc.machine.state),
        lambda pc: pc.machine.power.request_wake(WakeReason.RTC),
    )
    assert pc.run().reason is ShutdownReason.GUEST_SHUTDOWN
    assert states == [RunState.SUSPENDED]
    assert sleeper.seen[-1] is WakeReason.RTC


def test_waking_one_that_is_awake_does_nothing() -> None:
    pc = Pc(spins)
    pc.machine.post(lambda: pc.machine.power.request_wake(WakeReason.RTC))
    pc.machine.post(lambda: pc.machine.request_shutdown(ShutdownReason.HOST_QUIT))
    pc.run()
    assert len(pc.vcpu.loads) == 1
    with pytest.raises(SouthbridgeError, match="isn't suspended"):
        pc.machine.power.system_wakeup()


def test_the_button() -> None:
    pc = Pc(spins)
    with pytest.raises(SouthbridgeError, match="pc has no power button"):
        pc.machine.power.system_powerdown()
    button = pc.plug(Button)
    pc.machine.request_powerdown()
    assert button.presses == 1
