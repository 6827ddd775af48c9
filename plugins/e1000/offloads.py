"""What is done to a packet: checksums (manual, sections 3.3.6 and 3.3.7) and TCP segmentation (section 3.5)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from southbridge.net import Gso, Offload
from southbridge.net.packets import add_ones, ones_sum

_FIN_PSH = 0x09
_LONGEST_HEADER = 240


class Context(NamedTuple):
    """A TCP/IP context descriptor (section 3.3.6). Offsets are into the packet; an end of 0 is the packet's."""

    ip_start: int
    ip_offset: int
    ip_end: int
    start: int
    offset: int
    end: int
    payload: int
    command: int
    header: int
    segment: int

    @classmethod
    def from_words(cls, low: int, high: int) -> Context:
        """From the two quadwords of the descriptor."""
        return cls(
            ip_start=low & 0xFF,
            ip_offset=low >> 8 & 0xFF,
            ip_end=low >> 16 & 0xFFFF,
            start=low >> 32 & 0xFF,
            offset=low >> 40 & 0xFF,
            end=low >> 48,
            payload=high & 0xF_FFFF,
            command=high >> 24 & 0xFF,
            header=high >> 40 & 0xFF,
            segment=high >> 48,
        )

    @property
    def tcp(self) -> bool:
        """TCP rather than UDP."""
        return bool(self.command & 1)

    @property
    def ipv4(self) -> bool:
        """IPv4 rather than IPv6."""
        return bool(self.command & 2)

    def fault(self, length: int, checksum: bool) -> str:
        """Why a packet of `length` bytes can't be segmented so; empty if it can."""
        if not self.header or not self.segment:
            return f"HDRLEN is {self.header} and MSS is {self.segment}"
        if self.header > _LONGEST_HEADER or self.header > length:
            return f"HDRLEN is {self.header}, and the packet has {length} bytes"
        needed = max(self.start + (14 if self.tcp else 6), self.ip_start + 6, self.offset + 2 if checksum else 0)
        if needed > self.header:
            return f"IPCSS {self.ip_start}, TUCSS {self.start} and TUCSO {self.offset} lie beyond HDRLEN {self.header}"
        return ""


def insert_checksum(packet: bytearray, start: int, offset: int, end: int, *, udp: bool = False) -> bool:
    """Puts the checksum of `packet[start : end]` at `offset`. False: that lies outside, and nothing is done."""
    end = end or len(packet)
    if start >= len(packet) or offset + 2 > len(packet):
        return False
    value = ~ones_sum(memoryview(packet)[start : min(end, len(packet))]) & 0xFFFF
    packet[offset : offset + 2] = (value or (0xFFFF if udp else 0)).to_bytes(2, "big")
    return True


def checksums(packet: bytearray, context: Context, *, ip: bool, transport: bool) -> bool:
    """Inserts those that a data descriptor's POPTS asks for. False: an offset lies outside the packet."""
    good = True
    if ip:
        good = insert_checksum(packet, context.ip_start, context.ip_offset, context.ip_end and context.ip_end + 1)
    if transport:
        end = context.end and context.end + 1
        good &= insert_checksum(packet, context.start, context.offset, end, udp=not context.tcp)
    return good


def segments(packet: bytearray, context: Context, *, ip: bool, transport: bool) -> Iterator[bytearray]:
    """The frames that a large segment becomes (section 3.5.7): their headers, checksums, and a piece of the payload."""
    header, size = context.header, context.segment
    payload = memoryview(packet)[header:]
    for number, at in enumerate(range(0, max(len(payload), 1), size)):
        piece = payload[at : at + size]
        frame = packet[:header]
        frame += piece
        _adapt(frame, context, number, at, last=at + size >= len(payload))
        if ip:
            checksums(frame, context, ip=True, transport=False)
        if transport:
            _add_length(frame, context)
            insert_checksum(frame, context.start, context.offset, 0, udp=not context.tcp)
        yield frame


def unsegmented(packet: bytearray, context: Context) -> Offload:
    """Leaves the cutting to whoever can do it better, and makes the headers such as if it were one large packet."""
    _set_lengths(packet, context)
    checksums(packet, context, ip=context.ipv4, transport=False)
    _add_length(packet, context)
    return Offload(
        checksum_start=context.start,
        checksum_offset=context.offset - context.start,
        gso=Gso.TCP4 if context.ipv4 else Gso.TCP6,
        segment_size=context.segment,
        header_length=context.header,
    )


def _adapt(frame: bytearray, context: Context, number: int, sent: int, *, last: bool) -> None:
    _set_lengths(frame, context)
    if context.ipv4:
        at = context.ip_start + 4
        identification = int.from_bytes(frame[at : at + 2], "big") + number
        frame[at : at + 2] = (identification & 0xFFFF).to_bytes(2, "big")
    if context.tcp:
        at = context.start + 4
        sequence = int.from_bytes(frame[at : at + 4], "big") + sent
        frame[at : at + 4] = (sequence & 0xFFFF_FFFF).to_bytes(4, "big")
        if not last:
            frame[context.start + 13] &= ~_FIN_PSH


def _set_lengths(frame: bytearray, context: Context) -> None:
    """IPv4's total length, or IPv6's payload length; UDP's."""
    if context.ipv4:
        at, length = context.ip_start + 2, len(frame) - context.ip_start
    else:
        at, length = context.ip_start + 4, len(frame) - context.ip_start - 40
    frame[at : at + 2] = (length & 0xFFFF).to_bytes(2, "big")
    if not context.tcp:
        at = context.start + 4
        frame[at : at + 2] = (len(frame) - context.start & 0xFFFF).to_bytes(2, "big")


def _add_length(frame: bytearray, context: Context) -> None:
    """The pseudo header's length, which differs from frame to frame, is added to what the driver put there."""
    at = context.offset
    total = add_ones(int.from_bytes(frame[at : at + 2], "big"), len(frame) - context.start & 0xFFFF)
    frame[at : at + 2] = total.to_bytes(2, "big")
