"""What a schedule is made of: link pointers and transfer descriptors (UHCI Design Guide, sections 3.1 to 3.3)."""

from __future__ import annotations

import struct

TERMINATE, QUEUE, DEPTH_FIRST = 1 << 0, 1 << 1, 1 << 2
"""In a link pointer: T, Q, Vf."""
ADDRESS = 0xFFFF_FFF0

# Control and status of a transfer descriptor
ACTUAL_LENGTH = 0x7FF
BITSTUFF, TIMEOUT, NAK, BABBLE, BUFFER_ERROR, STALLED, ACTIVE = (1 << number for number in range(17, 24))
INTERRUPT, ISOCHRONOUS, LOW_SPEED = 1 << 24, 1 << 25, 1 << 26
ERROR_COUNT, ERROR_COUNT_SHIFT = 3 << 27, 27
SHORT_PACKET_DETECT = 1 << 29

LONGEST_PACKET = 0x500
NO_DATA = 0x7FF

TRANSFER_SIZE, QUEUE_SIZE = 16, 8


class TransferDescriptor:
    """One transaction, as it was read from memory, once."""

    __slots__ = ("buffer", "control", "link", "token")

    link: int
    control: int
    token: int
    buffer: int

    def __init__(self, data: bytes) -> None:
        self.link, self.control, self.token, self.buffer = struct.unpack("<IIII", data)

    @property
    def pid(self) -> int:
        """The token's packet identifier."""
        return self.token & 0xFF

    @property
    def address(self) -> int:
        """Which device."""
        return self.token >> 8 & 0x7F

    @property
    def endpoint(self) -> int:
        """Which endpoint of it."""
        return self.token >> 15 & 0x0F

    @property
    def toggle(self) -> int:
        """0: DATA0 is sent or expected, 1: DATA1."""
        return self.token >> 19 & 1

    @property
    def length(self) -> int:
        """Bytes that it sends or has room for; more than LONGEST_PACKET isn't valid."""
        return (self.token >> 21) + 1 & 0x7FF

    @property
    def isochronous(self) -> bool:
        """It is tried once, without a handshake."""
        return bool(self.control & ISOCHRONOUS)
