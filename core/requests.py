"""What other threads ask of a machine's main loop: calls that it makes in their order, when it comes to them."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future
from typing import Generic, TypeVar

from .errors import SouthbridgeError

PATIENCE = 10.0
"""Seconds that the main loop has to answer."""

Result = TypeVar("Result")


class _Call(Generic[Result]):
    """A request that is answered."""

    def __init__(self, function: Callable[[], Result]) -> None:
        self._function = function
        self.answer: Future[Result] = Future()

    def __call__(self) -> None:
        if self.answer.set_running_or_notify_cancel():
            try:
                self.answer.set_result(self._function())
            except BaseException as error:
                self.answer.set_exception(error)


class Requests:
    """The requests to one main loop. `failed` is told of what a request raises."""

    def __init__(self, failed: Callable[[Exception], None]) -> None:
        self.loop: asyncio.AbstractEventLoop | None = None
        """The main loop, while it runs."""
        self.held = False
        """They wait: `serve` does nothing."""
        self._failed = failed
        self._thread = 0
        self._serving = False
        self._waiting: deque[Callable[[], None]] = deque()

    @property
    def waiting(self) -> bool:
        """Whether something that was asked for isn't done yet. From any thread."""
        return self._serving or bool(self._waiting)

    def begin(self) -> asyncio.AbstractEventLoop:
        """The running loop, whose thread this is, is the main loop from now on."""
        self.loop = asyncio.get_running_loop()
        self._thread = threading.get_ident()
        return self.loop

    def end(self) -> None:
        """There is no main loop any more. Calls that wait are made now; what was posted comes too late."""
        self.loop = None
        self._make_calls()

    def post(self, request: Callable[[], None]) -> None:
        """Has the main loop call `request` soon. From any thread."""
        self._waiting.append(request)
        loop = self.loop
        if loop is not None:
            with contextlib.suppress(RuntimeError):  # the machine ended meanwhile, and its loop closed
                loop.call_soon_threadsafe(self.serve)

    def serve(self) -> None:
        """Does what waits. On the main loop's thread."""
        before, self._serving = self._serving, True
        while self._waiting and not self.held:
            try:
                self._waiting.popleft()()
            except Exception as error:
                self._failed(error)
        self._serving = before

    def call(self, function: Callable[[], Result], who: str) -> Result:
        """What `function` gives or raises, called on the main loop's thread; if that is this one, or none, at once.

        Raises SouthbridgeError if `who`, the machine, doesn't answer within seconds.
        """
        if self.loop is None or threading.get_ident() == self._thread:
            return function()
        request = _Call(function)
        self.post(request)
        if self.loop is None:  # it ended meanwhile
            self._make_calls()
        try:
            return request.answer.result(PATIENCE)
        except TimeoutError:
            request.answer.cancel()
            raise SouthbridgeError(f"{who} didn't answer within {PATIENCE:.0f} s") from None

    def _make_calls(self) -> None:
        while self._waiting:
            with contextlib.suppress(IndexError):  # another thread was faster
                request = self._waiting.popleft()
                if isinstance(request, _Call):
                    request()
