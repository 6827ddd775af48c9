"""CPUs that come while the machine runs."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import pytest
from southbridge import SouthbridgeError, hookimpl
from southbridge.life import ResetReason, RunState, ShutdownReason

from tests.core.fake_cpu import SPIN, FakeVcpu
from tests.core.fake_pc import CALL, Pc, Steps

FIRST, LATER = 0, 1


def machine(*functions: Callable[[Pc], Any], max_cpus: int = 4) -> Pc:
    """The first CPU has function 0 called on the main loop's thread; the others call function 1."""

    def guest(vcpu: FakeVcpu) -> Steps:
        vcpu.write_port(CALL, FIRST if vcpu.index == 0 else LATER)
        yield SPIN

    pc = Pc(guest)
    pc.machine.cpus.max = max_cpus
    first, *others = functions
    pc.call.functions.append(lambda: pc.machine.post(lambda: first(pc)))
    pc.call.functions.extend(lambda function=function: function(pc) for function in others)  # type: ignore[misc]
    return pc


def quit_machine(pc: Pc) -> None:
    pc.machine.request_shutdown(ShutdownReason.HOST_QUIT)


def test_a_cpu_that_came_waits_to_be_started() -> None:
    def plug(pc: Pc) -> None:
        pc.machine.hotplug.plug_cpu(2, "late")
        thread = pc.machine.cpus.thread_of(2)
        assert thread is not None
        states.append(thread.save().waiting_for_sipi)
        assert pc.machine.state is RunState.RUNNING
        with pc.machine.lock:
            pc.machine.cpus.send_startup(2, 0x9F)

    def started(pc: Pc) -> None:
        states.append(pc.machine.cpus.current)
        quit_machine(pc)

    states: list[Any] = []
    pc = machine(plug, started)
    told: list[int] = []

    class Watcher:
        @hookimpl
        def cpu_plugged(self, cpu: int) -> None:
            told.append(cpu)

    pc.machine.hooks.register(Watcher(), "watcher")
    pc.run()
    assert states == [True, 2]
    assert told == [2]
    assert pc.machine.cpus.plugged == {0: "", 2: "late"}
    vcpu = pc.machine.cpus.threads[1].vcpu
    assert isinstance(vcpu, FakeVcpu)
    assert vcpu.loads[-1].cs.base == 0x9F000


def test_cpus_that_come_in_any_order_are_told_by_their_number() -> None:
    def plug(pc: Pc) -> None:
        for index in (3, 1):
            pc.machine.hotplug.plug_cpu(index)
        indices.extend(thread.index for thread in pc.machine.cpus.threads)
        assert pc.machine.cpus.thread_of(2) is None
        with pc.machine.lock:
            pc.machine.cpus.send_init(2)  # nobody hears it
            pc.machine.cpus.send_startup(2, 1)
        quit_machine(pc)

    indices: list[int] = []
    machine(plug).run()
    assert indices == [0, 1, 3]


@pytest.mark.parametrize(
    ("index", "message"),
    [(0, "CPU 0 is there already"), (4, "no place for CPU 4: its CPUs are 0 to 3"), (-1, "CPU -1")],
)
def test_a_cpu_that_cant_come(index: int, message: str) -> None:
    def plug(pc: Pc) -> None:
        with pytest.raises(SouthbridgeError, match=message):
            pc.machine.hotplug.plug_cpu(index)
        quit_machine(pc)

    machine(plug).run()


def test_an_accelerator_that_cant_have_one_more_leaves_the_machine_as_it_was() -> None:
    def refuse(index: int) -> Any:
        raise SouthbridgeError("it has one CPU")

    def plug(pc: Pc) -> None:
        accelerator: Any = pc.machine.accelerator
        accelerator.create_vcpu = refuse
        with pytest.raises(SouthbridgeError, match="it has one CPU"):
            pc.machine.hotplug.plug_cpu(1)
        quit_machine(pc)

    pc = machine(plug)
    pc.run()
    assert pc.machine.cpus.plugged == {0: ""}


def test_one_that_comes_before_the_machine_runs_begins_with_the_others() -> None:
    pc = machine(quit_machine)
    pc.machine.hotplug.plug_cpu(1)
    pc.run()
    assert [thread.index for thread in pc.machine.cpus.threads] == [0, 1]


def test_after_a_reset_it_is_still_there() -> None:
    def step(pc: Pc) -> None:
        if 1 in pc.machine.cpus.plugged:
            quit_machine(pc)
        else:
            pc.machine.hotplug.plug_cpu(1)
            pc.machine.request_reset(ResetReason.HOST)

    pc = machine(step)
    pc.run()
    vcpu: Any = pc.machine.cpus.threads[1].vcpu
    assert pc.machine.cpus.plugged == {0: "", 1: ""}
    assert all(state.waiting_for_sipi for state in vcpu.loads)


def test_a_saved_state_has_the_cpus_that_came() -> None:
    def save(pc: Pc) -> None:
        pc.machine.hotplug.plug_cpu(2, "late")
        saved.append(pc.machine.save_state())
        quit_machine(pc)

    saved: list[dict[str, Any]] = []
    machine(save).run()
    assert saved[0]["plugged_cpus"] == [{"index": 0, "id": ""}, {"index": 2, "id": "late"}]

    anew = machine(quit_machine)
    anew.machine.load_state(copy.deepcopy(saved[0]))
    anew.call.functions[FIRST] = lambda: None
    anew.machine.post(lambda: quit_machine(anew))
    anew.run()
    assert anew.machine.cpus.plugged == {0: "", 2: "late"}
    assert [thread.index for thread in anew.machine.cpus.threads] == [0, 2]

    def load(pc: Pc) -> None:
        pc.machine.load_state(saved[0])
        quit_machine(pc)

    running = machine(load)
    running.run()
    assert [thread.index for thread in running.machine.cpus.threads] == [0, 2]
    with pytest.raises(SouthbridgeError, match="a machine with 3 CPUs; this one has 2"):
        machine(quit_machine, max_cpus=2).machine.load_state(saved[0])


def test_a_cpu_isnt_taken_out_by_a_state_without_it() -> None:
    def load(pc: Pc) -> None:
        before = pc.machine.save_state()
        pc.machine.hotplug.plug_cpu(1)
        with pytest.raises(SouthbridgeError, match="without CPU 1, which can't be taken out"):
            pc.machine.load_state(before)
        quit_machine(pc)

    machine(load).run()
