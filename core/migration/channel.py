"""Where a machine goes to or comes from, in QEMU's words: fd:NAME, unix:PATH, tcp:HOST:PORT, exec:COMMAND.

What a guest remembers is sent as it is; so TCP is for this host only.
"""

from __future__ import annotations

import contextlib
import ipaddress
import os
import select
import socket
import subprocess
from pathlib import Path
from typing import IO

from ..errors import SouthbridgeError
from ..fdsets import FD_SETS
from ..units import MiB
from ..unix_sockets import SocketFile, remove_stale_socket

KINDS = ("fd", "unix", "tcp", "exec")
PIECE = MiB


class Cancelled(SouthbridgeError):
    """Somebody wants no more of it."""


class Channel:
    """Bytes to or from somewhere, on a thread that may wait; `cancel` ends that from another one."""

    def __init__(self, descriptor: int, process: subprocess.Popen[bytes] | None = None) -> None:
        """`descriptor` is the channel's from now on. `process` is what is at the other end, if we started it."""
        os.set_blocking(descriptor, False)
        self._descriptor = descriptor
        self._process = process
        self._woken, self._waker = os.pipe()

    def write(self, data: bytes) -> None:
        """Sends all of `data`. Raises SouthbridgeError."""
        left = memoryview(data)
        while left:
            self._wait(select.POLLOUT)
            try:
                left = left[os.write(self._descriptor, left) :]
            except BlockingIOError:
                continue
            except OSError as error:
                raise SouthbridgeError(f"Unable to write to the channel: {error.strerror}") from None

    def read(self) -> bytes:
        """What came next; nothing at its end. Raises SouthbridgeError."""
        while True:
            self._wait(select.POLLIN)
            try:
                return os.read(self._descriptor, PIECE)
            except BlockingIOError:
                continue
            except OSError as error:
                raise SouthbridgeError(f"Unable to read from the channel: {error.strerror}") from None

    def cancel(self) -> None:
        """Whoever waits for the channel gets Cancelled."""
        with contextlib.suppress(OSError):
            os.write(self._waker, b"c")

    def close(self) -> None:
        """Ends it. Raises SouthbridgeError if the process at the other end failed."""
        for descriptor in (self._descriptor, self._woken, self._waker):
            os.close(descriptor)
        if self._process is not None and (status := self._process.wait()):
            raise SouthbridgeError(f"the command failed: {status}")

    def _wait(self, event: int) -> None:
        poll = select.poll()
        poll.register(self._descriptor, event)
        poll.register(self._woken, select.POLLIN)
        if any(descriptor == self._woken for descriptor, _ in poll.poll()):
            raise Cancelled("cancelled")


def check(uri: str, complaint: str) -> tuple[str, str]:
    """The kind of `uri`, and the rest. Raises SouthbridgeError, with `complaint`, if it is none."""
    kind, _, where = uri.partition(":")
    if kind not in KINDS or not where:
        raise SouthbridgeError(complaint)
    return kind, where


def descriptor_named(name: str) -> int:
    """What getfd took as `name`, or an inherited one's number. Raises SouthbridgeError."""
    if not name.isdigit():
        return FD_SETS.take(name)
    try:
        os.fstat(int(name))
    except OSError as error:
        raise SouthbridgeError(f"fd:{name}: {error.strerror}") from None
    return int(name)


def connect(kind: str, where: str) -> Channel:
    """To where a machine goes, but for descriptors. May wait. Raises SouthbridgeError."""
    if kind == "exec":
        process = subprocess.Popen(["/bin/sh", "-c", where], stdin=subprocess.PIPE)  # the user's own command
        return Channel(_taken(process.stdin), process)
    connection = socket.socket(socket.AF_UNIX) if kind == "unix" else socket.socket(_family(where))
    try:
        connection.connect(where if kind == "unix" else _address(where))
    except OSError as error:
        connection.close()
        raise SouthbridgeError(f"Failed to connect to '{where}': {error.strerror}") from None
    return Channel(connection.detach())


class Listener:
    """Where a machine comes from, but for descriptors."""

    def __init__(self, kind: str, where: str) -> None:
        """Raises SouthbridgeError."""
        self._process: subprocess.Popen[bytes] | None = None
        self._socket: socket.socket | None = None
        self._file: SocketFile | None = None
        if kind == "exec":
            self._process = subprocess.Popen(["/bin/sh", "-c", where], stdout=subprocess.PIPE)
            return
        try:
            if kind == "tcp":
                self._socket = socket.create_server(_address(where), family=_family(where))
            else:
                remove_stale_socket(Path(where))
                self._socket = socket.socket(socket.AF_UNIX)
                self._socket.bind(where)
                self._file = SocketFile(Path(where))
                self._socket.listen(1)
        except OSError as error:
            self.close()
            raise SouthbridgeError(f"Failed to listen at '{where}': {error.strerror}") from None

    @property
    def address(self) -> str:
        """Where it listens, as a `uri`; "" if it doesn't."""
        name = None if self._socket is None else self._socket.getsockname()
        return "" if name is None else f"unix:{name}" if isinstance(name, str) else f"tcp:{name[0]}:{name[1]}"

    def accept(self) -> Channel:
        """Waits for the machine. Raises SouthbridgeError if it is closed meanwhile."""
        if self._process is not None:
            return Channel(_taken(self._process.stdout), self._process)
        assert self._socket is not None
        try:
            return Channel(self._socket.accept()[0].detach())
        except OSError as error:
            raise Cancelled(str(error)) from None

    def close(self) -> None:
        """Listens no more."""
        if self._socket is not None:
            with contextlib.suppress(OSError):
                self._socket.shutdown(socket.SHUT_RDWR)  # `accept` ends
            self._socket.close()
        if self._file is not None:
            self._file.remove()


def _taken(pipe: IO[bytes] | None) -> int:
    """A pipe of Popen's as a descriptor, which is the caller's."""
    assert pipe is not None
    with pipe:
        return os.dup(pipe.fileno())


def _address(where: str) -> tuple[str, int]:
    host, _, port = where.rpartition(":")
    host = host.strip("[]") or "127.0.0.1"
    if not port.isdigit() or int(port) > 0xFFFF:
        raise SouthbridgeError(f"tcp:{where}: expected HOST:PORT")
    try:
        loopback = host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        loopback = False
    if not loopback:
        raise SouthbridgeError(f"tcp:{where}: a guest's memory is sent to this host only: expected 127.0.0.1")
    return host, int(port)


def _family(where: str) -> socket.AddressFamily:
    return socket.AF_INET6 if where.startswith("[") else socket.AF_INET
