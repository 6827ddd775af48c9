"""A failed check, written down so that it can be run again; and made shorter.

    device: e1000
    check: random_accesses_do_no_harm
    memory: flat
    seed: 0
    accesses:
      write bar0 0x400 4 0x2
      read bar0 0x8 4

`accesses:` begins what the check has the guest do at one time (`steps`); a check may do so several times.
"""

from __future__ import annotations

import re
import traceback
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import TypeVar

from ..device import Device
from .conformance import CHECKS, Check
from .memory import BenchMemory, FlatBenchMemory, WindowedBenchMemory
from .meter import is_core
from .stage import NonconformingError, Stage
from .steps import Step, format_step, parse_step

MEMORIES: dict[str, type[BenchMemory]] = {"flat": FlatBenchMemory, "windowed": WindowedBenchMemory}
"""Guest memory in one piece, and in small windows."""

EFFORT = 20_000_000
"""How many calls and rounds of loops are spent on making a log shorter: some ten seconds."""

Item = TypeVar("Item")

_NUMBER = re.compile(r"0x[0-9a-f]+|[0-9][0-9,]*")
_KEYS = ("device", "check", "memory", "seed")

Plays = list[list[Step]]


@dataclass(frozen=True)
class Log:
    """Which check of which device, and what the guest does in it."""

    device: str
    check: str = "random_accesses_do_no_harm"
    memory: str = "flat"
    seed: int = 0
    plays: Plays = field(default_factory=list)

    def __str__(self) -> str:
        lines = [f"{key}: {getattr(self, key)}" for key in _KEYS]
        for steps in self.plays:
            lines += ["accesses:", *(f"  {format_step(step)}" for step in steps)]
        return "\n".join(lines) + "\n"

    @property
    def steps(self) -> int:
        """How many there are in all."""
        return sum(map(len, self.plays))


def parse(text: str) -> Log:
    """The log that `text` is. Raises ValueError, which names the line."""
    values: dict[str, str] = {}
    plays: Plays = []
    for number, line in enumerate(text.splitlines(), 1):
        words = line.strip()
        key, colon, value = words.partition(":")
        if not words or words.startswith("#"):
            continue
        if words == "accesses:":
            plays.append([])
        elif colon and key in _KEYS and not plays:
            values[key] = value.strip()
        else:
            if not plays:
                raise ValueError(f"line {number}: expected 'device: NAME' and so on, then 'accesses:', not {words!r}")
            try:
                plays[-1].append(parse_step(line))
            except ValueError as error:
                raise ValueError(f"line {number}: {error}") from None
    if "device" not in values:
        raise ValueError("expected 'device: NAME'")
    check = values.setdefault("check", Log.check)
    if check not in (known.__name__ for known in CHECKS):
        raise ValueError(f"there is no check {check!r}")
    if values.setdefault("memory", Log.memory) not in MEMORIES:
        raise ValueError(f"memory is {' or '.join(MEMORIES)}, not {values['memory']!r}")
    if not values.setdefault("seed", "0").isdecimal():
        raise ValueError(f"seed is a number, not {values['seed']!r}")
    return Log(values["device"], check, values["memory"], int(values["seed"]), plays)


def replay(device: str | type[Device], log: str | Log) -> None:
    """Runs the check that `log` is of on `device` (a type's name, or a class), and raises what is wrong.

    For the test of a fault that the conformance suite found: the log is what it printed.
    """
    log = parse(log) if isinstance(log, str) else log
    perform(find_check(log.check), stage_for(log, device))


def find_check(name: str) -> Check:
    """The check called `name`."""
    return next(check for check in CHECKS if check.__name__ == name)


def stage_for(log: Log, device: str | type[Device] | None = None, *, scripted: bool = True) -> Stage:
    """A stage for the check of `log`; on a scripted one, the accesses of the log take the place of random ones.

    Raises ValueError for an access to what the device doesn't have.
    """
    script = log.plays if scripted else None
    stage = Stage(device or log.device, MEMORIES[log.memory], seed=log.seed, script=script)
    known = {probe.name for probe in stage.probes()}
    for step in (step for steps in log.plays for step in steps):
        if step[0] in ("read", "write") and step[1] not in known:
            raise ValueError(f"{format_step(step)!r}: there is no {step[1]!r}, but {', '.join(sorted(known))}")
        if step[0] == "feed" and step[1] >= len(stage.lines):
            raise ValueError(f"{format_step(step)!r}: there are {len(stage.lines)} character back ends")
    return stage


def perform(check: Check, stage: Stage) -> None:
    """Runs `check`, and what is looked at after each."""
    check(stage)
    stage.close()


