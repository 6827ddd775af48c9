"""A network in a test's hand."""

from __future__ import annotations

from ..net import Frame, NetworkBackend, NetworkPort, Offload, Takes


class NetworkLine(NetworkBackend):
    """A back end that is the test itself: `frames` has what was sent, `give` sends to the card.

    It takes `room` frames, for ever if that is None; `make_room` gives it more.
    """

    def __init__(self, room: int | None = None, takes: Takes = Takes.NOTHING) -> None:
        super().__init__()
        self.frames: list[bytes] = []
        self.offloads: list[Offload | None] = []
        self.sent = bytearray()
        """All of them in one."""
        self.room = room
        self.waiting = bytearray()
        """What the card had no room for yet; see `feed`."""
        self.told_sendable = 0
        self.port = NetworkPort(self._receive, sendable=self._sendable, takes=takes)

    def open(self) -> None:
        """Nothing to open."""

    def plug(self, port: NetworkPort) -> None:
        """See NetworkBackend."""
        self.plug_into(self.port, port)

    def close(self) -> None:
        """Nothing to close."""

    def give(self, frame: Frame, offload: Offload | None = None) -> bool:
        """Offers the card a frame."""
        return self.port.send(frame, offload)

    def make_room(self, frames: int = 1) -> None:
        """Takes so many frames more."""
        self.room = (self.room or 0) + frames
        self.port.ready()

    def feed(self, data: bytes) -> None:
        """Offers the card a frame to everybody that begins with `data`; it is lost if there is no room."""
        self.port.send(b"\xff" * 6 + bytes(data) * 8)

    def _receive(self, frame: Frame, offload: Offload | None) -> bool:
        if self.room is not None:
            if not self.room:
                return False
            self.room -= 1
        self.frames.append(bytes(frame))
        self.sent += frame
        self.offloads.append(offload)
        return True

    def _sendable(self) -> None:
        self.told_sendable += 1
