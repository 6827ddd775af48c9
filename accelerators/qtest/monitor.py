"""The monitor `qtest`: how a client gets here. See README.md."""

from __future__ import annotations

import contextlib
import os
import socket
import stat
import sys

from southbridge.properties import FilePath, Property
from southbridge.socket_monitor import SocketMonitor

from .conversation import Conversation
from .log import Log
from .streams import DescriptorStream, SocketStream, Stream


class Qtest(SocketMonitor):
    """QEMU's qtest protocol, for one client at a time: a program that accesses ports, memory and interrupt lines."""

    places = (*SocketMonitor.places, "stdio")

    server: bool = Property(False, doc="Whether to listen for clients, rather than to connect to one.")
    stdio: bool = Property(False, doc="Whether the client is at standard input and output.")
    log: FilePath | None = Property(None, doc="A file for what is said, as QEMU's -qtest-log.")

    _first: Stream | None = None
    """Who is there already, and wasn't served yet."""
    _conversation: Conversation | None = None
    _record: Log | None = None

    @property
    def where(self) -> str:
        """See Monitor."""
        there = self._conversation is not None and self._conversation.busy
        return self.place if there or self.stdio else f"disconnected:{self.place}"

    @property
    def place(self) -> str:
        """See SocketMonitor."""
        return "stdio" if self.stdio else super().place

    def open(self) -> None:
        """See SocketMonitor."""
        super().open()
        if self.log is not None and str(self.log) != os.devnull:
            self._record = Log(self.log)

    def reach(self) -> None:
        """See SocketMonitor. A descriptor may be anything that is read and written."""
        if self.stdio:
            self._first = DescriptorStream(sys.stdin.fileno(), sys.stdout.fileno())
        elif self.fd is not None and not stat.S_ISSOCK(os.fstat(self.fd).st_mode):
            self._first = DescriptorStream(self.fd, self.fd)
        else:
            super().reach()
            if (peer := self.take_peer()) is not None:
                self._first = SocketStream(peer)

    def _next(self) -> Stream | None:
        """The next client's stream. On the conversation's thread."""
        first, self._first = self._first, None
        if first is not None:
            return first
        listener = self.listener
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
        if self.listener is not None:
            with contextlib.suppress(OSError):  # it never listened
                self.listener.shutdown(socket.SHUT_RDWR)
        if self._conversation is not None:
            self._conversation.end()

    def close(self) -> None:
        """See Monitor."""
        super().close()
        if self._first is not None:
            self._first.close()
            self._first = None
        if self._record is not None:
            self._record.close()
            self._record = None
