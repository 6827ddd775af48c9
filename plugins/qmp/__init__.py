"""The monitor for programs: see README.md."""

from __future__ import annotations

import os
import socket

from southbridge.control.server import ControlServer
from southbridge.errors import SouthbridgeError
from southbridge.monitor import Monitor
from southbridge.properties import FilePath, Property
from southbridge.unix_sockets import SocketFile, remove_stale_socket

BACKLOG = 16


class Qmp(Monitor):
    """QMP, for many clients, at a Unix or TCP socket, or at an inherited socket that listens already."""

    path: FilePath | None = Property(None, doc="A Unix socket's path. This, `port` or `fd` must be given.")
    host: str = Property("127.0.0.1", doc="The address of a TCP socket.")
    port: int | None = Property(None, ge=0, le=65535, doc="The port of a TCP socket; any free one for 0.")
    fd: int | None = Property(None, ge=0, doc="A descriptor that the process inherited: a socket that listens.")

    _listener: socket.socket | None = None
    _file: SocketFile | None = None
    _server: ControlServer | None = None

    @property
    def where(self) -> str:
        """See Monitor."""
        start = "" if self._server is not None and self._server.busy else "disconnected:"
        return f"{start}{self._address()},server=on"

    def _address(self) -> str:
        if self._listener is None:
            return ""
        name = self._listener.getsockname()
        return f"unix:{name}" if self._listener.family == socket.AF_UNIX else f"tcp:{name[0]}:{name[1]}"

    def open(self) -> None:
        """Listens. Raises SouthbridgeError."""
        if sum(given is not None for given in (self.path, self.port, self.fd)) != 1:
            raise SouthbridgeError("expected one of path, port and fd")
        try:
            if self.fd is not None:
                self._listener = _inherited(self.fd)
            elif self.path is not None:
                self._listen_at(self.path)
            else:
                family = socket.AF_INET6 if ":" in self.host else socket.AF_INET
                self._listener = socket.create_server((self.host, self.port or 0), family=family, backlog=BACKLOG)
        except OSError as error:
            self.close()
            where = f"descriptor {self.fd}" if self.fd is not None else self.path or f"{self.host}:{self.port}"
            raise SouthbridgeError(f"can't listen at {where}: {error.strerror or error}") from None

    def _listen_at(self, path: FilePath) -> None:
        """Replaces a socket at which nobody listens any more; bind complains of anything else."""
        self._listener = socket.socket(socket.AF_UNIX)
        if remove_stale_socket(path):
            raise SouthbridgeError(f"{path}: somebody else listens there")
        self._listener.bind(str(path))
        self._file = SocketFile(path)
        self._listener.listen(BACKLOG)

    async def start(self) -> None:
        """See Monitor."""
        assert self._listener is not None
        self._server = ControlServer(self.machine, self._listener, f"monitors.{self.id}")
        await self._server.start()

    async def stop(self) -> None:
        """See Monitor."""
        if self._server is not None:
            await self._server.stop()

    def close(self) -> None:
        """See Monitor."""
        if self._listener is not None:
            self._listener.close()
            self._listener = None
        if self._file is not None:
            self._file.remove()
            self._file = None


def _inherited(descriptor: int) -> socket.socket:
    listener = socket.socket(fileno=descriptor)
    if not listener.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN):
        raise SouthbridgeError(f"descriptor {descriptor} is a socket that doesn't listen")
    os.set_inheritable(descriptor, False)
    return listener
