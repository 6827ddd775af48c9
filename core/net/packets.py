"""What lies in frames: the Internet checksum (RFC 1071), and where IP and TCP or UDP begin in one."""

from __future__ import annotations

from typing import NamedTuple

from .frames import HEADER, Frame, Offload

TYPE_VLAN, TYPE_IPV4, TYPE_IPV6 = 0x8100, 0x0800, 0x86DD
TCP, UDP = 6, 17
_IPV6_HEADER = 40
_CHECKSUM_AT = {TCP: 16, UDP: 6}
_SMALLEST = {TCP: 20, UDP: 8}
_LONG = 1024
"""Bytes from here on are summed up sooner by NumPy."""


def ones_sum(data: Frame) -> int:
    """The 16-bit ones' complement sum of `data`, as if a zero followed an odd byte. Zero only if all of it is."""
    if len(data) >= _LONG:
        return _long_sum(data)
    number = int.from_bytes(data, "big")
    if len(data) & 1:
        number <<= 8
    return number % 0xFFFF or (0xFFFF if number else 0)


def _long_sum(data: Frame) -> int:
    import numpy as np  # which a machine without a network card needn't have

    words = len(data) >> 2
    number = int(np.add.reduce(np.frombuffer(data, np.dtype("<u4"), words), dtype=np.uint64))
    number += int.from_bytes(data[words << 2 :], "little")
    value = number % 0xFFFF or (0xFFFF if number else 0)
    return (value & 0xFF) << 8 | value >> 8  # the sum of swapped bytes is the sum, swapped (RFC 1071, section 2 B)


def add_ones(one: int, other: int) -> int:
    """Two such sums in one."""
    total = one + other
    return (total & 0xFFFF) + (total >> 16)


class Layers(NamedTuple):
    """Where things are in a frame with an IP packet that isn't a fragment."""

    ip: int
    version: int
    transport: int
    protocol: int
    end: int
    """Behind the IP packet; padding may follow."""

    @property
    def checksum(self) -> int:
        """Where TCP's or UDP's checksum is."""
        return self.transport + _CHECKSUM_AT[self.protocol]


def layers(frame: Frame) -> Layers | None:
    """The layers of a frame of TCP or UDP over IP, with or without a VLAN tag; None for others and broken ones."""
    kind, ip = int.from_bytes(frame[12:14], "big"), HEADER
    if kind == TYPE_VLAN:
        kind, ip = int.from_bytes(frame[16:18], "big"), HEADER + 4
    if kind == TYPE_IPV4 and len(frame) >= ip + 20 and frame[ip] >> 4 == 4:
        length, header = int.from_bytes(frame[ip + 2 : ip + 4], "big"), 4 * (frame[ip] & 0xF)
        fragment = int.from_bytes(frame[ip + 6 : ip + 8], "big") & 0x3FFF
        found = Layers(ip, 4, ip + header, frame[ip + 9], ip + length)
        if fragment or header < 20:
            return None
    elif kind == TYPE_IPV6 and len(frame) >= ip + _IPV6_HEADER and frame[ip] >> 4 == 6:
        length = int.from_bytes(frame[ip + 4 : ip + 6], "big")
        found = Layers(ip, 6, ip + _IPV6_HEADER, frame[ip + 6], ip + _IPV6_HEADER + length)
    else:
        return None
    if found.protocol not in _SMALLEST or found.end > len(frame):
        return None
    return found if found.transport + _SMALLEST[found.protocol] <= found.end else None


def completed(frame: Frame, offload: Offload | None) -> Frame:
    """The frame with the checksum that was left to be done, as one packet, however large it is."""
    if offload is None or offload.checksum_start is None:
        return frame
    done, start = bytearray(frame), offload.checksum_start
    at = start + offload.checksum_offset
    value = ~ones_sum(memoryview(done)[start:]) & 0xFFFF
    done[at : at + 2] = (value or 0xFFFF).to_bytes(2, "big")
    return done


def pseudo_sum(frame: Frame, found: Layers) -> int:
    """The sum of the pseudo header (RFC 9293, section 3.1; RFC 8200, section 8.1)."""
    addresses = frame[found.ip + 12 : found.ip + 20] if found.version == 4 else frame[found.ip + 8 : found.ip + 40]
    return add_ones(ones_sum(addresses), found.protocol + found.end - found.transport)


def ip_header_good(frame: Frame, found: Layers) -> bool:
    """Whether an IPv4 header's checksum is right; IPv6 has none."""
    return found.version == 6 or ones_sum(frame[found.ip : found.transport]) == 0xFFFF


def transport_good(frame: Frame, found: Layers) -> bool:
    """Whether TCP's or UDP's checksum is right; UDP over IPv4 may do without."""
    if found.protocol == UDP and not any(frame[found.checksum : found.checksum + 2]):
        return found.version == 4
    return add_ones(ones_sum(frame[found.transport : found.end]), pseudo_sum(frame, found)) == 0xFFFF
