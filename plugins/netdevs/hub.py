"""A hub, as it was before there were switches: what comes in by one port goes out by all others."""

from __future__ import annotations

from collections import deque
from typing import ClassVar

from southbridge.net import Frame, FrameQueue, NetworkBackend, NetworkPort, Offload
from southbridge.properties import Link

LOOPED = 64
"""Frames that may come in while one goes out: more are only where hubs are joined in a circle."""


class Hub(NetworkBackend):
    """Joins several cards, and by `hubport` other back ends.

    A port whose other end has no room keeps frames in a bounded queue, and loses further ones, as Ethernet does: one
    that is slow, or paused, doesn't stop the others. Only if nobody at all has room is a frame refused.
    """

    shared: ClassVar[bool] = True

    def open(self) -> None:
        """Needs nothing."""
        self._places: list[_Place] = []
        self._waiting: deque[tuple[_Place, bytes, Offload | None]] = deque()
        self._busy = False

    def plug(self, port: NetworkPort) -> None:
        """One more port."""
        place = _Place(self)
        self._places.append(place)
        self.plug_into(place.port, port)

    def close(self) -> None:
        """Holds nothing."""

    def repeat(self, source: _Place, frame: Frame, offload: Offload | None) -> bool:
        """A frame has come in by `source`."""
        if self._busy:  # an answer, at once; or a circle of hubs
            if len(self._waiting) < LOOPED:
                self._waiting.append((source, bytes(frame), offload))
            return True
        others = self._others(source)
        if others and all(place.queue.full for place in others):
            return False
        self._busy = True
        try:
            for place in others:
                place.give(frame, offload)
            for _ in range(LOOPED):
                if not self._waiting:
                    break
                origin, held, facts = self._waiting.popleft()
                for place in self._others(origin):
                    place.give(held, facts)
            self._waiting.clear()
        finally:
            self._busy = False
        return True

    def has_room(self, place: _Place) -> None:
        """Those that were refused try again."""
        for other in self._others(place):
            other.port.ready()

    def _others(self, source: _Place) -> list[_Place]:
        return [place for place in self._places if place is not source and place.port.peer is not None]


class _Place:
    """A port of a hub."""

    def __init__(self, hub: Hub) -> None:
        self._hub = hub
        self.queue = FrameQueue()
        self.port = NetworkPort(self._receive, sendable=self._flush)

    def give(self, frame: Frame, offload: Offload | None) -> None:
        """Sends it out, now or later, or loses it."""
        if self.queue or not self.port.send(frame, offload):
            self.queue.put(frame, offload)

    def _receive(self, frame: Frame, offload: Offload | None) -> bool:
        return self._hub.repeat(self, frame, offload)

    def _flush(self) -> None:
        if self.port.peer is None:
            self.queue.clear()
        was_full = self.queue.full
        self.queue.give_to(self.port)
        if was_full and not self.queue.full:
            self._hub.has_room(self)


class HubPort(NetworkBackend):
    """Joins a back end to a hub, or a hub to another; without a back end, the card that names it."""

    stands_alone: ClassVar[bool] = True

    hub: NetworkBackend = Link("netdevs", doc="The hub.")
    netdev: NetworkBackend | None = Link("netdevs", None, doc="What is joined to it; none: the card that names this.")

    _card: NetworkPort | None = None

    def open(self) -> None:
        """Joins the two."""
        if self.netdev is None:
            return
        self._to_hub = NetworkPort(self._from_hub, sendable=self._hub_has_room)
        self._to_netdev = NetworkPort(self._from_netdev, sendable=self._netdev_has_room)
        self.hub.plug(self._to_hub)
        self.netdev.plug(self._to_netdev)

    def plug(self, port: NetworkPort) -> None:
        """See NetworkBackend. Where a back end is joined both its ends are taken."""
        if self.netdev is not None:
            self.plug_into(self._to_hub, port)
        elif self._card is not None and self._card.peer is not None:
            self.plug_into(self._card, port)
        else:
            self.hub.plug(port)
            self._card = port

    def close(self) -> None:
        """Holds nothing."""

    def _from_hub(self, frame: Frame, offload: Offload | None) -> bool:
        return self._to_netdev.send(frame, offload)

    def _from_netdev(self, frame: Frame, offload: Offload | None) -> bool:
        return self._to_hub.send(frame, offload)

    def _hub_has_room(self) -> None:
        self._to_netdev.ready()

    def _netdev_has_room(self) -> None:
        self._to_hub.ready()
