"""Frames on a byte stream, as QEMU sends them: each behind its length, four bytes, the most significant first."""

from __future__ import annotations

import socket
import struct

from southbridge.net import Frame
from southbridge.net.frames import LARGEST

PREFIX = 4
_LENGTH = struct.Struct(">I")


class FramingError(Exception):
    """What came can't be a frame's length."""


class Unframer:
    """Finds frames in what comes in; keeps the beginning of one, which is no longer than a frame may be."""

    def __init__(self) -> None:
        self._pending = bytearray()

    def feed(self, data: bytes) -> list[memoryview]:
        """The frames that are complete now. Raises FramingError for a length that none has."""
        if self._pending:
            self._pending += data
            data = bytes(self._pending)
            self._pending.clear()
        view, size, unpack, frames = memoryview(data), len(data), _LENGTH.unpack_from, []
        at, begin = 0, PREFIX
        while begin <= size:
            (length,) = unpack(data, at)
            if not 0 < length <= LARGEST:
                raise FramingError(f"a frame of {length} bytes")
            end = begin + length
            if end > size:
                break
            frames.append(view[begin:end])
            at, begin = end, end + PREFIX
        self._pending += view[at:]
        return frames


class StreamSender:
    """Sends frames by a non-blocking socket. Of at most one the rest is kept, until the socket takes it."""

    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection
        self._rest = b""

    @property
    def busy(self) -> bool:
        """Whether something is left to be sent."""
        return bool(self._rest)

    def send(self, frame: Frame) -> bool:
        """Sends it; False if nothing of it could be. Raises OSError for a connection that has ended."""
        if self._rest:
            return False
        prefix = len(frame).to_bytes(PREFIX, "big")
        try:
            sent = self._connection.sendmsg([prefix, frame])
        except BlockingIOError:
            return False
        if sent < PREFIX + len(frame):
            self._rest = b"".join((prefix, frame))[sent:]
        return True

    def flush(self) -> bool:
        """Goes on with the rest; True if nothing is left of it. Raises OSError."""
        if self._rest:
            try:
                self._rest = self._rest[self._connection.send(self._rest) :]
            except BlockingIOError:
                return False
        return not self._rest
