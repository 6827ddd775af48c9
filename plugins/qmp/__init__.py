"""The monitor for programs: see README.md."""

from __future__ import annotations

from southbridge.control.server import ControlServer
from southbridge.socket_monitor import SocketMonitor


class Qmp(SocketMonitor):
    """QMP: for many clients at a Unix or TCP socket, or at an inherited one that listens; or for one whom it meets."""

    _server: ControlServer | None = None

    @property
    def where(self) -> str:
        """See Monitor."""
        start = "" if self._server is not None and self._server.busy else "disconnected:"
        return f"{start}{self.place}"

    async def start(self) -> None:
        """See Monitor."""
        self._server = ControlServer(self.machine, self.listener, f"monitors.{self.id}")
        await self._server.start()
        if (peer := self.take_peer()) is not None:
            self._server.welcome(peer)

    async def stop(self) -> None:
        """See Monitor."""
        if self._server is not None:
            await self._server.stop()
