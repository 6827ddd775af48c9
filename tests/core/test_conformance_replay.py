"""What a failed check prints: short, readable, and enough to run it again."""

from __future__ import annotations

import gc
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st
from southbridge import Device, PortBank, testing
from southbridge.testing.conformance import random_accesses_do_no_harm, reset_is_final
from southbridge.testing.meter import Meter, OutOfBounds, has_loop
from southbridge.testing.replay import Log, explain, parse, perform, stage_for
from southbridge.testing.stage import Stage
from southbridge.testing.steps import PATTERNS, Step, format_step, memory_contents, parse_step


class Trips(Device):
    """Fails on a value, after another one elsewhere."""

    ports = PortBank(4)
    FIRST = ports.register(0, doc="Arms it.")
    SECOND = ports.register(1, doc="Trips it.")
    THIRD = ports.register(2, 2, doc="Does nothing.")

    @SECOND.written
    def second_written(self, value: int) -> None:
        if self.FIRST.value & 1 and value & 3 == 3:
            raise ZeroDivisionError("tripped")


class Sound(Trips):
    """Doesn't."""

    SECOND = Trips.ports.register(1)


NAMES = st.sampled_from(["bar0", "channels[1].data", "config"])
OFFSETS, SIZES = st.integers(0, 0xFFFF), st.sampled_from([1, 2, 4, 8])
STEPS = st.one_of(
    st.tuples(st.just("read"), NAMES, OFFSETS, SIZES),
    st.tuples(st.just("write"), NAMES, OFFSETS, SIZES, st.integers(0, (1 << 64) - 1)),
    st.tuples(st.just("advance"), st.integers(0, 1 << 40)),
    st.tuples(st.just("feed"), st.integers(0, 3), st.binary(min_size=1, max_size=20)),
    st.tuples(st.just("memory"), st.sampled_from(PATTERNS)),
    st.tuples(st.just("reset")),
)


@given(STEPS)
def test_a_step_is_read_as_it_was_written(step: Step) -> None:
    assert parse_step(format_step(step)) == step


@given(st.lists(st.lists(STEPS, max_size=4), max_size=3), st.integers(0, 1 << 32))
def test_a_log_is_read_as_it_was_written(plays: list[list[Step]], seed: int) -> None:
    log = Log("e1000", "reset_is_final", "windowed", seed, plays)
    assert parse(str(log)) == log


def test_a_log_may_be_indented_and_commented() -> None:
    log = parse("\n  # found on a Tuesday\n  device: acme\n  accesses:\n    write bar0 0x10 4 1\n")
    assert log == Log("acme", plays=[[("write", "bar0", 0x10, 4, 1)]])


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("", "expected 'device: NAME'"),
        ("read bar0 0 1", "line 1: expected 'device: NAME' and so on, then 'accesses:', not 'read bar0 0 1'"),
        ("device: acme\naccesses:\nread bar0 0", "line 3: expected a step such as 'write bar0 0x10 4 0x1234', not"),
        ("device: acme\naccesses:\nread bar0 0 3", "line 3: expected 1, 2, 4 or 8 bytes: 'read bar0 0 3'"),
        ("device: acme\naccesses:\nread bar0 0x 4", "line 3: invalid literal"),
        ("device: acme\ncheck: nonsense", "there is no check 'nonsense'"),
        ("device: acme\nmemory: round", "memory is flat or windowed, not 'round'"),
        ("device: acme\nseed: apple", "seed is a number, not 'apple'"),
    ],
)
def test_what_is_wrong_with_a_log_is_said(text: str, complaint: str) -> None:
    with pytest.raises(ValueError) as caught:
        parse(text)
    assert complaint in str(caught.value)


@pytest.mark.parametrize(
    ("step", "complaint"),
    [
        ("read bar9 0 1", "there is no 'bar9', but ports"),
        ("feed 0 41", "there are 0 character back ends"),
    ],
)
def test_a_log_of_another_device_is_refused(step: str, complaint: str) -> None:
    with pytest.raises(ValueError, match=complaint):
        testing.replay(Sound, f"device: sound\naccesses:\n{step}")


LOG = """
device: trips
check: random_accesses_do_no_harm
memory: windowed
seed: 7
accesses:
  write ports 0x0 1 0x1
  write ports 0x1 1 0x3
"""


