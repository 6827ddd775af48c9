"""A switch between a machine's cable and two interfaces of the host's: one has the frames without a tag, the other
those of a virtual LAN (IEEE 802.1Q), whose tags it takes off and puts on, so that the host's kernel needn't.
"""

from __future__ import annotations

import fcntl
import os
import selectors
import socket
import struct
import threading
from pathlib import Path

from southbridge.plugins.netdevs.stream import Unframer
from southbridge.plugins.netdevs.tap import DEVICE, IFF_NO_PI, IFF_TAP, TUNSETIFF

LARGEST = 65_536


class VlanSwitch:
    """Listens at `path` for one machine, in the network namespace of who makes it, until it is closed."""

    def __init__(self, path: Path, plain: str, tagged: str, vlan: int) -> None:
        self._tag = struct.pack(">HH", 0x8100, vlan)
        self._plain, self._tagged = _open_tap(plain), _open_tap(tagged)
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(str(path))
        self._listener.listen()
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Ends; the machine must be gone."""
        self._listener.shutdown(socket.SHUT_RDWR)
        self._thread.join(10)
        self._listener.close()
        for descriptor in (self._plain, self._tagged):
            os.close(descriptor)

    def _serve(self) -> None:
        try:
            connection, _ = self._listener.accept()
        except OSError:
            return
        unframer = Unframer()
        with connection, selectors.DefaultSelector() as selector:
            for end in (connection, self._plain, self._tagged):
                selector.register(end, selectors.EVENT_READ)
            while True:
                for key, _ in selector.select():
                    if key.fileobj is connection:
                        data = connection.recv(LARGEST)
                        if not data:
                            return
                        for piece in unframer.feed(data):
                            self._out(bytes(piece))
                    else:
                        frame = os.read(key.fd, LARGEST)
                        if key.fd == self._tagged:
                            frame = frame[:12] + self._tag + frame[12:]
                        connection.sendall(len(frame).to_bytes(4, "big") + frame)

    def _out(self, frame: bytes) -> None:
        if frame[12:16] == self._tag:
            os.write(self._tagged, frame[:12] + frame[16:])
        else:
            os.write(self._plain, frame)


def _open_tap(name: str) -> int:
    descriptor = os.open(DEVICE, os.O_RDWR | os.O_CLOEXEC)
    fcntl.ioctl(descriptor, TUNSETIFF, struct.pack("16sH22x", name.encode(), IFF_TAP | IFF_NO_PI))
    return descriptor
