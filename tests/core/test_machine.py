"""A machine from its first reset to its end, and what it is made of."""

from __future__ import annotations

import threading
from functools import partial

import pytest
from southbridge import (
    GiB,
    Machine,
    MiB,
    PluginError,
    ResetReason,
    RunState,
    ShutdownReason,
    SouthbridgeError,
    hookimpl,
)
from southbridge.life import Outcome
from southbridge.memory.regions import Ram, Section

from tests.core.fake_cpu import SPIN, FakeAccelerator, FakeVcpu, Guest
from tests.core.fake_pc import (
    EXIT,
    WATCHDOG_S,
    Pc,
    Recorder,
    Steps,
    calls,
    cpu_threads,
    exits,
    halts,
    other_thread,
    spins,
    wait_until_halted,
)

# --- from the beginning to the end ------------------------------------------------------------------------------------


def test_a_machine_lives_from_reset_to_stop() -> None:
    pc = Pc(exits)
    states = [pc.machine.state]
    assert pc.run() == Outcome(ShutdownReason.GUEST_SHUTDOWN, 0)
    assert pc.events == ["reset", "resumed", ("stopped", ShutdownReason.GUEST_SHUTDOWN)]
    states.append(pc.machine.state)
    assert states == [RunState.PRELAUNCH, RunState.SHUTDOWN]
    assert pc.recorder.thread == threading.get_ident()
    assert pc.vcpu.closed
    assert not pc.machine.clock.running
    assert cpu_threads() == []


def test_a_closed_machine_gives_its_accelerator_back(monkeypatch: pytest.MonkeyPatch) -> None:
    pc = Pc(exits)
    pc.run()
    detached: list[bool] = []
    monkeypatch.setattr(pc.machine.accelerator, "detach", lambda: detached.append(True))
    pc.machine.close()
    pc.machine.close()
    assert detached == [True]


def test_created_is_told_before_anything_runs() -> None:
    machine = Machine(memory=1 * MiB)
    recorder = Recorder(machine)
    machine.hooks.register(recorder, "recorder")
    machine.created()
    assert recorder.events == [("created", RunState.PRELAUNCH)]


def test_the_guest_chooses_the_exit_status() -> None:
    def guest(vcpu: FakeVcpu) -> Steps:
        vcpu.write_port(EXIT, 33)
        yield SPIN

    assert Pc(guest).run() == Outcome(ShutdownReason.GUEST_SHUTDOWN, 33)


@pytest.mark.parametrize("guest", [spins, halts], ids=["computing", "halted"])
@pytest.mark.parametrize("reason", ShutdownReason)
def test_a_machine_ends_for_each_reason_whatever_its_cpu_does(reason: ShutdownReason, guest: Guest) -> None:
    pc = Pc(guest)
    if guest is halts:
        pc.machine.post(lambda: wait_until_halted(pc))
    pc.machine.post(lambda: other_thread(lambda: pc.machine.request_shutdown(reason, 7)))
    assert pc.run() == Outcome(reason, 7)
    assert pc.events[-1] == ("stopped", reason)
    assert cpu_threads() == []


def test_the_first_reason_to_end_counts() -> None:
    pc = Pc(spins)
    pc.machine.request_shutdown(ShutdownReason.HOST_QUIT)
    pc.machine.request_shutdown(ShutdownReason.HOST_SIGNAL)
    pc.machine.request_reset(ResetReason.HOST)
    assert pc.run() == Outcome(ShutdownReason.HOST_QUIT)


def test_a_machine_without_an_accelerator_does_not_run() -> None:
    with pytest.raises(SouthbridgeError, match="pc has no accelerator"):
        Machine(name="pc", memory=1 * MiB).run()


def test_a_machine_runs_once() -> None:
    pc = Pc(exits)
    pc.run()
    with pytest.raises(SouthbridgeError, match="pc ran already"):
        pc.run()


def test_requests_after_the_end_are_nothing() -> None:
    pc = Pc(exits)
    pc.run()
    pc.machine.request_reset(ResetReason.HOST)
    other_thread(pc.machine.request_pause)
    assert pc.machine.state is RunState.SHUTDOWN


def test_machines_in_one_process_do_not_touch_each_other() -> None:
    def reset_thrice(pc: Pc) -> None:
        if pc.call.resets < 3:
            pc.machine.request_reset(ResetReason.HOST)
        else:
            pc.vcpu.kick()

    pcs = [Pc(calls(0, 0)) for _ in range(3)]
    for pc in pcs:
        pc.call.functions.append(partial(reset_thrice, pc))
    threads = [threading.Thread(target=pc.run) for pc in pcs]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(WATCHDOG_S)
    assert [pc.call.resets for pc in pcs] == [3] * 3
    assert [pc.machine.state for pc in pcs] == [RunState.SHUTDOWN] * 3


