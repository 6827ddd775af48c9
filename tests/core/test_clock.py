from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from southbridge.clock import GRAIN, QUEUE_SLACK, TIMERS_A_TURN, Clock, Timer


class HostTime:
    """The host's clock, as the test moves it."""

    def __init__(self) -> None:
        self.now = 1_000_000

    def __call__(self) -> int:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock(HostTime())


@pytest.fixture
def calls() -> list[Any]:
    return []


# --- time --------------------------------------------------------------------------------------------------------


def test_delays_are_exact_unless_time_passes_by_itself(clock: Clock) -> None:
    assert clock.grain == 0
    clock.start()
    assert clock.grain == GRAIN
    clock.stop()
    assert clock.grain == 0


def test_time_passes_only_while_the_clock_runs() -> None:
    host = HostTime()
    clock = Clock(host)
    assert (clock.now(), clock.running) == (0, False)
    host.now += 5
    clock.start()
    host.now += 100
    assert (clock.now(), clock.running) == (100, True)
    clock.stop()
    host.now += 1000
    assert clock.now() == 100
    clock.start()
    host.now += 1
    assert clock.now() == 101


def test_starting_and_stopping_twice_changes_nothing() -> None:
    host = HostTime()
    clock = Clock(host)
    clock.start()
    host.now += 10
    clock.start()
    assert clock.now() == 10
    clock.stop()
    host.now += 10
    clock.stop()
    assert clock.now() == 10


@pytest.mark.parametrize("running", [False, True])
def test_time_can_be_set(running: bool) -> None:
    host = HostTime()
    clock = Clock(host)
    if running:
        clock.start()
    clock.set(12345)
    host.now += 5
    assert clock.now() == 12345 + 5 * running


# --- timers ------------------------------------------------------------------------------------------------------


@given(st.lists(st.tuples(st.sampled_from(["set", "cancel"]), st.integers(0, 4), st.integers(0, 9))))
def test_timers_run_in_the_order_of_deadlines_then_of_setting(steps: list[tuple[str, int, int]]) -> None:
    clock, ran = Clock(), list[tuple[int, int]]()
    timers = [Timer(clock, lambda name=name: ran.append((clock.now(), name))) for name in range(5)]
    model: dict[int, tuple[int, int]] = {}
    for order, (step, name, deadline) in enumerate(steps):
        if step == "cancel":
            timers[name].cancel()
            model.pop(name, None)
        else:
            timers[name].at(deadline)
            if name not in model or model[name][0] != deadline:
                model[name] = deadline, order
        assert clock.deadline() == min((due for due, _ in model.values()), default=None)
    clock.advance(ns=9)
    assert ran == [(due, name) for name, (due, _) in sorted(model.items(), key=lambda item: item[1])]
    assert clock.now() == 9
    assert not any(timer.pending for timer in timers)


def test_a_timer_runs_once_and_with_the_arguments_set_last(clock: Clock, calls: list[Any]) -> None:
    timer = Timer(clock, lambda **arguments: calls.append(arguments))
    timer.at(10, channel=1)
    timer.at(10, channel=2)
    clock.advance(ns=9)
    assert calls == []
    clock.advance(ns=100)
    assert calls == [{"channel": 2}]


@pytest.mark.parametrize(
    ("delay", "ns"), [({"ns": 7}, 7), ({"us": 1.5}, 1500), ({"ms": 2}, 2_000_000), ({"s": 1, "ns": 1}, 1_000_000_001)]
)
def test_delays_add_up_from_now(clock: Clock, delay: dict[str, int], ns: int) -> None:
    clock.set(100)
    timer = Timer(clock, lambda: None)
    timer.after(**delay)
    assert timer.deadline == 100 + ns


def test_a_deadline_that_passed_is_due_at_once(clock: Clock, calls: list[Any]) -> None:
    clock.set(100)
    timer = Timer(clock, lambda: calls.append(clock.now()))
    timer.at(50)
    assert clock.run_due() is None
    assert calls == [100]


def test_a_timer_set_again_at_its_own_deadline_runs_once_more_only(clock: Clock, calls: list[Any]) -> None:
    timer = Timer(clock, lambda: calls.append(clock.now()))
    timer.at(5)
    timer.cancel()
    timer.at(5)
    clock.advance(ns=10)
    timer.at(5)
    clock.run_due()
    assert calls == [5, 10]


