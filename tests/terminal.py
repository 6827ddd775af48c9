"""The user's side of a terminal."""

from __future__ import annotations

import os
import select
import time

PATIENCE_S = 60.0


class Terminal:
    """Types, and looks at what is shown."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._seen = b""

    def type(self, line: str) -> None:
        self.press(line.encode() + b"\n")

    def press(self, keys: bytes) -> None:
        os.write(self._descriptor, keys)

    def until(self, text: bytes) -> bytes:
        """What was shown, up to `text`, since the last one."""
        give_up = time.monotonic() + PATIENCE_S
        while text not in self._seen:
            left = give_up - time.monotonic()
            assert left > 0 and select.select([self._descriptor], [], [], left)[0], self._seen
            self._seen += os.read(self._descriptor, 4096)
        shown, _, self._seen = self._seen.partition(text)
        return shown
