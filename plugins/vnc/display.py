"""The display `vnc`: where it listens, and who may come in. The protocol is the core's (`southbridge.rfb`)."""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import logging
import socket
import ssl

from southbridge.errors import SouthbridgeError
from southbridge.properties import FilePath, Property
from southbridge.qmp.events import VncPlace
from southbridge.rfb.display import RemoteDisplay
from southbridge.rfb.security import Security
from southbridge.rfb.stream import SocketStream
from southbridge.unix_sockets import SocketFile, remove_stale_socket

FIRST_PORT = 5900
"""Display number 0's."""
BACKLOG = 16

log = logging.getLogger(__name__)


class Vnc(RemoteDisplay):
    """Shows a console to VNC viewers, and gives the guest their keys and pointers."""

    host: str = Property("127.0.0.1", doc="The address to listen at.")
    display: int | None = Property(None, ge=0, le=65535 - FIRST_PORT, doc="The display's number N: port 5900 + N.")
    port: int | None = Property(None, ge=0, le=65535, doc="The TCP port instead; any free one for 0.")
    to: int | None = Property(
        None, ge=0, le=65535 - FIRST_PORT, doc="If the display is taken, the next free one, up to this number."
    )
    path: FilePath | None = Property(None, doc="A Unix socket's path instead.")
    password: str | None = Property(
        None, min_length=1, doc="What clients must know. Eight characters count. Without TLS it protects from nobody."
    )
    password_file: FilePath | None = Property(None, doc="A file whose first line is that instead.")
    password_later: bool = Property(
        False, doc="Nobody may come in before QMP's change-vnc-password has said what clients must know."
    )
    tls_certificate: FilePath | None = Property(
        None,
        doc="A certificate in PEM form, with its chain: clients must use TLS (VeNCrypt), which is encrypted by it.",
    )
    tls_key: FilePath | None = Property(None, doc="Its key, if that is in another file.")

    address: tuple[str, int] | str
    """Host and port at which it listens, or the Unix socket's path."""

    _listener: socket.socket | None = None
    _file: SocketFile | None = None
    _serving: asyncio.Server | None = None

    @property
    def link(self) -> str:
        """See Display."""
        address = self.address
        if isinstance(address, str):
            return f"vnc+unix://{address}"
        host, port = address
        return f"vnc://{f'[{host}]' if ':' in host else host}:{port}"

    def where(self) -> VncPlace:
        """See RemoteDisplay."""
        address = self.address
        if isinstance(address, str):
            return {"host": "", "service": address, "family": "unix"}
        host, port = address
        return {"host": host, "service": str(port), "family": "ipv6" if ":" in host else "ipv4"}

    def open(self) -> None:
        """Listens. Raises SouthbridgeError."""
        if sum(given is not None for given in (self.display, self.port, self.path)) > 1:
            raise SouthbridgeError("expected one of display, port and path")
        self.security = Security(self._password(), self._tls())
        try:
            name = self._listen().getsockname()
        except OSError as error:
            self.close()
            where = self.path or f"{self.host}:{self._port}"
            raise SouthbridgeError(f"can't listen at {where}: {error.strerror or error}") from None
        self.address = name if isinstance(name, str) else (name[0], name[1])
        if self.path is None and not _is_loopback(self.address[0]) and self.security.tls is None:
            log.warning("%s: others can reach it at %s, and see all that is sent", self.id, self.address[0])
        log.info("%s: %s", self.id, self.link)

    @property
    def _port(self) -> int:
        return FIRST_PORT + (self.display or 0) if self.port is None else self.port

    def _listen(self) -> socket.socket:
        """Replaces a Unix socket at which nobody listens any more; bind complains of anything else."""
        if self.path is None:
            family = socket.AF_INET6 if ":" in self.host else socket.AF_INET
            last = self._port if self.to is None else max(self._port, FIRST_PORT + self.to)
            self._listener = _first_free(self.host, range(self._port, last + 1), family)
            return self._listener
        self._listener = socket.socket(socket.AF_UNIX)
        if remove_stale_socket(self.path):
            raise SouthbridgeError(f"{self.path}: somebody else listens there")
        self._listener.bind(str(self.path))
        self._file = SocketFile(self.path)
        self._listener.listen(BACKLOG)
        return self._listener

    def _password(self) -> str | None:
        if sum((self.password is not None, self.password_file is not None, self.password_later)) > 1:
            raise SouthbridgeError("expected one of password, password_file and password_later")
        if self.password_file is None:
            return "" if self.password_later else self.password
        try:
            with self.password_file.open() as file:
                password = file.readline().rstrip("\r\n")
        except (OSError, ValueError) as error:
            reason = error.strerror if isinstance(error, OSError) else "it isn't text"
            raise SouthbridgeError(f"{self.password_file}: can't read it: {reason}") from None
        if not password:
            raise SouthbridgeError(f"{self.password_file}: its first line, the password, is empty")
        return password

    def _tls(self) -> ssl.SSLContext | None:
        if self.tls_certificate is None:
            if self.tls_key is not None:
                raise SouthbridgeError("tls_key without a tls_certificate")
            return None
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        try:
            context.load_cert_chain(self.tls_certificate, self.tls_key)
        except (OSError, ssl.SSLError) as error:
            reason = error.strerror or error.__class__.__name__
            raise SouthbridgeError(f"can't use {self.tls_certificate} for TLS: {reason}") from None
        return context

    async def start(self) -> None:
        """See Display. Raises SouthbridgeError if there is no such console."""
        await super().start()
        self._serving = await asyncio.start_server(self._came, sock=self._listener)

    def _came(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self.server is not None:
            self.server.serve(SocketStream(reader, writer))

    async def stop(self) -> None:
        """See Display."""
        if self._serving is not None:
            self._serving.close()
            self._serving = None
        await super().stop()

    def close(self) -> None:
        """See Display."""
        if self._listener is not None:
            self._listener.close()
            self._listener = None
        if self._file is not None:
            self._file.remove()
            self._file = None


def _first_free(host: str, ports: range, family: socket.AddressFamily) -> socket.socket:
    """A listener at the first of `ports` that nobody has. Raises OSError."""
    for port in ports[:-1]:
        with contextlib.suppress(OSError):
            return socket.create_server((host, port), family=family, backlog=BACKLOG)
    return socket.create_server((host, ports[-1]), family=family, backlog=BACKLOG)


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
