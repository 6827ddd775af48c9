"""Another accelerator takes over a running machine, or doesn't; machines' states are saved and loaded."""

from __future__ import annotations

import copy
import threading
from collections.abc import Callable
from typing import Any

import pytest
from southbridge import (
    AcceleratorFailure,
    Machine,
    RunState,
    ShutdownReason,
    SouthbridgeError,
    Vcpu,
    X86State,
    hookimpl,
)
from southbridge.cpu_models import CpuModel
from southbridge.memory.regions import Section

from tests.core.fake_cpu import SPIN, FakeAccelerator, FakeVcpu, Guest
from tests.core.fake_pc import EXIT, Pc, Steps, calls, spins

Step = Callable[[Pc], Any]


class Successor(FakeAccelerator):
    """Takes over, unless `refuses` says where it fails; its CPUs count in RAX how often they were saved."""

    def __init__(self, guest: Guest, refuses: str = "") -> None:
        super().__init__(guest)
        self.refuses = refuses
        self.sections: list[int] = []
        self.clocks: list[int] = []

    def check_cpu(self, model: CpuModel) -> None:
        if self.refuses == "model":
            raise SouthbridgeError(f"it has no avx2, which {model.name} has")

    def create_vcpu(self, index: int) -> Vcpu:
        assert self.machine is not None
        if self.refuses == "create":
            raise SouthbridgeError("no more CPUs")
        assert not self.machine.clock.running
        self.clocks.append(self.machine.clock.now())
        self.vcpu = SuccessorVcpu(self.machine, self.guest)
        self.vcpu.refuses = self.refuses == "load"
        return self.vcpu

    @hookimpl
    def memory_region_added(self, section: Section) -> None:
        self.sections.append(section.start)


class SuccessorVcpu(FakeVcpu):
    refuses = False

    def load(self, state: X86State) -> None:
        if self.refuses:
            raise ValueError("CR4 is unlikely")
        super().load(state)

    def save(self) -> X86State:
        state = copy.deepcopy(super().save())
        state.registers[0] += 1
        return state


def pc_with_steps(*steps: Step) -> Pc:
    """A PC whose guest has each of `steps` called on the main loop's thread, one after the other, then ends."""
    pc = Pc(calls(*range(len(steps))))
    for step in steps:
        pc.call.functions.append(lambda step=step: pc.machine.post(lambda: step(pc)))  # type: ignore[misc]
    return pc


def exits_with(status: int) -> Guest:
    def guest(vcpu: FakeVcpu) -> Steps:
        vcpu.write_port(EXIT, status)
        yield SPIN

    return guest


def quit_machine(machine: Machine) -> None:
    machine.request_shutdown(ShutdownReason.HOST_QUIT)


def test_a_running_machine_goes_on_with_another_accelerator() -> None:
    new = Successor(exits_with(5))

    def swap(pc: Pc) -> None:
        pc.machine.swap_accelerator(new)
        assert pc.machine.accelerator is new
        assert pc.vcpu.closed
        assert pc.accelerator.machine is None
        assert new.sections == [section.start for section in pc.machine.memory.sections]

    pc = pc_with_steps(swap)
    assert pc.run().status == 5
    assert new.vcpu is not None
    assert new.vcpu.loads == pc.vcpu.loads
    assert "paused" not in pc.events


def test_each_gets_the_state_of_the_one_before() -> None:
    second, third = Successor(spins), Successor(exits_with(7))

    def swap(pc: Pc) -> None:
        pc.machine.swap_accelerator(second)
        pc.machine.swap_accelerator(third)

    pc = pc_with_steps(swap)
    assert pc.run().status == 7
    assert third.vcpu is not None
    assert third.vcpu.loads[0].registers[0] == pc.vcpu.loads[0].registers[0] + 1
    assert 0 < second.clocks[0] <= third.clocks[0]


@pytest.mark.parametrize(
    ("refuses", "message"),
    [
        ("create", "Successor can't take over: no more CPUs; FakeAccelerator goes on"),
        ("load", "Successor can't take over: CR4 is unlikely; FakeAccelerator goes on"),
        ("model", "it has no avx2, which portable has"),
    ],
)
def test_one_that_cannot_take_over_leaves_the_old_one_going(refuses: str, message: str) -> None:
    new = Successor(spins, refuses)

    def swap(pc: Pc) -> None:
        with pytest.raises(SouthbridgeError) as caught:
            pc.machine.swap_accelerator(new)
        assert str(caught.value) == message
        assert pc.machine.accelerator is pc.accelerator
        assert pc.machine.state is RunState.RUNNING
        assert new.machine is None
        assert not pc.vcpu.closed
        pc.vcpu.kick()  # out of its spinning: it goes on

    assert pc_with_steps(swap).run().reason is ShutdownReason.GUEST_SHUTDOWN


