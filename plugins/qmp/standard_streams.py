"""Standard input and output as the other end of a socket: what is served by sockets is served there too."""

from __future__ import annotations

import contextlib
import os
import socket
import sys
import threading
from collections.abc import Callable

CHUNK = 1 << 16
FAREWELL_S = 1.0
"""How long who reads standard output has, at the end, for the rest."""


class StandardStreams:
    """Copies what comes, both ways, between `peer` and the process's standard input and output."""

    def __init__(self) -> None:
        self.peer, self._inner = socket.socketpair()
        self._writer = self._thread(self._write)
        self._thread(self._read)

    def _thread(self, function: Callable[[], None]) -> threading.Thread:
        thread = threading.Thread(target=function, name="qmp-stdio", daemon=True)
        thread.start()
        return thread

    def _read(self) -> None:
        with contextlib.suppress(OSError):  # the other end has gone
            while data := os.read(sys.stdin.fileno(), CHUNK):
                self._inner.sendall(data)
            self._inner.shutdown(socket.SHUT_WR)

    def _write(self) -> None:
        with contextlib.suppress(OSError):  # nobody reads any more
            while data := self._inner.recv(CHUNK):
                while data:
                    data = data[os.write(sys.stdout.fileno(), data) :]

    def close(self) -> None:
        """The peer is closed; returns when what it wrote has been taken, if that is soon."""
        self._writer.join(FAREWELL_S)
        self._inner.close()