# --- requests ---------------------------------------------------------------------------------------------------------


def test_requests_from_all_threads_run_on_the_main_loops_in_order() -> None:
    pc = Pc(spins)
    served: list[tuple[int, int, int]] = []

    def serve(thread: int, number: int) -> None:
        served.append((thread, number, threading.get_ident()))

    def ask(thread: int) -> None:
        for number in range(50):
            pc.machine.post(partial(serve, thread, number))

    def start() -> None:
        threads = [threading.Thread(target=ask, args=(number,)) for number in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        pc.machine.request_shutdown(ShutdownReason.HOST_QUIT)

    pc.machine.post(lambda: threading.Thread(target=start).start())
    pc.run()
    assert {ident for _, _, ident in served} == {threading.get_ident()}
    for thread in range(4):
        assert [number for who, number, _ in served if who == thread] == list(range(50))


def test_a_request_runs_without_the_lock() -> None:
    pc = Pc(spins)
    free: list[bool] = []

    def look() -> None:
        def take() -> None:
            free.append(pc.machine.lock.acquire(blocking=False))
            pc.machine.lock.release()

        other_thread(take)

    pc.machine.request_pause()
    pc.machine.post(look)
    pc.machine.request_shutdown(ShutdownReason.HOST_QUIT)
    pc.run()
    assert free == [True]


# --- parts of a machine -----------------------------------------------------------------------------------------------


def test_a20_is_open_while_any_source_opens_it() -> None:
    pc = Pc(exits)
    gate = pc.machine.a20
    assert gate.enabled
    for source, level in (
        ("port92", False),
        ("keyboard", False),
        ("port92", True),
        ("keyboard", True),
        ("port92", False),
    ):
        gate.set(source, level)
    assert gate.enabled
    gate.set("keyboard", False)
    assert not gate.enabled
    assert pc.events == [("a20", False), ("a20", True), ("a20", False)]


class Chars:
    """A back end that notes its life."""

    def __init__(self) -> None:
        self.events: list[str] = []

    def start(self, loop: object, lock: object) -> None:
        self.events.append("start")

    def close(self) -> None:
        self.events.append("close")


def test_back_ends_start_with_the_machine_and_are_closed_with_it() -> None:
    pc = Pc(exits)
    chars = Chars()
    pc.machine.backends["chardevs"]["serial0"] = chars
    pc.run()
    assert chars.events == ["start"]
    pc.machine.close()
    assert chars.events == ["start", "close"]


def test_what_was_handed_over_for_writing_is_written_before_images_are_closed() -> None:
    pc = Pc(exits)
    order: list[str] = []
    pc.run()

    class Image:
        def close(self) -> None:
            order.append("closed")

    pc.machine.backends["blockdevs"]["disk0"] = Image()
    for number in range(3):
        pc.machine.executor.submit(partial(order.append, f"written {number}"))
    pc.machine.close()
    assert order == ["written 0", "written 1", "written 2", "closed"]


class Mapper(FakeAccelerator):
    """Follows the memory map."""

    @hookimpl
    def memory_region_added(self, section: Section) -> None:
        self.sections.append(section)

    @hookimpl
    def memory_region_removed(self, section: Section) -> None:
        self.sections.remove(section)

    def attach(self, machine: Machine) -> None:
        super().attach(machine)
        self.sections: list[Section] = []


def test_an_accelerator_is_told_of_the_memory_that_is_there_and_then_of_changes() -> None:
    machine = Machine(memory=1 * MiB)
    ram = Ram("ram", machine.ram)
    machine.memory.root.add(0, ram)
    mapper = Mapper(spins)
    machine.set_accelerator(mapper)
    assert mapper.sections == machine.memory.sections != []
    machine.memory.root.move(ram, 1 * GiB)
    assert mapper.sections == machine.memory.sections
    assert mapper.sections[0].start == 1 * GiB


def test_an_accelerator_with_a_hook_that_does_not_fit_is_refused() -> None:
    class Misfit(FakeAccelerator):
        @hookimpl
        def memory_region_added(self, colour: str) -> None: ...

    machine, misfit = Machine(memory=1 * MiB), Misfit(spins)
    with pytest.raises(PluginError, match=r"'accelerator'.*colour"):
        machine.set_accelerator(misfit)
    assert machine.accelerator is None
    assert misfit.machine is None
