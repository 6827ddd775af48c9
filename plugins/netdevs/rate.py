"""A filter that lets only so much through."""

from __future__ import annotations

import time
from collections.abc import Callable

from southbridge.net import Frame, NetworkPort, Offload
from southbridge.properties import Property, Size

from .delays import TimedFilter


class RateLimit(TimedFilter):
    """Lets so many bytes a second through in each direction, by a token bucket; who is faster has to wait."""

    rate: Size = Property(gt=0, doc="Bytes a second.", examples=["1M"])
    burst: Size = Property(64 * 1024, ge=1, doc="Bytes that may come at once.")

    def open(self) -> None:
        """Connects itself."""
        super().open()
        self._out = _Bucket(self, lambda: self.near)
        self._in = _Bucket(self, lambda: self.far)

    def from_card(self, frame: Frame, offload: Offload | None) -> bool:
        """See NetworkFilter."""
        return self._out.admits() and super().from_card(frame, offload) and self._out.take(len(frame))

    def from_network(self, frame: Frame, offload: Offload | None) -> bool:
        """See NetworkFilter."""
        return self._in.admits() and super().from_network(frame, offload) and self._in.take(len(frame))


class _Bucket:
    """Tokens of one direction: a frame may pass while there are any, and may take more than there are."""

    def __init__(self, owner: RateLimit, sender: Callable[[], NetworkPort]) -> None:
        self._owner = owner
        self._sender = sender
        self._tokens = float(owner.burst)
        self._seen = time.monotonic()
        self._waiting = False

    def admits(self) -> bool:
        now = time.monotonic()
        self._tokens = min(self._tokens + (now - self._seen) * self._owner.rate, float(self._owner.burst))
        self._seen = now
        if self._tokens > 0 or not self._owner.started:
            return True
        if not self._waiting:
            self._waiting = True
            self._owner.later((1 - self._tokens) / self._owner.rate, self._go_on)
        return False

    def take(self, length: int) -> bool:
        self._tokens -= length
        return True

    def _go_on(self) -> None:
        self._waiting = False
        self._sender().ready()
