"""Displays: by what people, and programs, see a machine's consoles."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING

from ..properties import Configurable

if TYPE_CHECKING:
    from ..machine import Machine


class Display(Configurable, ABC):
    """One of a description's `displays`. Life: construct, `open`, `start`, `stop`, `close`.

    It is opened before there are devices. Consoles are there (`machine.consoles`) when it is started.
    """

    id: str = ""
    """Its id in the description."""
    machine: Machine
    """Set before `open`."""

    @property
    def link(self) -> str:
        """Where people find it, as a URL; empty if there is nothing to be opened."""
        return ""

    @abstractmethod
    def open(self) -> None:
        """Takes what it needs of the host. Raises SouthbridgeError if it can't have it."""

    @abstractmethod
    async def start(self) -> None:
        """Begins to show, on the machine's main loop."""

    @abstractmethod
    async def stop(self) -> None:
        """Ends it, soon; also after a `start` that failed, or that never came."""

    @abstractmethod
    def close(self) -> None:
        """Gives everything back; may be called twice, and after an `open` that failed."""
