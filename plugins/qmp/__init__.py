"""The monitor for programs: see README.md."""

from __future__ import annotations

from typing import TYPE_CHECKING

from southbridge.control.server import ControlServer
from southbridge.properties import Property
from southbridge.socket_monitor import SocketMonitor

if TYPE_CHECKING:
    from .standard_streams import StandardStreams


class Qmp(SocketMonitor):
    """QMP: for many clients at a Unix or TCP socket, or at an inherited one that listens; or for one whom it meets."""

    places = (*SocketMonitor.places, "stdio")

    stdio: bool = Property(False, doc="Whether the client is at standard input and output.")

    pretty: bool = Property(False, doc="Whether what it says is on several lines, for people.")

    _streams: StandardStreams | None = None
    _server: ControlServer | None = None

    @property
    def where(self) -> str:
        """See Monitor."""
        start = "" if self._server is not None and self._server.busy else "disconnected:"
        return f"{start}{self.place}"

    @property
    def place(self) -> str:
        """See SocketMonitor."""
        return "stdio" if self.stdio else super().place

    def reach(self) -> None:
        """See SocketMonitor."""
        if self.stdio:
            from .standard_streams import StandardStreams  # which few machines need

            self._streams = StandardStreams()
            self.peer = self._streams.peer
        else:
            super().reach()

    async def start(self) -> None:
        """See Monitor."""
        self._server = ControlServer(self.machine, self.listener, f"monitors.{self.id}", pretty=self.pretty)
        await self._server.start()
        if (peer := self.take_peer()) is not None:
            self._server.welcome(peer)

    async def stop(self) -> None:
        """See Monitor."""
        if self._server is not None:
            await self._server.stop()

    def close(self) -> None:
        """See Monitor."""
        super().close()
        if self._streams is not None:
            self._streams.close()
            self._streams = None
