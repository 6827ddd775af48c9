"""Sockets to other machines, ours or QEMU's (its manual: `-netdev stream`, `dgram`, and the older `socket`).

On a stream each frame follows its length (`stream`); a datagram is a frame.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import logging
import socket
import struct
import threading
from abc import ABC, abstractmethod
from pathlib import Path
from typing import Any, Literal

from southbridge.errors import SouthbridgeError
from southbridge.net import Frame, NetworkBackend, NetworkPort, Offload
from southbridge.properties import FilePath, Property
from southbridge.unix_sockets import SocketFile, remove_stale_socket

from .stream import FramingError, StreamSender, Unframer

logger = logging.getLogger(__name__)

CHUNK = 1 << 17
FEW = 64
"""Frames; if fewer wait for a card, more are read before it is given any."""
READS = 8
"""Chunks that are read in a row for a card that has room again."""
DATAGRAMS = 64
"""How many are read in one turn of the main loop."""
BUFFER = 1 << 20

Address = Any  # what the socket module takes: a path, or host and port


class SocketNetdev(NetworkBackend):
    """A cable to another machine, by a stream, datagrams, or UDP multicast.

    The link is up while somebody is at the other end of a stream. A client whose server has gone tries again.
    """

    mode: Literal["stream", "datagram", "multicast"] = Property("stream", doc="How frames are sent.")
    host: str = Property("127.0.0.1", doc="Where to connect, listen or send to; for multicast, the group.")
    port: int | None = Property(None, ge=0, le=65535, doc="The port there; a server takes any free one for 0.")
    path: FilePath | None = Property(None, doc="A Unix socket's path, in place of host and port.")
    server: bool = Property(False, doc="Whether to listen on a stream, rather than to connect.")
    local_host: str = Property("127.0.0.1", doc="Datagrams: this end's address; for multicast, of the interface.")
    local_port: int | None = Property(None, ge=0, le=65535, doc="Datagrams: this end's port.")
    local_path: FilePath | None = Property(None, doc="Datagrams: this end's Unix socket.")
    reconnect: float = Property(1.0, ge=0, doc="Seconds after which a client tries again; 0: it doesn't.")

    address: Address
    lock: threading.RLock
    """The machine's."""

    _loop: asyncio.AbstractEventLoop | None = None
    _listener: socket.socket | None = None
    _wire: _Wire | None = None
    _file: SocketFile | None = None
    _retry: asyncio.Handle | asyncio.Task[None] | None = None
    _closed = False

    # --- life ----------------------------------------------------------------------------------------------------

    def open(self) -> None:
        """Listens, connects or binds. Raises SouthbridgeError."""
        self.cable = NetworkPort(self._send, sendable=self._card_has_room)
        self.cable.carrier = False
        if (self.path is None) == (self.port is None):
            raise SouthbridgeError("socket: expected either a path or a port")
        self.address = str(self.path) if self.path is not None else (self.host, self.port or 0)
        try:
            self._open()
        except (OSError, ValueError) as error:
            self.close()
            action = "listen at" if self.server else "connect to" if self.mode == "stream" else "send to"
            reason = (isinstance(error, OSError) and error.strerror) or error
            raise SouthbridgeError(f"socket: cannot {action} {_show(self.address)}: {reason}") from None

    def _open(self) -> None:
        if self.mode == "stream":
            if self.server:
                self._listen()
            else:
                self._adopt(_Stream(self, self._dial()))
        elif self.mode == "multicast":
            self._adopt(_Datagrams(self, *self._join()))
        else:
            self._adopt(_Datagrams(self, self._bind(), None))

    def plug(self, port: NetworkPort) -> None:
        """See NetworkBackend."""
        self.plug_into(self.cable, port)

    def start(self, loop: asyncio.AbstractEventLoop, lock: threading.RLock) -> None:
        """Begins to move frames, and to accept clients."""
        self._loop, self.lock = loop, lock
        if self._listener is not None:
            loop.add_reader(self._listener, self._accept)
        if self._wire is not None:
            self._wire.start(loop)

    def close(self) -> None:
        """Hangs up."""
        self._closed = True
        if self._retry is not None:
            self._retry.cancel()
        if self._wire is not None:
            self._wire.close()
            self._wire = None
        if self._listener is not None:
            if self._loop is not None and not self._loop.is_closed():
                self._loop.remove_reader(self._listener)
            self._listener.close()
            self._listener = None
        if self._file is not None:
            self._file.remove()
            self._file = None

    # --- sockets -------------------------------------------------------------------------------------------------

    def _listen(self) -> None:
        if self.path is not None:
            remove_stale_socket(self.path)
            self._listener = socket.socket(socket.AF_UNIX)
            self._listener.bind(str(self.path))
            self._file = SocketFile(self.path)
            self._listener.listen()
        else:
            family = socket.AF_INET6 if ":" in self.host else socket.AF_INET
            self._listener = socket.create_server((self.host, self.port or 0), family=family)
            self.address = self._listener.getsockname()[:2]
        self._listener.setblocking(False)
        logger.info("the network listens at %s", _show(self.address))

    def _dial(self) -> socket.socket:
        if self.path is None:
            return socket.create_connection((self.host, self.port or 0), timeout=10)
        connection = socket.socket(socket.AF_UNIX)
        try:
            connection.settimeout(10)
            connection.connect(str(self.path))
        except BaseException:
            connection.close()
            raise
        return connection

    def _bind(self) -> socket.socket:
        """For datagrams to and from one other end, which needn't be there yet."""
        if self.path is not None:
            if self.local_path is None:
                raise SouthbridgeError("socket: datagrams on Unix sockets need a local_path")
            _remove_stale(self.local_path)
            made = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
            made.bind(str(self.local_path))
            self._file = SocketFile(self.local_path)
            return made
        if self.local_port is None:
            raise SouthbridgeError("socket: datagrams need a local_port")
        family, *_, self.address = socket.getaddrinfo(self.host, self.port, type=socket.SOCK_DGRAM)[0]
        made = socket.socket(family, socket.SOCK_DGRAM)
        made.bind((self.local_host, self.local_port))
        return made

    def _join(self) -> tuple[socket.socket, socket.socket]:
        """A socket in the group, and one to send by, whose address tells our own frames from others'."""
        receiver = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        sender = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        try:
            receiver.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            receiver.bind((self.host, self.port or 0))
            interface = socket.inet_aton(self.local_host)
            membership = struct.pack("4s4s", socket.inet_aton(self.host), interface)
            receiver.setsockopt(socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP, membership)
            sender.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_IF, interface)
            sender.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_LOOP, 1)
            sender.bind((self.local_host, 0))
        except BaseException:
            receiver.close()
            sender.close()
            raise
        return receiver, sender

    def _adopt(self, wire: _Wire) -> None:
        self._wire = wire
        if self._loop is not None:
            wire.start(self._loop)
        self.cable.carrier = True

    # --- peers that come and go, on the main loop ----------------------------------------------------------------

    def _accept(self) -> None:
        assert self._listener is not None
        try:
            newcomer, _ = self._listener.accept()
        except OSError:
            return  # it has left again
        if self._wire is not None:
            logger.warning("%s: refused a second machine; one is connected already", _show(self.address))
            newcomer.close()
            return
        logger.info("%s: a machine is connected", _show(self.address))
        with self.lock:
            self._adopt(_Stream(self, newcomer))

    def ended(self, wire: _Wire, why: str) -> None:
        """The other end has hung up, or makes no sense."""
        if wire is not self._wire:
            return
        with self.lock:
            self._wire = None
            wire.close()
            self.cable.carrier = False
        logger.info("%s: %s", _show(self.address), why)
        self._dial_later()

    def _dial_later(self) -> None:
        if not self.server and self.reconnect and self._loop is not None and not self._closed:
            self._retry = self._loop.call_later(self.reconnect, self._dial_again)

    def _dial_again(self) -> None:
        family = socket.AF_UNIX if self.path is not None else socket.AF_INET6 if ":" in self.host else socket.AF_INET
        made = socket.socket(family)
        made.setblocking(False)
        assert self._loop is not None
        self._retry = self._loop.create_task(self._connected(made))

    async def _connected(self, made: socket.socket) -> None:
        try:
            await asyncio.get_running_loop().sock_connect(made, self.address)
        except OSError:
            made.close()
            self._dial_later()
        except BaseException:
            made.close()
            raise
        else:
            logger.info("%s: connected again", _show(self.address))
            with self.lock:
                self._adopt(_Stream(self, made))

    # --- frames --------------------------------------------------------------------------------------------------

    def _send(self, frame: Frame, offload: Offload | None) -> bool:
        return self._wire is None or self._wire.send(frame)

    def _card_has_room(self) -> None:
        if self._wire is not None:
            self._wire.card_has_room()

    def deliver(self, frames: list[Frame]) -> None:
        """Gives frames to the card as far as it has room; the others stay."""
        del frames[: self.cable.send_batch(frames)]


