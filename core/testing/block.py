"""Block requests in a test: run when the test says so."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable


class StepExecutor:
    """An Executor that holds what is submitted until the test calls `run`."""

    def __init__(self) -> None:
        self._held: deque[Callable[[], None]] = deque()

    def submit(self, function: Callable[[], None]) -> None:
        """Holds `function`."""
        self._held.append(function)

    def run(self) -> int:
        """Calls what is held, and what is submitted meanwhile; the number of calls."""
        count = 0
        while self._held:
            self._held.popleft()()
            count += 1
        return count
