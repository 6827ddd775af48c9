"""Character back ends: where the bytes of a serial port or a debug console go to and come from.

Output never blocks the device: `write` takes what there is room for. Input never overruns it: a back end reads from
its source only as much as the front end says it can take.
"""

from __future__ import annotations

import asyncio
import threading
from abc import ABC, abstractmethod
from typing import Protocol

from .errors import SouthbridgeError
from .properties import Configurable


class CharFrontend(Protocol):
    """The device's side. Every method is called on the main loop's thread with the machine lock held."""

    def can_receive(self) -> int:
        """How many bytes the device can take now."""

    def receive(self, data: bytes) -> None:
        """Takes `data`: at least one byte, at most what `can_receive` has just said."""

    def chardev_event(self, opened: bool) -> None:
        """Somebody is there at the other end from now on, or no longer."""

    def chardev_writable(self) -> None:
        """There is room again, after a `write` that didn't take all bytes."""


class CharBackend(Configurable, ABC):
    """The host's side of one front end.

    Life: construct, `open`, `attach`, `start`, `close`. `start` and `close` are called on the main loop's thread, or
    while the loop isn't running; `write` and `accept_input` on any thread, usually a vCPU's with the machine lock held.
    """

    frontend: CharFrontend | None = None

    @property
    def where(self) -> str:
        """What is at the other end, in the words of QMP's query-chardev: "file", "pty:/dev/pts/3"."""
        return type(self).__name__.removesuffix("Chardev").lower()

    @property
    def in_use(self) -> bool:
        """Whether a device serves as its front end."""
        return True

    @abstractmethod
    def open(self) -> None:
        """Takes what it needs of the host. Raises SouthbridgeError if it can't have it."""

    def attach(self, frontend: CharFrontend) -> None:
        """Makes `frontend` the one that is served; a device without input or interest in events needs no front end.

        Raises SouthbridgeError if there is another already.
        """
        if self.frontend is not None:
            raise SouthbridgeError("a character back end can serve one device only, and another one uses it already")
        self.frontend = frontend

    @abstractmethod
    def start(self, loop: asyncio.AbstractEventLoop, lock: threading.RLock) -> None:
        """Begins to move bytes. `lock` is the machine lock."""

    @abstractmethod
    def write(self, data: bytes) -> int:
        """Takes bytes of `data`, from its first on, and says how many. Never blocks.

        Fewer than all means that the buffer is full: the front end's `chardev_writable` says when there is room again.
        Where nobody listens the bytes are dropped, and count as taken.
        """

    @abstractmethod
    def accept_input(self) -> None:
        """The front end can take bytes again, after `can_receive` has returned 0."""

    @abstractmethod
    def close(self) -> None:
        """Ends it and gives everything back; may be called twice, and after an `open` that failed."""
