"""Timers, through the real main loop and its alarm clock."""

from __future__ import annotations

import threading

from southbridge import Device, ShutdownReason, timer

from tests.core.fake_pc import Pc, calls, spins


class Clockwork(Device):
    """Timers that note when they run."""

    def realize(self) -> None:
        self.ran: list[str] = []
        self.threads: set[int] = set()

    def note(self, what: str) -> None:
        self.ran.append(what)
        self.threads.add(threading.get_ident())

    @timer
    def first(self) -> None:
        self.note("first")

    @timer
    def second(self) -> None:
        self.note("second")

    @timer
    def last(self) -> None:
        self.note("last")
        self.machine.request_shutdown(ShutdownReason.HOST_QUIT)

    @timer
    def storm(self) -> None:
        self.ran.append("storm")
        self.storm.after()


def test_timers_run_in_order_on_the_main_loops_thread() -> None:
    pc = Pc(calls(0))
    clockwork = pc.plug(Clockwork)

    def arm() -> None:
        now = clockwork.clock.now()
        clockwork.last.at(now + 300_000)
        clockwork.second.at(now + 200_000)
        clockwork.first.at(now + 100_000)

    pc.call.functions.append(arm)
    pc.run()
    assert clockwork.ran == ["first", "second", "last"]
    assert clockwork.threads == {threading.get_ident()}


def test_a_timer_that_was_cancelled_or_moved_does_not_run_at_its_old_time() -> None:
    pc = Pc(calls(0))
    clockwork = pc.plug(Clockwork)

    def arm() -> None:
        clockwork.first.after(us=10)
        clockwork.second.after(us=20)
        clockwork.last.after(us=30)
        clockwork.first.cancel()
        clockwork.second.after(s=3600)

    pc.call.functions.append(arm)
    pc.run()
    assert clockwork.ran == ["last"]


def test_a_timer_that_is_set_in_a_pause_runs_after_it() -> None:
    pc = Pc(spins)
    clockwork = pc.plug(Clockwork)
    pc.machine.request_pause()

    def arm() -> None:
        with pc.machine.lock:
            clockwork.last.after()
        pc.machine.post(lambda: clockwork.ran.append("paused"))
        pc.machine.post(pc.machine.request_resume)

    pc.machine.post(arm)
    pc.run()
    assert clockwork.ran == ["paused", "last"]


def test_a_timer_that_sets_itself_at_once_holds_up_nothing() -> None:
    pc = Pc(calls(0))
    clockwork = pc.plug(Clockwork)

    def arm() -> None:
        clockwork.storm.after()
        clockwork.last.after(us=100)

    pc.call.functions.append(arm)
    assert pc.run().reason is ShutdownReason.HOST_QUIT
    assert "storm" in clockwork.ran
