"""The display `web`: an HTTP server for browsers, with the screen (noVNC) and what the machine is made of."""

from __future__ import annotations

import logging
import secrets
import socket
from pathlib import Path

from aiohttp import web
from southbridge.errors import SouthbridgeError
from southbridge.properties import FilePath, Property
from southbridge.qmp.events import VncPlace
from southbridge.rfb.display import RemoteDisplay
from southbridge.rfb.security import Security

from .pages import Pages

BACKLOG = 64
FAREWELL_SECONDS = 1.0
"""How long browsers have at the end to take what is sent already."""

log = logging.getLogger(__name__)


class Web(RemoteDisplay):
    """Shows a console, and the machine, to a browser that was given its address, which has a token."""

    host: str = Property("127.0.0.1", doc="The address to listen at.")
    port: int = Property(6080, ge=0, le=65535, doc="The TCP port; any free one for 0.")
    token: str | None = Property(
        None, min_length=8, doc="What the address must have after ?token=; without it, chosen anew each time."
    )
    novnc: FilePath = Property(Path("/usr/share/novnc"), doc="The folder of noVNC; Debian's package novnc has it.")

    secret: str
    """The token."""

    address: tuple[str, int]
    """Host and port at which it listens."""

    _listener: socket.socket | None = None
    _runner: web.AppRunner | None = None
    _pages: Pages | None = None

    @property
    def link(self) -> str:
        """See Display: what to open in a browser, with the token."""
        host, port = self.address
        return f"http://{f'[{host}]' if ':' in host else host}:{port}/?token={self.secret}"

    def where(self) -> VncPlace:
        """See RemoteDisplay."""
        host, port = self.address
        return {"host": host, "service": str(port), "family": "ipv6" if ":" in host else "ipv4"}

    def open(self) -> None:
        """Listens. Raises SouthbridgeError."""
        if not (self.novnc / "core" / "rfb.js").is_file():
            raise SouthbridgeError(f"there is no noVNC in {self.novnc}; Debian's package novnc has it")
        self.security = Security()
        self.secret = self.token or secrets.token_urlsafe(16)
        try:
            family = socket.AF_INET6 if ":" in self.host else socket.AF_INET
            self._listener = socket.create_server((self.host, self.port), family=family, backlog=BACKLOG)
        except OSError as error:
            raise SouthbridgeError(f"can't listen at {self.host}:{self.port}: {error.strerror or error}") from None
        name = self._listener.getsockname()
        self.address = name[0], name[1]
        log.info("%s: %s", self.id, self.link)

    async def start(self) -> None:
        """See Display."""
        await super().start()
        assert self._listener is not None
        self._pages = Pages(self)
        self._runner = web.AppRunner(self._pages.application(), access_log=None, shutdown_timeout=FAREWELL_SECONDS)
        await self._runner.setup()
        await web.SockSite(self._runner, self._listener, backlog=BACKLOG).start()

    async def stop(self) -> None:
        """See Display."""
        await super().stop()
        if self._pages is not None:
            self._pages.cool()
        if self._runner is not None:
            await self._runner.cleanup()
            self._runner = None

    def close(self) -> None:
        """See Display."""
        if self._listener is not None:
            self._listener.close()
            self._listener = None
