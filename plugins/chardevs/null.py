"""The character back end that nobody listens to."""

from __future__ import annotations

import asyncio
import threading

from southbridge.chardev import CharBackend


class NullChardev(CharBackend):
    """Drops output and has no input."""

    def open(self) -> None:
        """Needs nothing."""

    def start(self, loop: asyncio.AbstractEventLoop, lock: threading.RLock) -> None:
        """Tells the front end that it is connected."""
        with lock:
            if self.frontend is not None:
                self.frontend.chardev_event(True)

    def write(self, data: bytes) -> int:
        """Drops everything."""
        return len(data)

    def accept_input(self) -> None:
        """There is never any."""

    def close(self) -> None:
        """Holds nothing."""