def test_a_log_fails_until_the_device_is_mended() -> None:
    with pytest.raises(ZeroDivisionError):
        testing.replay(Trips, LOG)
    testing.replay(Sound, LOG)


def failing(seed: int) -> tuple[Log, str]:
    log = Log("trips", random_accesses_do_no_harm.__name__, seed=seed)
    stage = stage_for(log, Trips, scripted=False)
    with pytest.raises(ZeroDivisionError) as caught:
        perform(random_accesses_do_no_harm, stage)
    return log, explain(log, stage, caught.value, Trips)


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_a_failure_is_explained_by_the_fewest_accesses(seed: int) -> None:
    _, text = failing(seed)
    assert text.startswith("ZeroDivisionError: tripped\n    in step ")
    assert "in second_written: raise ZeroDivisionError" in text
    printed = parse(text[text.index("device:") :])
    steps = [step for steps in printed.plays for step in steps]
    assert 1 <= len(steps) <= 2, text
    assert printed.seed == seed
    with pytest.raises(ZeroDivisionError):
        testing.replay(Trips, printed)


def test_a_device_that_fails_by_chance_is_said_to() -> None:
    class Fickle(Sound):
        """Fails once."""

        SECOND = Trips.ports.register(1)
        times = 0

        @SECOND.written
        def second_written(self, value: int) -> None:
            Fickle.times += 1
            if Fickle.times == 100:
                raise ZeroDivisionError

    log = Log("fickle", random_accesses_do_no_harm.__name__)
    stage = stage_for(log, Fickle, scripted=False)
    with pytest.raises(ZeroDivisionError) as caught:
        perform(random_accesses_do_no_harm, stage)
    text = explain(log, stage, caught.value, Fickle)
    assert "the same ones again did no harm" in text
    assert "pytest --southbridge-device fickle --southbridge-seed 0 -k random_accesses_do_no_harm" in text


def test_a_failure_that_no_access_is_to_blame_for_says_what_was_done() -> None:
    class Counts(Sound):
        """Counts resets."""

        def reset(self) -> None:
            self.FIRST.value = vars(self).setdefault("resets", 0) & 0xFF
            vars(self)["resets"] += 1

    log = Log("counts", reset_is_final.__name__)
    stage = stage_for(log, Counts, scripted=False)
    with pytest.raises(AssertionError) as caught:
        perform(reset_is_final, stage)
    text = explain(log, stage, caught.value, Counts)
    assert text.startswith("a second reset changes more: registers.FIRST is 0x1 and 0x2\n")
    assert "It takes no access of the guest's." in text


def test_at_least_ten_thousand_accesses() -> None:
    stage = Stage(Sound)
    random_accesses_do_no_harm(stage)
    accesses = [step for steps in stage.played for step in steps if step[0] in ("read", "write")]
    assert len(accesses) >= 10_000


# --- what they are made of ---------------------------------------------------------------------------------------


def spin(times: int) -> None:
    while times:
        times -= 1


def call(times: int) -> None:
    if times:
        call(times - 1)


@pytest.mark.parametrize("work", [spin, call])
def test_work_is_counted_and_not_timed(work: Callable[[int], None]) -> None:
    gc.disable()  # finalizers of other tests' objects are calls, too
    spent = []
    for _ in range(2):
        meter = Meter(1000)
        with meter:
            work(100)
        spent.append(meter.spent)
    gc.enable()
    assert spent[0] == spent[1] >= 100
    with pytest.raises(OutOfBounds, match="more than 50 calls and rounds"), Meter(50):
        work(100)


def test_a_loop_without_a_call_is_counted() -> None:
    with pytest.raises(OutOfBounds), Meter(100):
        forever()


def forever() -> None:
    while True:
        pass


def test_which_functions_have_loops() -> None:
    assert has_loop(spin.__code__)
    assert has_loop(forever.__code__)
    assert not has_loop(call.__code__)


def test_another_trace_function_is_put_back() -> None:
    import sys

    before = sys.gettrace()
    with Meter():
        assert sys.gettrace() is not before
    assert sys.gettrace() is before


@pytest.mark.parametrize("pattern", PATTERNS)
def test_memory_has_the_length_that_was_asked_for(pattern: str) -> None:
    from random import Random

    assert len(memory_contents(pattern, 4096, [0, 0x1234, 1 << 40], Random(0))) == 4096
    with pytest.raises(ValueError, match="expected one of mixed"):
        memory_contents("plaid", 16, [0], Random(0))