def test_a_timer_may_set_itself_again(clock: Clock, calls: list[Any]) -> None:
    def tick(count: int) -> None:
        calls.append((clock.now(), count))
        if count < 3:
            timer.after(ns=10, count=count + 1)

    timer = Timer(clock, tick)
    timer.after(ns=10, count=1)
    clock.advance(ns=1000)
    assert calls == [(10, 1), (20, 2), (30, 3)]


def test_a_timer_may_cancel_another_that_is_due_too(clock: Clock, calls: list[Any]) -> None:
    second = Timer(clock, lambda: calls.append("second"))
    first = Timer(clock, second.cancel)
    first.at(5)
    second.at(5)
    clock.advance(ns=5)
    assert calls == []


def test_a_timer_that_sets_itself_at_once_does_not_hold_run_due_for_ever(clock: Clock, calls: list[Any]) -> None:
    def again() -> None:
        calls.append(clock.now())
        timer.after()

    timer = Timer(clock, again)
    timer.after()
    assert clock.run_due() == 0
    assert len(calls) == TIMERS_A_TURN
    assert timer.pending


def test_under_test_such_a_timer_is_found(clock: Clock) -> None:
    timer = Timer(clock, lambda: timer.after())
    timer.after(ns=5)
    with pytest.raises(AssertionError, match="for ever at 5 ns"):
        clock.advance(ns=10)


def test_setting_a_distant_timer_for_ever_costs_no_memory(clock: Clock) -> None:
    timers = [Timer(clock, lambda: None) for _ in range(10)]
    for step in range(10 * QUEUE_SLACK):
        timers[step % 10].at(1_000_000 + step)
        timers[0].cancel()
        timers[0].at(2_000_000)
    assert len(clock._queue) <= 2 * len(timers) + QUEUE_SLACK + 1
    assert clock.deadline() == min(timer.deadline or 0 for timer in timers)


# --- who waits for deadlines -------------------------------------------------------------------------------------


def test_whoever_waits_hears_of_earlier_deadlines(calls: list[Any]) -> None:
    clock = Clock(HostTime())
    clock.on_deadline = lambda: calls.append(clock.deadline())
    early, late = Timer(clock, lambda: None), Timer(clock, lambda: None)
    late.at(100)
    early.at(50)
    late.at(80)
    assert calls == [100, 50]
    clock.start()
    assert calls == [100, 50, 50]
    clock.set(60)
    assert calls == [100, 50, 50, 50]


def test_run_due_tells_the_next_deadline(clock: Clock) -> None:
    timers = [Timer(clock, lambda: None) for _ in range(2)]
    timers[0].at(5)
    timers[1].at(9)
    clock.set(5)
    assert clock.run_due() == 9
    clock.set(9)
    assert clock.run_due() is None


def test_what_a_timer_raises_goes_to_the_fault_handler_and_the_others_run(clock: Clock, calls: list[Any]) -> None:
    def fail() -> None:
        raise ZeroDivisionError

    failing, other = Timer(clock, fail), Timer(clock, lambda: calls.append("ran"))
    failing.at(1)
    other.at(2)
    clock.on_fault = lambda timer, error: calls.append((timer, type(error)))
    clock.advance(ns=2)
    assert calls == [(failing, ZeroDivisionError), "ran"]


def test_without_a_fault_handler_it_is_raised(clock: Clock) -> None:
    Timer(clock, lambda: [][0]).at(1)
    with pytest.raises(IndexError):
        clock.advance(ns=1)


def test_only_a_stopped_clock_is_advanced() -> None:
    clock = Clock(HostTime())
    clock.start()
    with pytest.raises(AssertionError):
        clock.advance(ns=1)


def test_timers_that_set_timers_are_told_of_by_what_run_due_gives() -> None:
    """The earliest one isn't announced as well."""
    clock = Clock(lambda: 0)
    announced = []
    second = Timer(clock, lambda: None)
    first = Timer(clock, lambda: second.at(700))
    clock.start()
    first.at(0)
    clock.on_deadline = lambda: announced.append(clock.deadline())
    assert clock.run_due() == 700
    assert announced == []
    Timer(clock, lambda: None).at(500)
    assert announced == [500]
