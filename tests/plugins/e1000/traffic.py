"""IP packets for tests, made anew rather than with the code that is tested, as far as that goes."""

from __future__ import annotations

import struct
from collections.abc import Iterator

from tests.plugins.e1000.driver import MAC, PEER

TCP, UDP = 6, 17
SOURCE, DESTINATION = bytes([10, 0, 2, 15]), bytes([10, 0, 2, 2])
SOURCE6, DESTINATION6 = bytes(15) + b"\1", bytes(15) + b"\2"


def checksum(data: bytes) -> int:
    """The Internet checksum, word by word."""
    total = 0
    for (word,) in struct.iter_unpack(">H", data + bytes(len(data) & 1)):
        total += word
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


def pseudo(segment: bytes, protocol: int, *, version: int = 4, length: int | None = None) -> bytes:
    """The pseudo header."""
    length = len(segment) if length is None else length
    if version == 4:
        return SOURCE + DESTINATION + struct.pack(">HH", protocol, length)
    return SOURCE6 + DESTINATION6 + struct.pack(">II", length, protocol)


def sealed(segment: bytes, protocol: int, version: int = 4) -> bytes:
    """With TCP's or UDP's checksum."""
    at = 16 if protocol == TCP else 6
    bare = segment[:at] + bytes(2) + segment[at + 2 :]
    value = checksum(pseudo(bare, protocol, version=version) + bare)
    if protocol == UDP:
        value = value or 0xFFFF
    return segment[:at] + value.to_bytes(2, "big") + segment[at + 2 :]


def tcp(payload: bytes, *, sequence: int = 1000, flags: int = 0x18) -> bytes:
    """A TCP segment, without a checksum."""
    return struct.pack(">HHIIBBHHH", 5001, 5002, sequence, 7, 5 << 4, flags, 0x2000, 0, 0) + payload


def udp(payload: bytes) -> bytes:
    """A UDP datagram, without a checksum."""
    return struct.pack(">HHHH", 53, 54, 8 + len(payload), 0) + payload


def ipv4(segment: bytes, protocol: int, *, identification: int = 100) -> bytes:
    """An IPv4 packet."""
    header = struct.pack(">BBHHHBBH", 0x45, 0, 20 + len(segment), identification, 0x4000, 64, protocol, 0)
    value = checksum(header + SOURCE + DESTINATION)
    return header[:10] + value.to_bytes(2, "big") + SOURCE + DESTINATION + segment


def ipv6(segment: bytes, protocol: int) -> bytes:
    """An IPv6 packet."""
    return struct.pack(">IHBB", 6 << 28, len(segment), protocol, 64) + SOURCE6 + DESTINATION6 + segment


def ethernet(packet: bytes, *, to: bytes = MAC, source: bytes = PEER) -> bytes:
    """A frame with an IP packet."""
    return to + source + (b"\x86\xdd" if packet[0] >> 4 == 6 else b"\x08\0") + packet


def cut(payload: bytes, size: int, version: int = 4, *, sequence: int = 1000, flags: int = 0x19) -> Iterator[bytes]:
    """The frames into which a card must cut a large TCP segment (manual, section 3.5)."""
    pieces = [payload[at : at + size] for at in range(0, len(payload), size)]
    for number, piece in enumerate(pieces):
        last = number == len(pieces) - 1
        segment = tcp(piece, sequence=sequence + number * size, flags=flags if last else flags & ~0x09)
        whole = sealed(segment, TCP, version)
        yield ethernet(ipv4(whole, TCP, identification=100 + number) if version == 4 else ipv6(whole, TCP))
