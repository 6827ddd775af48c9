"""A character back end on a Unix or TCP socket."""

from __future__ import annotations

import asyncio
import logging
import select
import socket
import threading

from southbridge.charstream import StreamCharBackend
from southbridge.errors import SouthbridgeError
from southbridge.properties import FilePath, Property
from southbridge.unix_sockets import SocketFile, remove_stale_socket

logger = logging.getLogger(__name__)

Address = str | tuple[str, int]
"""A Unix socket's path, or host and port."""


class SocketChardev(StreamCharBackend):
    """Serves one client at a time, or is one. Output is dropped while nobody is connected.

    `address` is where a server listens or a client is connected to; it has the port that was chosen for port 0.
    """

    path: FilePath | None = Property(None, doc="A Unix socket's path. Either this or `port` must be given.")
    host: str = Property("127.0.0.1", doc="The address of a TCP socket.")
    port: int | None = Property(
        None, ge=0, le=65535, doc="The port of a TCP socket; a server takes any free one for 0."
    )
    server: bool = Property(False, doc="Whether to listen for clients, rather than to connect.")
    wait: bool = Property(False, doc="Whether a server's machine starts only when a client is there.")
    wait_timeout: float = Property(10.0, gt=0, doc="How long to wait for the other end, in seconds.")

    address: Address

    _listener: socket.socket | None = None
    _peer: socket.socket | None = None
    _socket_file: SocketFile | None = None

    @property
    def where(self) -> str:
        """See CharBackend."""
        start = "" if self._peer is not None else "disconnected:"
        kind = "unix" if self.path is not None else "tcp"
        return f"{start}{kind}:{_show(self.address)}{',server=on' if self.server else ''}"

    def open(self) -> None:
        """Listens or connects, and waits for a client if it is to. Raises SouthbridgeError."""
        super().open()
        if (self.path is None) == (self.port is None):
            raise SouthbridgeError("socket: expected either a path or a port")
        if self.wait and not self.server:
            raise SouthbridgeError("socket: only a server can wait for a client")
        if self.path is not None:
            self.address = str(self.path)
        else:
            self.address = (self.host, self.port or 0)
        try:
            if self.server:
                self._listen()
            else:
                self._adopt(self._dial())
        except (OSError, ValueError) as error:
            self.close()
            action = "listen at" if self.server else "connect to"
            reason = (isinstance(error, OSError) and error.strerror) or error
            raise SouthbridgeError(f"socket: cannot {action} {_show(self.address)}: {reason}") from None
        except SouthbridgeError:
            self.close()
            raise

    def start(self, loop: asyncio.AbstractEventLoop, lock: threading.RLock) -> None:
        """Begins to move bytes and to accept clients."""
        super().start(loop, lock)
        if self._listener is not None:
            loop.add_reader(self._listener, self._accept)

    def close(self) -> None:
        """Closes the connection; a server also stops listening and removes its Unix socket."""
        if self._listener is not None:
            if self._loop is not None and not self._loop.is_closed():
                self._loop.remove_reader(self._listener)
            self._listener.close()
            self._listener = None
        super().close()
        if self._peer is not None:
            self._peer.close()
            self._peer = None
        if self._socket_file is not None:
            self._socket_file.remove()
            self._socket_file = None

    def _listen(self) -> None:
        if self.path is not None:
            remove_stale_socket(self.path, self.wait_timeout)
            self._listener = socket.socket(socket.AF_UNIX)
            self._listener.bind(str(self.path))
            self._socket_file = SocketFile(self.path)
            self._listener.listen()
        else:
            family = socket.AF_INET6 if ":" in self.host else socket.AF_INET
            self._listener = socket.create_server((self.host, self.port or 0), family=family)
            self.address = self._listener.getsockname()[:2]
        logger.info("the character device listens at %s", _show(self.address))
        if self.wait:
            logger.info("waiting for a client at %s", _show(self.address))
            self._listener.settimeout(self.wait_timeout)
            try:
                self._adopt(self._listener.accept()[0])
            except TimeoutError:
                raise SouthbridgeError(
                    f"socket: no client has connected to {_show(self.address)} within {self.wait_timeout:g} s"
                ) from None
        self._listener.setblocking(False)

    def _dial(self) -> socket.socket:
        if self.path is None:
            return socket.create_connection((self.host, self.port or 0), timeout=self.wait_timeout)
        connection = socket.socket(socket.AF_UNIX)
        try:
            connection.settimeout(self.wait_timeout)
            connection.connect(str(self.path))
        except BaseException:
            connection.close()
            raise
        return connection

    def _adopt(self, peer: socket.socket) -> None:
        peer.setblocking(False)
        if peer.family != socket.AF_UNIX:
            peer.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._peer = peer
        self._connect(peer.fileno(), peer.fileno())

    def welcome(self, peer: socket.socket) -> None:
        """`peer`, which came some other way, is the other end. Raises SouthbridgeError if there is one already."""
        if self._peer is not None:
            raise SouthbridgeError("a client is connected already")
        self._adopt(peer)

    def _accept(self) -> None:
        if self._listener is None:
            return
        try:
            newcomer, _ = self._listener.accept()
        except OSError:
            return  # it has left again, or there are no descriptors
        if self._peer is not None and _has_left(self._peer):
            self._read_last_words()
        if self._peer is None:
            self._adopt(newcomer)
        else:
            logger.warning("%s: refused a second client; one is connected already", _show(self.address))
            newcomer.close()

    def _read_last_words(self) -> None:
        """Hands on what the client that has left still said, as far as the front end has room, and hangs up."""
        while self._peer is not None and self._reading:
            self._input_ready()
        if self._peer is not None:
            self._input_ended()

    def _input_ended(self) -> None:
        if self._peer is None:
            return
        self._disconnect()
        self._peer.close()
        self._peer = None
        logger.info("%s: the other end has closed the connection", _show(self.address))

    def _output_ended(self, error: OSError) -> None:
        self._input_ended()


def _has_left(peer: socket.socket) -> bool:
    poll = select.poll()
    poll.register(peer, select.POLLRDHUP)
    return bool(poll.poll(0))


def _show(address: Address) -> str:
    if isinstance(address, str):
        return address
    host, port = address
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
