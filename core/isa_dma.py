"""The ISA bus's DMA channels: what a device on one and the controller know of each other (Intel 8237A, 231466).

A controller offers its channels as a bus. A device attaches to one, raises its request line, and is served while the
guest lets the channel: `dma_give` and `dma_take` move bytes, `dma_moved` tells of the
controller's TC.
"""

from __future__ import annotations

from typing import Protocol

from .errors import RealizeError

CHANNELS = 8
CASCADE = 4
"""The channel by which one controller is connected to the other."""


class DmaClient(Protocol):
    """A device on a channel. All is called with the machine lock held."""

    def dma_give(self, length: int) -> bytes:
        """Bytes for memory, at most `length`; none: it has nothing to give."""

    def dma_take(self, data: bytes) -> int:
        """Bytes from memory; how many of them it took."""

    def dma_moved(self, last: bool) -> None:
        """What was given or taken has been moved; `last`: terminal count, the guest wants no more."""


class DmaController(Protocol):
    """Who serves the channels."""

    def dma_requested(self, channel: int) -> None:
        """The channel's request line went high."""


class IsaDmaBus:
    """The channels, by number. Channels 0 to 3 move bytes, 5 to 7 words."""

    def __init__(self, controller: DmaController) -> None:
        self.clients: list[DmaClient | None] = [None] * CHANNELS
        self.requests = [False] * CHANNELS
        """The level of each request line."""
        self._controller = controller

    def attach(self, channel: int, client: DmaClient, who: str) -> None:
        """`client`, called `who`, is on that channel. Raises RealizeError if another is, or there is no such."""
        if not 0 <= channel < CHANNELS or channel == CASCADE:
            raise RealizeError(f"{who}: there is no DMA channel {channel}")
        if self.clients[channel] is not None:
            raise RealizeError(f"{who}: DMA channel {channel} is taken")
        self.clients[channel] = client

    def detach(self, channel: int, client: DmaClient) -> None:
        """It is there no more."""
        if self.clients[channel] is client:
            self.clients[channel] = None
            self.requests[channel] = False

    def request(self, channel: int, level: bool) -> None:
        """The request line's level. A transfer may happen before this returns."""
        self.requests[channel] = level
        if level:
            self._controller.dma_requested(channel)
