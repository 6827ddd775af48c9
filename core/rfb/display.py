"""What displays that speak the protocol have in common: which console they show, and to whom."""

from __future__ import annotations

from abc import abstractmethod
from typing import Literal

from ..display import Display, GraphicConsole
from ..errors import SouthbridgeError
from ..properties import Property
from ..qmp.events import VncAddress, VncPlace
from .security import Security
from .server import Server, Share
from .stream import Stream


class RemoteDisplay(Display):
    """Shows one console to clients elsewhere."""

    console: str | None = Property(None, doc="The id of the graphics device to show; without it, the first one.")
    share: Literal["allow-exclusive", "force-shared", "ignore"] = Property(
        "allow-exclusive", doc="Whether a client that wants the screen for itself has the others hung up on."
    )
    clients: int = Property(32, ge=1, le=1024, doc="How many may be connected at once.")

    security: Security
    """Who may come in; set by `open`."""
    server: Server | None = None
    """There while the machine runs."""

    @abstractmethod
    def where(self) -> VncPlace:
        """Where it listens, in the words of QMP's query-vnc."""

    def peers(self) -> list[VncAddress]:
        """Who is connected, likewise."""
        return [] if self.server is None else [_named(stream.peer) for stream in self.server.sessions.values()]

    async def start(self) -> None:
        """See Display. Raises SouthbridgeError if there is no such console."""
        self.server = Server(
            self.machine,
            self._console(),
            self.security,
            name=self.id,
            share=Share(self.share),
            most_clients=self.clients,
            announce=self._announce,
        )

    def _announce(self, event: str, stream: Stream) -> None:
        server = {**self.where(), "websocket": False, "auth": self.security.name}
        self.machine.announce(event, server=server, client=_named(stream.peer))

    def _console(self) -> GraphicConsole | None:
        consoles = {console.name: console for console in self.machine.consoles}
        if self.console is None:
            return next(iter(consoles.values()), None)
        if self.console not in consoles:
            known = ", ".join(consoles) or "none"
            raise SouthbridgeError(f"displays.{self.id}: there is no console {self.console!r} (there are: {known})")
        return consoles[self.console]

    async def stop(self) -> None:
        """See Display."""
        if self.server is not None:
            server, self.server = self.server, None
            await server.stop()


def _named(peer: str) -> VncAddress:
    """A client, as query-vnc has it."""
    host, colon, service = peer.rpartition(":")
    if not colon:
        return {"host": "", "service": "", "family": "unix", "websocket": False}
    return {"host": host, "service": service, "family": "ipv6" if ":" in host else "ipv4", "websocket": False}
