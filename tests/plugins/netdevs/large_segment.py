"""A TCP segment larger than any frame: a driver leaves the cutting up to the card, and the card to the network."""

from __future__ import annotations

import socket
import struct
from typing import NamedTuple

from southbridge.net import Gso, Offload
from southbridge.testing.network import NetworkLine

from tests.plugins.e1000.traffic import TCP, checksum
from tests.plugins.netdevs.loop import NetworkLoop

SYN, ACK, PSH = 0x02, 0x10, 0x08
DATA = bytes(range(250)) * 160
UNFINISHED = Offload(checksum_start=34, checksum_offset=16)
WHOLE = UNFINISHED._replace(gso=Gso.TCP4, segment_size=1460, header_length=54)


class End(NamedTuple):
    """Of the cable: its hardware's address, and its IPv4 address."""

    hardware: bytes
    address: bytes


def arrives(loop: NetworkLoop, card: NetworkLine, guest: End, host: End, server: socket.socket) -> None:
    """`guest` connects to `server`, which listens on `host`, and sends it DATA at once."""
    port = server.getsockname()[1]

    def give(payload: bytes, offload: Offload, *, flags: int, sequence: int, acknowledged: int = 0) -> None:
        addresses = guest.address + host.address
        start = ~checksum(addresses + struct.pack(">HH", TCP, 20 + len(payload))) & 0xFFFF
        segment = struct.pack(">HHIIBBHHH", 4000, port, sequence, acknowledged, 5 << 4, flags, 0xFFFF, start, 0)
        header = struct.pack(">BBHHHBBH", 0x45, 0, 40 + len(payload), 1, 0x4000, 64, TCP, 0) + addresses
        header = header[:10] + checksum(header).to_bytes(2, "big") + header[12:]
        card.give(host.hardware + guest.hardware + b"\x08\0" + header + segment + payload, offload)

    give(b"", UNFINISHED, flags=SYN, sequence=99)
    answers: list[bytes] = []

    def answered() -> bool:
        answers.extend(frame for frame in card.frames if frame[23:24] == b"\6" and frame[47] == SYN | ACK)
        return bool(answers)

    loop.until(answered)
    acknowledged = int.from_bytes(answers[0][38:42], "big") + 1
    give(b"", UNFINISHED, flags=ACK, sequence=100, acknowledged=acknowledged)
    server.settimeout(20)
    connection, _ = server.accept()
    give(DATA, WHOLE, flags=ACK | PSH, sequence=100, acknowledged=acknowledged)
    with connection:
        connection.settimeout(20)
        received = b""
        while len(received) < len(DATA):
            received += connection.recv(65536)
    assert received == DATA
