"""Network back ends, and filters, which are both a back end for a card and a card for another back end."""

from __future__ import annotations

import asyncio
import threading
from abc import ABC, abstractmethod
from typing import ClassVar

from ..errors import SouthbridgeError
from ..properties import Configurable, Link
from .frames import Frame, Offload, Takes
from .port import NetworkPort, connect


class NetworkBackend(Configurable, ABC):
    """The host's side of a cable: one of a description's `netdevs`.

    Life: construct, `open`, `plug`, `start`, `close`. `start` and `close` are called on the main loop's thread, or
    while it isn't running. What comes from the network is given to the port on the main loop, with the machine lock
    held.
    """

    shared: ClassVar[bool] = False
    """Whether several cards may be plugged into it."""
    stands_alone: ClassVar[bool] = False
    """Whether it is of use though no card names it."""

    @abstractmethod
    def open(self) -> None:
        """Takes what it needs of the host. Raises SouthbridgeError if it can't have it."""

    @abstractmethod
    def plug(self, port: NetworkPort) -> None:
        """Connects `port`, a card's or a filter's. Raises SouthbridgeError if it has no room for it."""

    def start(self, loop: asyncio.AbstractEventLoop, lock: threading.RLock) -> None:
        """Begins to move frames. `lock` is the machine lock."""

    @abstractmethod
    def close(self) -> None:
        """Ends it and gives everything back; may be called twice, and after an `open` that failed."""

    def plug_into(self, own: NetworkPort, port: NetworkPort) -> None:
        """Connects `port` to `own`, the one port that the back end has."""
        if own.peer is not None:
            raise SouthbridgeError(
                "a network back end serves one card only, and another one uses it already; a hub joins"
            )
        connect(own, port)


class NetworkFilter(NetworkBackend):
    """Between a card and the back end `netdev`. It passes everything on; a subclass does so in its own way.

    `near` leads to the card, `far` to the back end.
    """

    netdev: NetworkBackend = Link("netdevs", doc="The back end, or the next filter, behind it.")

    def open(self) -> None:
        """Connects itself to what is behind it."""
        self.near = NetworkPort(self.from_card, sendable=self.card_has_room, link_changed=self.card_link)
        self.far = NetworkPort(self.from_network, sendable=self.network_has_room, link_changed=self.network_link)
        self.near.carrier = self.far.carrier = False
        self.netdev.plug(self.far)
        self.far.carrier = True
        self.near.takes = self.far.peer_takes & self.leaves_undone
        self.network_link()

    leaves_undone: ClassVar[Takes] = Takes.CHECKSUM | Takes.TCP4 | Takes.TCP6
    """What it can pass on unfinished."""

    def plug(self, port: NetworkPort) -> None:
        """See NetworkBackend."""
        self.plug_into(self.near, port)
        self.far.takes = self.near.peer_takes & self.leaves_undone

    def close(self) -> None:
        """Holds nothing."""

    def from_card(self, frame: Frame, offload: Offload | None) -> bool:
        """A frame that the guest sends."""
        return self.far.send(frame, offload)

    def from_network(self, frame: Frame, offload: Offload | None) -> bool:
        """A frame for the guest."""
        return self.near.send(frame, offload)

    def card_has_room(self) -> None:
        """The card takes frames again."""
        self.far.ready()

    def network_has_room(self) -> None:
        """The back end takes frames again."""
        self.near.ready()

    def card_link(self) -> None:
        """The card's side went up or down: the network isn't told, as it isn't by a switch."""

    def network_link(self) -> None:
        """The network went up or down: the card sees that."""
        self.near.carrier = self.far.link_up