def test_a_paused_machine_stays_paused() -> None:
    new = Successor(exits_with(3))
    states: list[RunState] = []

    def swap(pc: Pc) -> None:
        pc.machine.request_pause()
        pc.machine.post(lambda: pc.machine.swap_accelerator(new))
        pc.machine.post(lambda: states.append(pc.machine.state))
        pc.machine.request_resume()

    assert pc_with_steps(swap).run().status == 3
    assert states == [RunState.PAUSED]


def on_another_thread(pc: Pc, work: Callable[[], None]) -> None:
    """Runs the machine; `work` is done on a thread of its own meanwhile."""
    thread = threading.Thread(target=work)
    pc.call.functions.append(thread.start)
    pc.run()
    thread.join()


def test_another_thread_may_ask_for_it() -> None:
    done: list[str] = []

    def swap() -> None:
        pc.machine.swap_accelerator(Successor(spins))
        done.append("swapped")
        quit_machine(pc.machine)

    pc = Pc(calls(0))
    on_another_thread(pc, swap)
    assert done == ["swapped"]


def test_what_the_main_loop_calls_gives_its_result_to_other_threads() -> None:
    results: list[object] = []

    def refuse() -> None:
        raise SouthbridgeError("no")

    def ask() -> None:
        results.append(pc.machine.call(lambda: 17))
        with pytest.raises(SouthbridgeError, match="no"):
            pc.machine.call(refuse)
        quit_machine(pc.machine)

    pc = Pc(calls(0))
    on_another_thread(pc, ask)
    assert results == [17]
    assert pc.machine.call(lambda: 18) == 18  # no main loop any more


# --- an accelerator that can't go on ------------------------------------------------------------------------------


def fails(vcpu: FakeVcpu) -> Steps:
    raise AcceleratorFailure("this instruction is beyond it")
    yield SPIN


def test_the_next_accelerator_takes_over_from_one_that_cannot_go_on(caplog: pytest.LogCaptureFixture) -> None:
    pc = Pc(fails)
    pc.machine.fallbacks = [lambda: Successor(fails), lambda: Successor(exits_with(4))]
    assert pc.run().status == 4
    warnings = [record.message for record in caplog.records if record.levelname == "WARNING"]
    assert warnings == ["pc: this instruction is beyond it; going on with Successor"] * 2


def test_without_another_one_the_machine_ends() -> None:
    pc = Pc(fails)
    pc.machine.fallbacks = [lambda: Successor(fails)]
    with pytest.raises(AcceleratorFailure, match="beyond it"):
        pc.run()


# --- states of machines -------------------------------------------------------------------------------------------


def test_a_saved_state_comes_back_in_another_machine() -> None:
    saved: list[dict[str, Any]] = []

    def save(pc: Pc) -> None:
        pc.call.NUMBER.value = 0x21
        saved.append(pc.machine.save_state())
        quit_machine(pc.machine)

    pc_with_steps(save).run()
    second = Pc(exits_with(1))
    second.machine.load_state(copy.deepcopy(saved[0]))
    assert second.run().status == 1
    assert second.call.NUMBER.value == 0x21
    assert second.vcpu.loads[-1] == X86State.from_dict(saved[0]["cpus"][0])
    assert second.machine.clock.now() >= saved[0]["clock"] > 0


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda state: state["devices"].pop("Pic"), "a machine with other devices: Pic"),
        (lambda state: state["cpus"].append(state["cpus"][0]), "has 2 of its 1 CPUs"),
        (lambda state: state.update(plugged_cpus=[{"index": 1, "id": ""}]), "a machine with 2 CPUs; this one has 1"),
        (lambda state: state["plugged_cpus"].append({"index": 0, "id": ""}), "plugged_cpus: not in their order"),
        (lambda state: state["cpus"][0].update(rip=-1), "not a CPU state: rip"),
        (lambda state: state["msrs"].append({}), "saved model-specific registers: they are of another CPU model"),
        (lambda state: state["devices"]["CallPort"].update(version=9), "saved state of CallPort: version 9"),
    ],
)
def test_a_state_of_another_machine_is_refused(spoil: Callable[[Any], None], message: str) -> None:
    def load(pc: Pc) -> None:
        state = pc.machine.save_state()
        spoil(state)
        with pytest.raises(SouthbridgeError) as caught:
            pc.machine.load_state(state)
        assert message in str(caught.value)
        quit_machine(pc.machine)

    pc_with_steps(load).run()
