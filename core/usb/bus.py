"""A USB root hub's ports, and the devices in them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from ..errors import RealizeError

if TYPE_CHECKING:
    from .device import UsbDevice


class UsbHost(Protocol):
    """A host controller, as its bus sees it. All is called with the machine lock held; ports count from 0."""

    def port_changed(self, port: int) -> None:
        """A device came to `port`, or left it."""

    def port_active(self, port: int) -> None:
        """The device there has something to say that it hadn't before; if it may, it wakes the bus."""


class UsbBus:
    """`ports` ports. `firmware_path` is where firmware finds the controller, in Open Firmware's form."""

    def __init__(self, name: str, ports: int, host: UsbHost, firmware_path: str) -> None:
        self.name = name
        self.firmware_path = firmware_path
        self.ports: list[UsbDevice | None] = [None] * ports
        """What is in each."""
        self._host = host

    def __repr__(self) -> str:
        return f"<UsbBus {self.name}>"

    def attach(self, device: UsbDevice, port: int | None) -> int:
        """Plugs `device` into `port`, or the first that is free; gives which it is. Raises RealizeError."""
        free = [number for number, other in enumerate(self.ports) if other is None]
        if port is None:
            if not free:
                raise RealizeError(f"{device.id}: every port of {self.name} is taken")
            port = free[0]
        elif port >= len(self.ports):
            raise RealizeError(f"{device.id}: {self.name} has ports 1 to {len(self.ports)}, not {port + 1}")
        elif port not in free:
            other = self.ports[port]
            raise RealizeError(f"{device.id}: {self.name} port {port + 1} is taken by {other.id if other else ''}")
        self.ports[port] = device
        self._host.port_changed(port)
        return port

    def detach(self, device: UsbDevice) -> None:
        """Pulls `device` out, if it is plugged in."""
        if device in self.ports:
            port = self.ports.index(device)
            self.ports[port] = None
            self._host.port_changed(port)

    def active(self, device: UsbDevice) -> None:
        """`device` has something new to say."""
        if device in self.ports:
            self._host.port_active(self.ports.index(device))
