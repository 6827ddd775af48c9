"""Monitors: by what a running machine is watched and told what to do, from outside."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING

from .properties import Configurable

if TYPE_CHECKING:
    from .machine import Machine


class Monitor(Configurable, ABC):
    """One of a description's `monitors`. Life: construct, `open`, `start`, `stop`, `close`.

    It is among the machine's services: `start` and `stop` are called on the main loop as it begins and ends.
    """

    id: str = ""
    """Its id in the description."""
    machine: Machine
    """Set before `open`."""

    @property
    def where(self) -> str:
        """Where it is, in the words of QMP's query-chardev."""
        return type(self).__name__.lower()

    @property
    def in_use(self) -> bool:
        """Whether it serves."""
        return True

    @abstractmethod
    def open(self) -> None:
        """Takes what it needs of the host. Raises SouthbridgeError if it can't have it."""

    @abstractmethod
    async def start(self) -> None:
        """Begins to serve."""

    @abstractmethod
    async def stop(self) -> None:
        """Ends it, soon; also after a `start` that failed, or that never came."""

    @abstractmethod
    def close(self) -> None:
        """Gives everything back; may be called twice, and after an `open` that failed."""
