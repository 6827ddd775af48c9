"""query-vnc, query-vnc-servers, change-vnc-password, set_password: of the displays that are VNC servers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, NotRequired, TypedDict

from ..errors import SouthbridgeError
from .events import Family, VncAddress

if TYPE_CHECKING:
    from ..control.commands import Function
    from ..machine import Machine
    from ..rfb.display import RemoteDisplay

Authentication = Literal["none", "vnc", "vencrypt"]
UnderTls = Literal["x509-none", "x509-vnc"]


class VncInfo(TypedDict):
    """What query-vnc tells."""

    enabled: bool
    host: NotRequired[str]
    service: NotRequired[str]
    family: NotRequired[Family]
    auth: NotRequired[str]
    clients: NotRequired[list[VncAddress]]


class VncListener(VncAddress):
    """Where a server listens, and how clients prove there who they are; `vencrypt` is how they do under TLS."""

    auth: Authentication
    vencrypt: NotRequired[UnderTls]


class VncServerInfo(TypedDict):
    """A server, likewise."""

    id: str
    server: list[VncListener]
    clients: list[VncAddress]
    auth: Authentication
    vencrypt: NotRequired[UnderTls]


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

    def query_vnc(self) -> VncInfo:
        """Where the server listens, and who is connected."""
        for server in self._servers().values():
            return {"enabled": True, "auth": server.security.name, "clients": server.peers(), **server.where()}
        return {"enabled": False}

    def query_vnc_servers(self) -> list[VncServerInfo]:
        """Likewise, of each."""
        return [_server(id, server) for id, server in self._servers().items()]

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


def _server(id: str, server: RemoteDisplay) -> VncServerInfo:
    security, where = server.security, server.where()
    plain: Literal["none", "vnc"] = "none" if security.password is None else "vnc"
    listener: VncListener = {
        "host": where["host"],
        "service": where["service"],
        "family": where["family"],
        "websocket": False,
        "auth": plain,
    }
    info: VncServerInfo = {"id": id, "server": [listener], "clients": server.peers(), "auth": plain}
    if security.tls is not None:
        listener["auth"] = info["auth"] = "vencrypt"
        listener["vencrypt"] = info["vencrypt"] = "x509-none" if plain == "none" else "x509-vnc"
    return info
