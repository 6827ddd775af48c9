"""A main loop on the test's own thread, and the back ends that it serves."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable

from southbridge.net import NetworkBackend
from southbridge.testing.network import NetworkLine


class NetworkLoop:
    """Starts back ends, each with a card in the test's hand, and runs until something has happened."""

    def __init__(self) -> None:
        self.loop = asyncio.new_event_loop()
        self.lock = threading.RLock()
        self._started: list[NetworkBackend] = []

    def start(self, backend: NetworkBackend, card: NetworkLine | None = None) -> NetworkLine:
        """Opens `backend`, plugs a card in, and starts it."""
        card = card or NetworkLine()
        self._started.append(backend)
        backend.open()
        backend.plug(card.port)
        backend.start(self.loop, self.lock)
        return card

    def until(self, condition: Callable[[], object], seconds: float = 20.0) -> None:
        """Runs the loop until `condition` holds; raises TimeoutError if it never does."""

        async def wait() -> None:
            async with asyncio.timeout(seconds):
                while not condition():
                    await asyncio.sleep(0.0005)

        self.loop.run_until_complete(wait())

    def settle(self) -> None:
        """Runs what the loop has to do now."""
        for _ in range(8):
            self.loop.run_until_complete(asyncio.sleep(0))

    def close(self) -> None:
        """Closes everything."""
        for backend in reversed(self._started):
            backend.close()
        self.loop.run_until_complete(asyncio.sleep(0))
        self.loop.close()
