"""How much work a device does for one access, counted in Python calls and in rounds of loops: never in time.

A trace function sees every call. It follows line by line only a device's functions that have a loop: in others, and in
the core's, whose loops go over what was declared, the work is bounded by their calls. So an endless loop is found on
any host, and after the same number of rounds on each. What a single call into C does isn't seen.
"""

from __future__ import annotations

import dis
import sys
from pathlib import Path
from types import CodeType, FrameType, TracebackType
from typing import Any

CORE = Path(__file__).parents[1]
WORK = 2_000_000
"""Calls and lines of loops that one step may take: a walk over a ring of 65536 descriptors stays below it."""
MOVED = 64 << 20
"""Bytes that one step may move by DMA: twice what the longest command of an IDE disk has."""


class OutOfBounds(BaseException):
    """The work of one access is beyond the bounds. Not an Exception: no device's `except` takes it for its own."""


class Meter:
    """While it is entered, counts what is called; beyond `limit` since the last `start`, it raises OutOfBounds."""

    def __init__(self, limit: int = WORK) -> None:
        self.limit = limit
        self.spent = 0
        self._before: Any = None
        self._loops: dict[int, tuple[bool, CodeType]] = {}

    def start(self) -> None:
        """Counts from zero."""
        self.spent = 0

    def __enter__(self) -> Meter:
        self._before = sys.gettrace()
        sys.settrace(self._called)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        sys.settrace(self._before)

    def _called(self, frame: FrameType, event: str, argument: Any) -> Any:
        self.spent += 1
        if self.spent > self.limit:
            self._stop(frame)
        code = frame.f_code
        found = self._loops.get(id(code))
        if found is None:  # the code is kept, so that its id stays its own
            found = self._loops[id(code)] = (not is_core(code.co_filename) and has_loop(code), code)
        return self._line if found[0] else None

    def _line(self, frame: FrameType, event: str, argument: Any) -> Any:
        self.spent += 1
        if self.spent > self.limit:
            self._stop(frame)
        return self._line

    def _stop(self, frame: FrameType) -> None:
        place = f"{frame.f_code.co_filename}:{frame.f_lineno}, in {frame.f_code.co_qualname}"
        raise OutOfBounds(f"more than {self.limit:,} calls and rounds of loops for one access: the last at {place}")


def is_core(file: str) -> bool:
    """Whether `file` has code of the core or an accelerator, rather than of a device."""
    path = Path(file)
    return path.is_relative_to(CORE) and path.relative_to(CORE).parts[0] != "plugins"


def has_loop(code: CodeType) -> bool:
    """Whether it ever jumps back."""
    return any("BACKWARD" in instruction.opname for instruction in dis.get_instructions(code))
