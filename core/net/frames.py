"""Frames, and what a card or a back end leaves undone of one because the other end can do it better.

A frame is an Ethernet frame (IEEE 802.3, clause 3) from its destination address to its last byte of payload, without
the frame check sequence. What is left undone is told as virtio's header tells it (virtio 1.2, section 5.1.6).
"""

from __future__ import annotations

import enum
from typing import NamedTuple

Frame = bytes | bytearray | memoryview
"""Any bytes. They are the sender's: a receiver that keeps a frame beyond the call copies it."""

HEADER = 14
"""Bytes of the Ethernet header: two addresses and a type."""
SHORTEST = 60
"""What a card pads a frame to."""
LARGEST = 65_535 + HEADER + 4
"""No frame is longer, whatever is left to be segmented: an IP packet, the header and a VLAN tag."""


class Takes(enum.Flag):
    """What the owner of a port does with frames that are unfinished."""

    NOTHING = 0
    CHECKSUM = enum.auto()
    """It completes a checksum."""
    TCP4 = enum.auto()
    """It cuts large TCP segments over IPv4 up."""
    TCP6 = enum.auto()
    """The same over IPv6."""


class Gso(enum.Enum):
    """How a frame is to be cut up (generic segmentation offload)."""

    NONE = 0
    TCP4 = 1
    TCP6 = 4


class Offload(NamedTuple):
    """What is known of a frame, or is left to do. Offsets count from the frame's first byte."""

    checksum_start: int | None = None
    """From here to the frame's end a checksum is to be computed; None: there is none to do."""
    checksum_offset: int = 0
    """Where, from `checksum_start` on, it is put; the pseudo header's sum is there already."""
    checksum_good: bool = False
    """Its checksums have been found right."""
    gso: Gso = Gso.NONE
    segment_size: int = 0
    """Payload of each piece, if it is to be cut up."""
    header_length: int = 0
    """What comes before the payload."""
