"""Files of frames, as Wireshark reads them: pcap (draft-ietf-opsawg-pcap) and pcapng (draft-ietf-opsawg-pcapng)."""

from __future__ import annotations

import struct

from southbridge.net import Frame

ETHERNET = 1
"""LINKTYPE_ETHERNET."""
SNAPLEN = 1 << 18
INBOUND, OUTBOUND = 1, 2
_NANOSECONDS = 9
_SECOND = 1_000_000_000


class Pcap:
    """The older format, with nanoseconds."""

    def header(self) -> bytes:
        """What a file begins with."""
        return struct.pack("<IHHiIII", 0xA1B2_3C4D, 2, 4, 0, 0, SNAPLEN, ETHERNET)

    def record(self, frame: Frame, time: int, direction: int) -> bytes:
        """A frame that was seen at `time`, in nanoseconds since 1970. The direction has no place here."""
        seconds, nanoseconds = divmod(time, _SECOND)
        kept = bytes(frame[:SNAPLEN])
        return struct.pack("<IIII", seconds, nanoseconds, len(kept), len(frame)) + kept


class PcapNg:
    """The newer format: it says, too, which way a frame went."""

    def header(self) -> bytes:
        """The section header and the description of the one interface."""
        section = struct.pack("<IHHq", 0x1A2B_3C4D, 1, 0, -1)
        options = struct.pack("<HHB3x", 9, 1, _NANOSECONDS) + struct.pack("<HH", 0, 0)
        interface = struct.pack("<HHI", ETHERNET, 0, SNAPLEN) + options
        return _block(0x0A0D_0D0A, section) + _block(1, interface)

    def record(self, frame: Frame, time: int, direction: int) -> bytes:
        """An enhanced packet block."""
        kept = bytes(frame[:SNAPLEN])
        fixed = struct.pack("<IIIII", 0, time >> 32, time & 0xFFFF_FFFF, len(kept), len(frame))
        flags = struct.pack("<HHI", 2, 4, direction) + struct.pack("<HH", 0, 0)
        return _block(6, fixed + kept + bytes(-len(kept) % 4) + flags)


def _block(kind: int, body: bytes) -> bytes:
    length = len(body) + 12
    return struct.pack("<II", kind, length) + body + struct.pack("<I", length)