class _Wire(ABC):
    """What the two kinds have in common: when the descriptor is watched."""

    def __init__(self, owner: SocketNetdev, receiver: socket.socket, sender: socket.socket) -> None:
        self._owner = owner
        self._receiver, self._sender = receiver, sender
        for end in (receiver, sender):
            end.setblocking(False)
            with contextlib.suppress(OSError):
                end.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, BUFFER)
        self._waiting: list[Frame] = []
        """What one read brought and the card had no room for; until it has, nothing more is read."""
        self._loop: asyncio.AbstractEventLoop | None = None
        self._watches_output = False
        self._closed = False

    def start(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        loop.add_reader(self._receiver, self._readable)

    def close(self) -> None:
        self._closed = True
        if self._loop is not None and not self._loop.is_closed():
            self._loop.remove_reader(self._receiver)
            self._loop.remove_writer(self._sender)
        for end in (self._receiver, self._sender):
            end.close()

    @abstractmethod
    def send(self, frame: Frame) -> bool:
        """Sends a frame, or keeps it; False if there is no room."""

    def flush(self) -> bool:
        """Sends what is left of a frame; True once there is room for another."""
        return True

    @abstractmethod
    def read(self) -> None:
        """Takes what came."""

    def _readable(self) -> None:
        if not self._waiting and not self._closed:
            self.read()
        with self._owner.lock:
            if self._waiting and self._loop is not None:
                self._loop.remove_reader(self._receiver)

    def card_has_room(self) -> None:
        """On any thread, with the lock."""
        if self._waiting and not self.read_here():
            self._owner.deliver(self._waiting)
            if not self._waiting and self._loop is not None:
                self._loop.call_soon_threadsafe(self._read_on)

    def read_here(self) -> bool:
        """Delivers what waits and what came while the main loop didn't read. False if that isn't possible here."""
        return False

    def _read_on(self) -> None:
        if self._loop is not None and not self._closed:
            self._loop.add_reader(self._receiver, self._readable)

    def watch_output(self) -> None:
        """Has `flush` called when the socket takes more. On any thread."""
        if not self._watches_output and self._loop is not None:
            self._watches_output = True
            self._loop.call_soon_threadsafe(self._write_on)

    def _write_on(self) -> None:
        if self._loop is not None and not self._closed:
            self._loop.add_writer(self._sender, self._writable)

    def _writable(self) -> None:
        with self._owner.lock:
            if self._closed or not self.flush() or self._loop is None:
                return
            self._loop.remove_writer(self._sender)
            self._watches_output = False
            self._owner.cable.ready()


class _Stream(_Wire):
    """A connection."""

    def __init__(self, owner: SocketNetdev, connection: socket.socket) -> None:
        super().__init__(owner, connection, connection)
        if connection.family != socket.AF_UNIX:
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._out = StreamSender(connection)
        self._in = Unframer()

    def send(self, frame: Frame) -> bool:
        try:
            taken = self._out.send(frame)
        except OSError:
            return True  # reading tells that it has ended
        if not taken or self._out.busy:
            self.watch_output()
        return taken

    def flush(self) -> bool:
        try:
            return self._out.flush()
        except OSError:
            return True

    def read(self) -> None:
        try:
            data = self._receiver.recv(CHUNK)
        except BlockingIOError:
            return
        except OSError as error:
            self._owner.ended(self, error.strerror or str(error))
            return
        if not data:
            self._owner.ended(self, "the other end has closed the connection")
            return
        with self._owner.lock:
            nonsense = self._take(data)
        if nonsense:
            self._owner.ended(self, nonsense)

    def read_here(self) -> bool:
        """See _Wire. A card whose ring is always full is fed from here: to have the main loop do that for each piece
        of it costs more than the reading. Little that waits is delivered with what follows it.
        """
        if len(self._waiting) >= FEW:
            self._owner.deliver(self._waiting)
        for _ in range(READS):
            if len(self._waiting) >= FEW or self._closed:
                return True
            try:
                data = self._receiver.recv(CHUNK)
            except OSError:
                return False
            if not data:
                return False
            nonsense = self._take(data)
            if nonsense and self._loop is not None:
                self._loop.call_soon_threadsafe(self._owner.ended, self, nonsense)
                return True
        return False

    def _take(self, data: bytes) -> str:
        """Gives the card what is complete; says what is wrong with the rest, if anything is."""
        try:
            self._waiting.extend(self._in.feed(data))
        except FramingError as error:
            return f"the other end doesn't talk as networks do: {error}"
        if self._waiting:
            self._owner.deliver(self._waiting)
        return ""


class _Datagrams(_Wire):
    """A socket for datagrams; `sender` is another one where they go to a group."""

    def __init__(self, owner: SocketNetdev, receiver: socket.socket, sender: socket.socket | None) -> None:
        super().__init__(owner, receiver, sender or receiver)
        self._own = sender.getsockname() if sender else None

    def send(self, frame: Frame) -> bool:
        try:
            self._sender.sendto(frame, self._owner.address)
        except BlockingIOError:
            self.watch_output()
            return False
        except OSError as error:
            if error.errno == errno.ENOBUFS:
                self.watch_output()
                return False
            logger.debug("a frame of %d bytes is lost: %s", len(frame), error)
        return True

    def read(self) -> None:
        with self._owner.lock:
            for _ in range(DATAGRAMS):
                try:
                    data, source = self._receiver.recvfrom(CHUNK)
                except OSError:  # nothing more; or the other end isn't there
                    return
                if not data or (self._own is not None and source == self._own):
                    continue
                if not self._owner.cable.send(data):
                    self._waiting.append(data)
                    return


def _remove_stale(path: Path) -> None:
    """Removes what a machine that was killed has left; what somebody uses stays, for bind to complain of."""
    if path.is_socket():
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as probe, contextlib.suppress(ConnectionRefusedError):
            probe.connect(str(path))
            return
        path.unlink(missing_ok=True)


def _show(address: Address) -> str:
    if isinstance(address, str):
        return address
    host, port = address[:2]
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
