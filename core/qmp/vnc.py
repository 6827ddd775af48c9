"""query-vnc, query-vnc-servers, change-vnc-password, set_password: of the displays that are VNC servers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

from ..errors import SouthbridgeError

if TYPE_CHECKING:
    from ..control.commands import Function
    from ..machine import Machine
    from ..rfb.display import RemoteDisplay


class VncCommands:
    """QEMU's commands; where they name no server, the first one is meant."""

    def __init__(self, machine: Machine) -> None:
        self._machine = machine

    def commands(self) -> dict[str, Function]:
        """By name."""
        return {
            "query-vnc": self.query_vnc,
            "query-vnc-servers": self.query_vnc_servers,
            "change-vnc-password": self.change_vnc_password,
            "set_password": self.set_password,
        }

    def _servers(self) -> dict[str, RemoteDisplay]:
        displays = self._machine.backends.get("displays", {})
        if not displays:
            return {}
        from ..rfb.display import RemoteDisplay  # only now: a machine without a screen needs no arrays

        return {id: display for id, display in displays.items() if isinstance(display, RemoteDisplay)}

    def query_vnc(self) -> dict[str, Any]:
        """Where the server listens, and who is connected."""
        return next((server.describe() for server in self._servers().values()), {"enabled": False})

    def query_vnc_servers(self) -> list[dict[str, Any]]:
        """Likewise, of each."""
        found = []
        for id, server in self._servers().items():
            info = server.describe()
            basic = {"websocket": False, **server.where()}
            found.append({"id": id, "server": [basic], "clients": info["clients"], "auth": info["auth"]})
        return found

    def change_vnc_password(self, password: str) -> None:
        """Clients that come from now on must know `password`."""
        self.set_password("vnc", password)

    def set_password(
        self,
        protocol: Literal["vnc", "spice"],
        password: str,
        connected: Literal["keep"] = "keep",
        display: str | None = None,
    ) -> None:
        """Likewise, of the server `display`. Those who are connected stay."""
        servers = self._servers() if protocol == "vnc" else {}
        server = next(iter(servers.values()), None) if display is None else servers.get(display)
        if server is None:
            raise SouthbridgeError("Could not set password: there is no such server")
        if server.security.password is None:
            raise SouthbridgeError("Could not set password: the server was started without one")
        if not password:
            raise SouthbridgeError("Could not set password: it is empty")
        server.security.password = password
