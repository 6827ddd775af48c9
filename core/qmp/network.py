"""set_link: pulls a network card's cable out, and puts it back."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..errors import SouthbridgeError
from ..net import CardPort

if TYPE_CHECKING:
    from ..control.commands import Function
    from ..machine import Machine


class NetworkCommands:
    """Network cards, which are found by having a `port`."""

    def __init__(self, machine: Machine) -> None:
        self._machine = machine

    def commands(self) -> dict[str, Function]:
        """By name."""
        return {"set_link": self.set_link}

    def set_link(self, name: str, up: bool) -> None:
        """The link of the card `name`, or of the one on the netdev `name`, goes up or down."""
        machine = self._machine
        with machine.lock:
            netdev = machine.backends["netdevs"].get(name)
            ports = [
                port
                for device in machine.devices.values()
                if isinstance(port := getattr(device, "port", None), CardPort)
                and (device.id == name or (netdev is not None and getattr(device, "netdev", None) is netdev))
            ]
            if not ports:
                raise SouthbridgeError(f"there is no network card, and no netdev of one, that is called {name!r}")
            for port in ports:
                port.carrier = up
