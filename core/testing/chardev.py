"""Character back ends in a test: one that is the test itself, a front end that records, and a main loop that runs until
something has happened.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable

from ..chardev import CharBackend


class CharLine(CharBackend):
    """A back end in the test's hand: `sent` has what the device wrote, `feed` gives it bytes."""

    def __init__(self) -> None:
        super().__init__()
        self.sent = bytearray()
        self.waiting = bytearray()
        """What the device had no room for yet."""

    def open(self) -> None:
        """Nothing to open."""

    def start(self, loop: asyncio.AbstractEventLoop, lock: threading.RLock) -> None:
        """Nothing to start."""

    def close(self) -> None:
        """Nothing to close."""

    def write(self, data: bytes) -> int:
        """Takes everything."""
        self.sent += data
        return len(data)

    def accept_input(self) -> None:
        """The device can take more of what waits."""
        self.feed(b"")

    def feed(self, data: bytes) -> None:
        """Gives the device `data`, as far as it has room; the rest waits."""
        self.waiting += data
        while self.frontend is not None and self.waiting and (room := self.frontend.can_receive()) > 0:
            part = bytes(self.waiting[:room])
            del self.waiting[:room]
            self.frontend.receive(part)


class RecordingFrontend:
    """Takes up to `room` bytes, and records what it is told; `received`, `events` and `writable_calls` have it."""

    def __init__(self, room: int = 1 << 30) -> None:
        self.room = room
        self.received = bytearray()
        self.events: list[bool] = []
        self.writable_calls = 0

    def can_receive(self) -> int:
        """The room that is left."""
        return self.room

    def receive(self, data: bytes) -> None:
        """Takes `data`, which must fit."""
        assert 0 < len(data) <= self.room, f"{len(data)} bytes for room of {self.room}"
        self.room -= len(data)
        self.received += data

    def chardev_event(self, opened: bool) -> None:
        """Records it."""
        self.events.append(opened)

    def chardev_writable(self) -> None:
        """Counts it."""
        self.writable_calls += 1


class CharLoop:
    """A main loop on the test's own thread, with a machine lock."""

    def __init__(self) -> None:
        self.loop = asyncio.new_event_loop()
        self.lock = threading.RLock()
        self._started: list[CharBackend] = []

    def start(self, backend: CharBackend, frontend: RecordingFrontend | None = None) -> RecordingFrontend:
        """Attaches a front end to an open back end and starts it."""
        frontend = frontend or RecordingFrontend()
        backend.attach(frontend)
        backend.start(self.loop, self.lock)
        self._started.append(backend)
        return frontend

    def until(self, condition: Callable[[], bool], seconds: float = 20.0) -> None:
        """Runs the loop until `condition` holds; raises TimeoutError if it never does."""

        async def wait() -> None:
            async with asyncio.timeout(seconds):
                while not condition():
                    await asyncio.sleep(0)

        self.loop.run_until_complete(wait())

    def settle(self) -> None:
        """Runs what the loop has to do now, including for descriptors that are ready."""
        for _ in range(8):
            self.loop.run_until_complete(asyncio.sleep(0))

    def close(self) -> None:
        """Closes all back ends that were started, and the loop."""
        for backend in self._started:
            backend.close()
        self.loop.close()
