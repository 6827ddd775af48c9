"""Monitors at sockets: one that listens for clients, or connects to one; its own, or one that the process inherited."""

from __future__ import annotations

import os
import socket
from typing import ClassVar

from .errors import SouthbridgeError
from .monitor import Monitor
from .properties import FilePath, Property
from .unix_sockets import SocketFile, remove_stale_socket

BACKLOG = 16


class SocketMonitor(Monitor):
    """Opened, it has a `listener`, or the `peer` that is there already, or both."""

    places: ClassVar[tuple[str, ...]] = ("path", "port", "fd")
    """The properties of which one is to be given."""

    path: FilePath | None = Property(None, doc="A Unix socket's path. This, `port` or `fd` must be given.")
    host: str = Property("127.0.0.1", doc="The address of a TCP socket.")
    port: int | None = Property(None, ge=0, le=65535, doc="The port of a TCP socket; any free one for 0.")
    fd: int | None = Property(None, ge=0, doc="A descriptor that the process inherited.")
    server: bool = Property(True, doc="Whether to listen for clients, rather than to connect to one.")
    wait: bool = Property(False, doc="Whether a server's machine starts only when a client is there.")
    wait_timeout: float = Property(10.0, gt=0, doc="How long to wait for the other end, in seconds.")

    listener: socket.socket | None = None
    peer: socket.socket | None = None
    _file: SocketFile | None = None

    @property
    def place(self) -> str:
        """Where it is, in QEMU's words."""
        if self.listener is not None:
            name = self.listener.getsockname()
            unix = self.listener.family == socket.AF_UNIX
            return f"{f'unix:{name}' if unix else f'tcp:{name[0]}:{name[1]}'},server=on"
        if self.fd is not None:
            return f"fd:{self.fd}"
        place = f"unix:{self.path}" if self.path is not None else f"tcp:{self.host}:{self.port}"
        return f"{place},server=on" if self.server else place

    def open(self) -> None:
        """Listens or connects. Raises SouthbridgeError."""
        given = [name for name in self.places if (value := getattr(self, name)) is not None and value is not False]
        if len(given) != 1:
            raise SouthbridgeError(f"expected one of {', '.join(self.places[:-1])} and {self.places[-1]}")
        if self.wait and not self.server:
            raise SouthbridgeError("only a server can wait for a client")
        place = self.place
        try:
            self.reach()
        except (OSError, ValueError) as error:
            self.close()
            what = "listen at" if self.server else "connect to"
            reason = (isinstance(error, OSError) and error.strerror) or error
            raise SouthbridgeError(f"can't {what} {place}: {reason}") from None
        except SouthbridgeError:
            self.close()
            raise

    def reach(self) -> None:
        """Gets the listener or the peer. Raises OSError, ValueError or SouthbridgeError."""
        if self.fd is not None:
            self._inherit(self.fd)
        elif self.server:
            self.listener = self._listen()
        else:
            self.peer = self._dial()
        if self.wait and self.listener is not None:
            self.listener.settimeout(self.wait_timeout)
            try:
                self.peer = self.listener.accept()[0]
            except TimeoutError:
                raise SouthbridgeError(f"no client has connected to {self.place} in {self.wait_timeout:g} s") from None
            self.listener.settimeout(None)

    def _inherit(self, descriptor: int) -> None:
        inherited = socket.socket(fileno=descriptor)
        os.set_inheritable(descriptor, False)
        if inherited.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN):
            self.listener = inherited
        else:
            self.peer = inherited

    def _listen(self) -> socket.socket:
        """A Unix socket at which nobody listens any more is replaced; bind complains of anything else."""
        if self.path is None:
            family = socket.AF_INET6 if ":" in self.host else socket.AF_INET
            return socket.create_server((self.host, self.port or 0), family=family, backlog=BACKLOG)
        if remove_stale_socket(self.path, self.wait_timeout):
            raise SouthbridgeError(f"{self.path}: somebody else listens there")
        listener = socket.socket(socket.AF_UNIX)
        try:
            listener.bind(str(self.path))
        except OSError:
            listener.close()
            raise
        self._file = SocketFile(self.path)
        listener.listen(BACKLOG)
        return listener

    def _dial(self) -> socket.socket:
        if self.path is None:
            return socket.create_connection((self.host, self.port or 0), timeout=self.wait_timeout)
        peer = socket.socket(socket.AF_UNIX)
        try:
            peer.settimeout(self.wait_timeout)
            peer.connect(str(self.path))
        except BaseException:
            peer.close()
            raise
        return peer

    def take_peer(self) -> socket.socket | None:
        """The peer that is there, whom the caller has from now on."""
        peer, self.peer = self.peer, None
        return peer

    def close(self) -> None:
        """See Monitor."""
        if self.listener is not None:
            self.listener.close()
            self.listener = None
        if self.peer is not None:
            self.peer.close()
            self.peer = None
        if self._file is not None:
            self._file.remove()
            self._file = None
