"""Somebody at the other end of a machine's cable, who answers ARP and ICMP, and remembers what came."""

from __future__ import annotations

import socket
import struct
import threading
from pathlib import Path

from tests.plugins.e1000.traffic import checksum

MAC = bytes.fromhex("0200000000fe")
ADDRESS = bytes([10, 0, 2, 2])
ARP, IPV4, ICMP = b"\x08\x06", b"\x08\x00", 1


class Peer:
    """Listens at `path`, and serves whoever connects until it is closed."""

    def __init__(self, path: Path) -> None:
        self.frames: list[bytes] = []
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(str(path))
        self._listener.listen()
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Ends."""
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._thread.join(10)

    def _serve(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            with connection, connection.makefile("rb") as stream:
                while prefix := stream.read(4):
                    frame = stream.read(int.from_bytes(prefix, "big"))
                    self.frames.append(frame)
                    answer = answered(frame)
                    if answer:
                        connection.sendall(len(answer).to_bytes(4, "big") + answer)


def answered(frame: bytes) -> bytes | None:
    """The answer to an ARP request for us, or to a ping; else None."""
    kind = frame[12:14]
    if kind == ARP and frame[20:22] == b"\0\1" and frame[38:42] == ADDRESS:
        body = frame[14:20] + b"\0\2" + MAC + ADDRESS + frame[22:32]
        return (frame[6:12] + MAC + ARP + body).ljust(60, b"\0")
    if kind == IPV4 and frame[23] == ICMP and frame[30:34] == ADDRESS and frame[34] == 8:
        header = frame[14:26] + frame[30:34] + frame[26:30]
        (length,) = struct.unpack_from(">H", frame, 16)
        message = b"\0\0\0\0" + frame[38 : 14 + length]
        message = b"\0\0" + checksum(message).to_bytes(2, "big") + message[4:]
        return frame[6:12] + MAC + IPV4 + header + message
    return None