# --- what is wrong, for the device's author ----------------------------------------------------------------------


def explain(log: Log, stage: Stage, error: BaseException, kind: str | type[Device]) -> str:
    """What went wrong, where in the device's code, and a log as short as may be that leads there."""
    rule = (find_check(log.check).__doc__ or "").strip()
    lines = [*_what(stage, error), "", f"What a device must do ({log.check}):", f"    {rule}"]
    before = Log(log.device, log.check, log.memory, log.seed, stage.played)
    if before.steps:
        shorter = shrink(before, failure_of(error), kind)
        if shorter is None:
            lines += [
                "",
                f"It took {before.steps:,} steps, and the same ones again did no harm: the device does something",
                "that depends on more than what the guest does. To run the same check again:",
                f"    pytest --southbridge-device {log.device} --southbridge-seed {log.seed} -k {log.check}",
            ]
        else:
            lines += [
                "",
                f"{shorter.steps:,} of {before.steps:,} steps lead there. To run them again:"
                if shorter.steps
                else "It takes no access of the guest's. To run the check again:",
                "    pytest --southbridge-replay FILE    # with these lines in FILE",
                "",
                *str(shorter).splitlines(),
            ]
    return "\n".join(lines)


def _what(stage: Stage, error: BaseException) -> list[str]:
    running = next((each for each in (stage, *stage.twins) if each.step is not None), stage)
    doing = f"in step {running.done + 1}: {format_step(running.step)}" if running.step is not None else stage.doing
    lines = [str(error) if isinstance(error, NonconformingError) else _exception(error)]
    if doing:
        lines.append(f"    {doing}")
    if not isinstance(error, NonconformingError):
        for frame in _frames(error):
            lines.append(f"    {frame.filename}:{frame.lineno}, in {frame.name}: {frame.line}")
    return lines


def _exception(error: BaseException) -> str:
    return "".join(traceback.format_exception_only(error)).strip()


def _frames(error: BaseException) -> list[traceback.FrameSummary]:
    """Where it was raised, without the way there through the core."""
    frames = list(traceback.extract_tb(error.__traceback__))
    outer = next((n for n, frame in enumerate(frames) if not is_core(frame.filename)), len(frames) - 3)
    return frames[max(outer, 0) :]


Failure = tuple[type[BaseException], str]
"""What makes two failures the same."""


def failure_of(error: BaseException) -> Failure:
    """Its type, and the place in the code; for what a check says, the text as far as no number is in it."""
    if isinstance(error, NonconformingError):
        return type(error), _NUMBER.sub("#", str(error).partition(":")[0])
    frame = traceback.extract_tb(error.__traceback__)[-1]
    return type(error), f"{frame.filename}:{frame.lineno}"


# --- shorter -----------------------------------------------------------------------------------------------------


def shrink(log: Log, failure: Failure, kind: str | type[Device] | None = None) -> Log | None:
    """A log with fewer steps that fails in the same way; None if `log` itself doesn't.

    Parts are left out as in A. Zeller's ddmin, until no single step can be, or `EFFORT` is spent.
    """
    plays, effort = log.plays, EFFORT
    marked = [(index, step) for index, steps in enumerate(plays) for step in steps]

    def with_steps(kept: Iterable[tuple[int, Step]]) -> Log:
        parts: Plays = [[] for _ in plays]
        for index, step in kept:
            parts[index].append(step)
        return Log(log.device, log.check, log.memory, log.seed, parts)

    def fails(kept: Sequence[tuple[int, Step]]) -> bool:
        nonlocal effort
        failed, work = _fails(with_steps(kept), failure, kind)
        effort -= work
        return failed

    if not fails(marked):
        return None
    return with_steps(minimal(marked, fails, lambda: effort > 0))


def _fails(log: Log, failure: Failure, kind: str | type[Device] | None) -> tuple[bool, int]:
    """Whether `log` fails in that way, and the work it took."""
    stage = stage_for(log, kind)
    try:
        perform(find_check(log.check), stage)
    except Exception as error:  # of a device: anything
        return failure_of(error) == failure, stage.work
    return False, stage.work


def minimal(steps: list[Item], fails: Callable[[list[Item]], bool], go_on: Callable[[], bool]) -> list[Item]:
    """As few of `steps` as still fail, as long as `go_on` holds."""
    size, before = len(steps), 0
    while go_on() and (size > 1 or len(steps) != before):
        size, before = -(-size // 2), len(steps)
        start = len(steps)
        while start > 0 and go_on():  # from the end, since what comes last matters most often
            start = max(start - size, 0)
            fewer = steps[:start] + steps[start + size :]
            if fails(fewer):
                steps = fewer
    return steps
