"""The ways to a client: a socket, or two descriptors. Reading and writing wait; `offer` doesn't."""

from __future__ import annotations

import contextlib
import os
import select
import socket
from typing import Protocol

CHUNK = 1 << 16


class Stream(Protocol):
    """A conversation's bytes. Its methods raise OSError when the other end has gone."""

    def read(self) -> bytes:
        """What there is, once there is something; b"" at the end."""

    def write(self, data: bytes) -> None:
        """Sends all of it."""

    def offer(self, data: bytes) -> int:
        """Sends what goes without waiting, and says how much."""

    def end(self) -> None:
        """Has who reads or writes come back. From any thread."""

    def close(self) -> None:
        """Closes it."""


class SocketStream:
    """A connected socket."""

    def __init__(self, peer: socket.socket) -> None:
        peer.settimeout(None)
        if peer.family != socket.AF_UNIX:
            peer.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._peer = peer

    def read(self) -> bytes:
        """See Stream."""
        return self._peer.recv(CHUNK)

    def write(self, data: bytes) -> None:
        """See Stream."""
        self._peer.sendall(data)

    def offer(self, data: bytes) -> int:
        """See Stream."""
        try:
            return self._peer.send(data, socket.MSG_DONTWAIT)
        except BlockingIOError:
            return 0

    def end(self) -> None:
        """See Stream."""
        with contextlib.suppress(OSError):  # it has gone
            self._peer.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        """See Stream."""
        self._peer.close()


class DescriptorStream:
    """Two descriptors, such as standard input and output, which stay open."""

    def __init__(self, source: int, target: int) -> None:
        self._source, self._target = source, target
        self._stop, self._stopper = os.pipe()

    def read(self) -> bytes:
        """See Stream."""
        poll = select.poll()
        poll.register(self._source, select.POLLIN)
        poll.register(self._stop, select.POLLIN)
        ready = {descriptor for descriptor, _ in poll.poll()}
        return b"" if self._stop in ready else os.read(self._source, CHUNK)

    def write(self, data: bytes) -> None:
        """See Stream."""
        view = memoryview(data)
        while view:
            view = view[os.write(self._target, view) :]

    def offer(self, data: bytes) -> int:
        """See Stream. A pipe takes PIPE_BUF bytes at once if it is ready at all."""
        poll = select.poll()
        poll.register(self._target, select.POLLOUT)
        return os.write(self._target, data[: select.PIPE_BUF]) if poll.poll(0) else 0

    def end(self) -> None:
        """See Stream."""
        with contextlib.suppress(OSError):  # closed already
            os.write(self._stopper, b".")

    def close(self) -> None:
        """See Stream."""
        os.close(self._stop)
        os.close(self._stopper)
