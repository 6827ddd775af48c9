"""The words of USB 1.1: packet identifiers, handshakes, requests (chapter 8 and table 9-2)."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from enum import Enum, IntEnum
from typing import NamedTuple

LOW_SPEED_PACKET = 8
"""Bytes of data in a low-speed packet, at most."""
FULL_SPEED_PACKET = 64
"""The same of a full-speed packet that isn't isochronous."""


class Speed(Enum):
    """How fast a device signals."""

    LOW = "low"
    FULL = "full"


class Pid(IntEnum):
    """The tokens by which a host begins a transaction, with their check bits as they are on the wire."""

    OUT = 0xE1
    IN = 0x69
    SETUP = 0x2D


class Handshake(Enum):
    """How a transaction ends."""

    ACK = "ack"
    NAK = "nak"
    """Not now: the host asks again."""
    STALL = "stall"
    """The endpoint is halted, or the request isn't one."""
    NONE = "none"
    """Nobody answers."""


class Reply(NamedTuple):
    """What a device answers to a token: for IN that succeeds, a data packet; for the others a handshake."""

    handshake: Handshake
    data: bytes = b""
    toggle: int = 0
    """0 or 1: the packet is DATA0 or DATA1."""


SILENCE = Reply(Handshake.NONE)


class Request(IntEnum):
    """Standard requests (table 9-4)."""

    GET_STATUS = 0
    CLEAR_FEATURE = 1
    SET_FEATURE = 3
    SET_ADDRESS = 5
    GET_DESCRIPTOR = 6
    SET_DESCRIPTOR = 7
    GET_CONFIGURATION = 8
    SET_CONFIGURATION = 9
    GET_INTERFACE = 10
    SET_INTERFACE = 11
    SYNCH_FRAME = 12


class Recipient(IntEnum):
    """Whom a request is for."""

    DEVICE = 0
    INTERFACE = 1
    ENDPOINT = 2
    OTHER = 3


class Kind(IntEnum):
    """Who defines a request."""

    STANDARD = 0
    CLASS = 1
    VENDOR = 2
    RESERVED = 3


ENDPOINT_HALT, REMOTE_WAKEUP = 0, 1
"""Features (table 9-6)."""

SETUP_SIZE = 8


@dataclass(frozen=True)
class Setup:
    """The eight bytes of a SETUP packet (section 9.3)."""

    request_type: int
    request: int
    value: int
    index: int
    length: int

    @classmethod
    def parse(cls, data: bytes) -> Setup:
        """From the packet's eight bytes."""
        return cls(*struct.unpack("<BBHHH", data))

    def __str__(self) -> str:
        return (
            f"bmRequestType {self.request_type:#04x} bRequest {self.request:#04x} "
            f"wValue {self.value:#06x} wIndex {self.index:#06x} wLength {self.length}"
        )

    @property
    def to_host(self) -> bool:
        """Its data go to the host."""
        return bool(self.request_type & 0x80)

    @property
    def kind(self) -> int:
        """Who defines it; see Kind."""
        return self.request_type >> 5 & 3

    @property
    def recipient(self) -> int:
        """Whom it is for; see Recipient. Larger numbers are reserved."""
        return self.request_type & 0x1F
