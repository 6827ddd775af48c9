"""query-chardev, query-vnc, change-vnc-password."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ..errors import SouthbridgeError

if TYPE_CHECKING:
    from ..control.commands import Function
    from ..machine import Machine


class CharacterCommands:
    """Character back ends. There is no VNC server, and none is claimed."""

    def __init__(self, machine: Machine) -> None:
        self._machine = machine

    def commands(self) -> dict[str, Function]:
        """By name."""
        return {
            "query-chardev": self.query_chardev,
            "query-vnc": self.query_vnc,
            "change-vnc-password": self.change_vnc_password,
        }

    def query_chardev(self) -> list[dict[str, Any]]:
        """Where serial ports and monitors lead."""
        backends = self._machine.backends
        there = {**backends.get("monitors", {}), **backends["chardevs"]}
        return [
            {"label": id, "filename": backend.where, "frontend-open": backend.in_use} for id, backend in there.items()
        ]

    def query_vnc(self) -> dict[str, Any]:
        """Whether a VNC server shows the screen: none does."""
        return {"enabled": False}

    def change_vnc_password(self, password: str) -> None:
        """Would set the VNC server's password."""
        raise SouthbridgeError("Could not set password: there is no VNC server")
