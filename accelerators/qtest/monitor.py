"""The monitor `qtest`: how a client gets here. See README.md."""

from __future__ import annotations

import contextlib
import os
import socket
import sys

from southbridge.errors import SouthbridgeError
from southbridge.monitor import Monitor
from southbridge.properties import FilePath, Property
from southbridge.unix_sockets import SocketFile, remove_stale_socket

from .conversation import Conversation
from .log import Log
from .streams import DescriptorStream, SocketStream, Stream


class Qtest(Monitor):
    """QEMU's qtest protocol, for one client at a time: a program that accesses ports, memory and interrupt lines."""

    path: FilePath | None = Property(None, doc="A Unix socket's path. This, `port`, `fd` or `stdio` must be given.")
    host: str = Property("127.0.0.1", doc="The address of a TCP socket.")
    port: int | None = Property(None, ge=0, le=65535, doc="The port of a TCP socket; any free one for 0.")
    fd: int | None = Property(None, ge=0, doc="A descriptor that the process inherited.")
    stdio: bool = Property(False, doc="Whether the client is at standard input and output.")
    server: bool = Property(False, doc="Whether to listen for clients, rather than to connect to one.")
    wait: bool = Property(False, doc="Whether a server's machine starts only when a client is there.")
    wait_timeout: float = Property(10.0, gt=0, doc="How long to wait for the other end, in seconds.")
    log: FilePath | None = Property(None, doc="A file for what is said, as QEMU's -qtest-log.")

    _listener: socket.socket | None = None
    _file: SocketFile | None = None
    _first: Stream | None = None
    """Who is there already, and wasn't served yet."""
    _conversation: Conversation | None = None
    _record: Log | None = None

    @property
    def where(self) -> str:
        """See Monitor."""
        there = self._conversation is not None and self._conversation.busy
        return self._place if there or self.stdio else f"disconnected:{self._place}"

    @property
    def _place(self) -> str:
        if self.stdio:
            return "stdio"
        if self.fd is not None:
            return f"fd:{self.fd}"
        place = f"unix:{self.path}" if self.path is not None else f"tcp:{self.host}:{self.port}"
        return f"{place},server=on" if self.server else place

    def open(self) -> None:
        """Listens or connects. Raises SouthbridgeError."""
        if sum((self.path is not None, self.port is not None, self.fd is not None, self.stdio)) != 1:
            raise SouthbridgeError("expected one of path, port, fd and stdio")
        if self.wait and not self.server:
            raise SouthbridgeError("only a server can wait for a client")
        try:
            self._reach()
        except (OSError, ValueError) as error:
            self.close()
            what = "listen at" if self.server else "connect to"
            reason = (isinstance(error, OSError) and error.strerror) or error
            raise SouthbridgeError(f"can't {what} {self._place}: {reason}") from None
        except SouthbridgeError:
            self.close()
            raise
        if self.log is not None and str(self.log) != os.devnull:
            self._record = Log(self.log)

    def _reach(self) -> None:
        if self.stdio:
            self._first = DescriptorStream(sys.stdin.fileno(), sys.stdout.fileno())
        elif self.fd is not None:
            self._inherit(self.fd)
        elif self.server:
            self._listener = self._listen()
        else:
            self._first = SocketStream(self._dial())
        if self.wait and self._listener is not None:
            self._listener.settimeout(self.wait_timeout)
            try:
                self._first = SocketStream(self._listener.accept()[0])
            except TimeoutError:
                raise SouthbridgeError(f"no client has connected to {self._place} in {self.wait_timeout:g} s") from None
            self._listener.settimeout(None)

    def _inherit(self, descriptor: int) -> None:
        try:
            inherited = socket.socket(fileno=descriptor)
        except OSError:
            os.fstat(descriptor)  # it must be open
            self._first = DescriptorStream(descriptor, descriptor)
            return
        os.set_inheritable(descriptor, False)
        if inherited.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN):
            self._listener = inherited
        else:
            self._first = SocketStream(inherited)

    def _listen(self) -> socket.socket:
        if self.path is None:
            family = socket.AF_INET6 if ":" in self.host else socket.AF_INET
            return socket.create_server((self.host, self.port or 0), family=family)
        if remove_stale_socket(self.path, self.wait_timeout):
            raise SouthbridgeError(f"{self.path}: somebody else listens there")
        listener = socket.socket(socket.AF_UNIX)
        listener.bind(str(self.path))
        self._file = SocketFile(self.path)
        listener.listen()
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

    def _next(self) -> Stream | None:
        """The next client's stream. On the conversation's thread."""
        first, self._first = self._first, None
        if first is not None:
            return first
        listener = self._listener
        if listener is not None:
            with contextlib.suppress(OSError):  # the monitor has ended
                return SocketStream(listener.accept()[0])
        return None

    async def start(self) -> None:
        """See Monitor."""
        self._conversation = Conversation(self.machine, self._next, self._record)
        self._conversation.start()

    async def stop(self) -> None:
        """See Monitor."""
        if self._listener is not None:
            with contextlib.suppress(OSError):  # it never listened
                self._listener.shutdown(socket.SHUT_RDWR)
        if self._conversation is not None:
            self._conversation.end()

    def close(self) -> None:
        """See Monitor."""
        if self._listener is not None:
            self._listener.close()
            self._listener = None
        if self._first is not None:
            self._first.close()
            self._first = None
        if self._file is not None:
            self._file.remove()
            self._file = None
        if self._record is not None:
            self._record.close()
            self._record = None
