"""A machine's netdevs as a whole: they begin to move frames when the machine first runs."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from .hookspecs import hookimpl

if TYPE_CHECKING:
    from .machine import Machine
    from .net import NetworkBackend


class Networks:
    """Starts the back ends of one machine. One that starts paused may be restored before: so not until it goes on."""

    def __init__(self, machine: Machine) -> None:
        self._machine = machine
        self._started = False
        machine.networks = self
        machine.hooks.register(self, "networks")

    def joined(self, netdev: NetworkBackend) -> None:
        """`netdev` came later. Called on the main loop's thread."""
        if self._started:
            netdev.start(asyncio.get_running_loop(), self._machine.lock)

    @hookimpl
    def machine_resumed(self) -> None:
        """See the hook."""
        if not self._started:
            self._started = True
            for netdev in self._machine.backends["netdevs"].values():
                netdev.start(asyncio.get_running_loop(), self._machine.lock)
