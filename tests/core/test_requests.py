"""Requests to the main loop: from any thread, in order, answered, and held back."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from typing import Any

import pytest
from southbridge import SouthbridgeError, requests
from southbridge.requests import Requests

PATIENCE_S = 60.0


def lost() -> None:
    raise LookupError("lost")


def on_a_loop(body: Callable[[Requests], Any]) -> list[Exception]:
    """Calls `body` on another thread while a main loop runs; gives what requests raised."""
    failures: list[Exception] = []
    outcome: list[BaseException] = []

    async def main() -> None:
        served = Requests(failures.append)
        loop = served.begin()
        done = asyncio.Event()

        def run() -> None:
            try:
                body(served)
            except BaseException as error:
                outcome.append(error)
            loop.call_soon_threadsafe(done.set)

        thread = threading.Thread(target=run)
        thread.start()
        await asyncio.wait_for(done.wait(), PATIENCE_S)
        thread.join(PATIENCE_S)

    asyncio.run(main())
    for error in outcome:
        raise error
    return failures


def test_a_call_is_made_on_the_loops_thread_and_answered() -> None:
    def body(served: Requests) -> None:
        here = threading.get_ident()
        there = served.call(threading.get_ident, "m")
        assert there != here
        with pytest.raises(LookupError, match="lost"):
            served.call(lost, "m")
        assert served.call(lambda: served.call(threading.get_ident, "m"), "m") == there, "at once, where it is already"

    assert on_a_loop(body) == []


def test_without_a_loop_a_call_is_a_call() -> None:
    served = Requests(lambda error: None)
    assert served.call(threading.get_ident, "m") == threading.get_ident()


def test_a_call_that_waits_when_the_loop_ends_is_made_then() -> None:
    """What was only posted comes too late."""
    made: list[str] = []
    asked = threading.Event()

    async def main() -> Requests:
        served = Requests(lambda error: None)
        served.begin()
        served.held = True
        served.post(lambda: made.append("posted"))

        def ask() -> None:
            asked.set()
            served.call(lambda: made.append("called"), "it")

        thread = threading.Thread(target=ask)
        thread.start()
        asked.wait(PATIENCE_S)
        served.end()
        thread.join(PATIENCE_S)
        return served

    served = asyncio.run(main())
    assert made == ["called"]
    assert not served.waiting


def test_what_a_posted_request_raises_is_told_and_the_next_is_served() -> None:
    def body(served: Requests) -> None:
        served.post(lost)
        assert served.call(lambda: 5, "m") == 5

    (failure,) = on_a_loop(body)
    assert isinstance(failure, LookupError)


def test_held_requests_wait_and_keep_their_order(monkeypatch: pytest.MonkeyPatch) -> None:
    def body(served: Requests) -> None:
        assert served.loop is not None
        done: list[int] = []
        served.call(lambda: setattr(served, "held", True), "m")
        for number in range(3):
            served.post(lambda number=number: done.append(number))  # type: ignore[misc]
        monkeypatch.setattr(requests, "PATIENCE", 0.01)
        with pytest.raises(SouthbridgeError, match=r"^m didn't answer within 0 s$"):
            served.call(lambda: done.append(99), "m")
        monkeypatch.setattr(requests, "PATIENCE", PATIENCE_S)
        assert done == []
        served.loop.call_soon_threadsafe(setattr, served, "held", False)
        served.loop.call_soon_threadsafe(served.serve)
        served.call(lambda: done.append(3), "m")
        assert done == [0, 1, 2, 3], "and what was given up isn't done after all"

    assert on_a_loop(body) == []
