"""The two ends of a network cable.

    port = NetworkPort(self.receive, sendable=self.go_on)
    connect(port, other)
    taken = port.send(frame)

There is back pressure in both directions and no queue in between. A receiver that has no room refuses a frame, which
the sender keeps; once it has room it calls `ready`, and the sender is told (`sendable`). All is called with the
machine lock held. A `sendable` may send, and a `receive` too, but nobody may rely on the answer's coming in the same
call.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from .frames import Frame, Offload, Takes

Receive = Callable[[Frame, Offload | None], bool]
"""Takes a frame from the other end. False: there is no room; the owner will call `ready`, and is offered it again."""

ReceiveBatch = Callable[[Sequence[Frame], Offload | None], int]
"""Takes frames from the first on, and says how many: for those to whom a call is dear."""


def _nothing() -> None:
    """Nobody wants to know."""


class NetworkPort:
    """One end of a cable. Its owner sends by it, and is called when something comes from the other end."""

    def __init__(
        self,
        receive: Receive,
        *,
        receive_batch: ReceiveBatch | None = None,
        sendable: Callable[[], None] = _nothing,
        link_changed: Callable[[], None] = _nothing,
        takes: Takes = Takes.NOTHING,
    ) -> None:
        """`sendable`: the other end has room again, after it refused a frame. `link_changed`: see `link_up`."""
        self.peer: NetworkPort | None = None
        self.takes = takes
        """What of a frame may be left undone for this end's owner."""
        self._receive = receive
        self._receive_batch = receive_batch or self._one_by_one
        self._sendable = sendable
        self._link_changed = link_changed
        self._refused = False  # the other end waits for `ready`
        self._carrier = True

    # --- frames --------------------------------------------------------------------------------------------------

    def send(self, frame: Frame, offload: Offload | None = None) -> bool:
        """Gives `frame` to the other end; False if that has no room: `sendable` is called when it has again.

        Without a link the frame is lost, and counts as sent.
        """
        peer = self.peer
        if peer is None or not (self._carrier and peer._carrier):
            return True
        peer._refused = not peer.deliver(frame, offload)
        return not peer._refused

    def send_batch(self, frames: Sequence[Frame], offload: Offload | None = None) -> int:
        """Gives several frames, of all of which `offload` holds; says how many, from the first on, were taken."""
        peer = self.peer
        if peer is None or not (self._carrier and peer._carrier):
            return len(frames)
        taken = peer.deliver_batch(frames, offload)
        peer._refused = taken < len(frames)
        return taken

    def ready(self) -> None:
        """Says that there is room again. Costs little if nothing was refused."""
        if self._refused:
            self._refused = False
            if self.peer is not None:
                self.peer.tell_sendable()

    @property
    def refused(self) -> bool:
        """Whether the other end has a frame for us that we refused."""
        return self._refused

    @property
    def peer_takes(self) -> Takes:
        """What of a frame may be left undone."""
        return self.peer.takes if self.peer is not None else Takes.NOTHING

    # --- for the other end; a subclass may hold things up ---------------------------------------------------------

    def deliver(self, frame: Frame, offload: Offload | None) -> bool:
        """Hands a frame from the other end to the owner."""
        return self._receive(frame, offload)

    def deliver_batch(self, frames: Sequence[Frame], offload: Offload | None) -> int:
        """The same for several."""
        return self._receive_batch(frames, offload)

    def tell_sendable(self) -> None:
        """The other end has room again."""
        self._sendable()

    def _one_by_one(self, frames: Sequence[Frame], offload: Offload | None) -> int:
        for number, frame in enumerate(frames):
            if not self._receive(frame, offload):
                return number
        return len(frames)

    # --- the link ------------------------------------------------------------------------------------------------

    @property
    def link_up(self) -> bool:
        """Whether there is another end, and both are on."""
        return self.peer is not None and self._carrier and self.peer._carrier

    @property
    def carrier(self) -> bool:
        """Whether this end is on."""
        return self._carrier

    @carrier.setter
    def carrier(self, on: bool) -> None:
        if on == self._carrier:
            return
        before = self.link_up
        self._carrier = on
        if self.link_up != before:
            self._tell_both()

    def _tell_both(self) -> None:
        """The link went up or down; what was refused is lost, so that nobody waits for room at a dead end."""
        for port in (self, self.peer):
            if port is not None:
                port._link_changed()
        for port in (self, self.peer):
            if port is not None:
                port.ready()


def connect(one: NetworkPort, other: NetworkPort) -> None:
    """Puts a cable between two ports that have none."""
    assert one.peer is None and other.peer is None, "a port has one cable"
    one.peer, other.peer = other, one
    for port in (one, other):
        if port.link_up:
            port._link_changed()


def disconnect(port: NetworkPort) -> None:
    """Pulls the cable out, if there is one."""
    other = port.peer
    if other is None:
        return
    was_up = port.link_up
    port.peer = other.peer = None
    port._refused = other._refused = False
    for end in (port, other):
        if was_up:
            end._link_changed()
        end._sendable()
