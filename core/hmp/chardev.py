"""A character back end as a monitor's connection."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable

from ..chardev import CharBackend
from ..units import KiB

ROOM = 4 * KiB
"""How much may be typed ahead."""
MOST_UNSENT = 256 * KiB
"""What waits for a terminal that takes nothing; what comes then is lost."""


class CharConnection:
    """`chardev`'s front end, or one of them. `chosen` is called when input comes here from now on."""

    def __init__(self, chardev: CharBackend, lock: threading.RLock) -> None:
        self.chosen: Callable[[], None] = lambda: None
        self._chardev = chardev
        self._lock = lock
        self._typed = bytearray()
        self._came = asyncio.Event()
        self._unsent = bytearray()
        self._sent = asyncio.Event()
        self._sent.set()

    # --- the conversation's side ---------------------------------------------------------------------------------

    async def read(self) -> bytes:
        """See Connection; there is always somebody."""
        await self._came.wait()
        self._came.clear()
        data = bytes(self._typed)
        self._typed.clear()
        self._chardev.accept_input()
        return data

    def write(self, data: bytes) -> None:
        """See Connection."""
        self._unsent += data[: MOST_UNSENT - len(self._unsent)]
        self._send()

    async def drain(self) -> None:
        """See Connection."""
        await self._sent.wait()

    def _send(self) -> None:
        with self._lock:
            del self._unsent[: self._chardev.write(bytes(self._unsent))]
        if self._unsent:
            self._sent.clear()
        else:
            self._sent.set()

    # --- the back end's side: see CharFrontend -------------------------------------------------------------------

    def can_receive(self) -> int:
        """See CharFrontend."""
        return ROOM - len(self._typed)

    def receive(self, data: bytes) -> None:
        """See CharFrontend."""
        self._typed += data
        self._came.set()

    def chardev_event(self, opened: bool) -> None:
        """See CharFrontend."""
        if opened:
            self.chosen()

    def chardev_writable(self) -> None:
        """See CharFrontend."""
        self._send()
