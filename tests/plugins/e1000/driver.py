"""A driver, as small as can be: what a test does to the card by way of its registers and rings."""

from __future__ import annotations

import struct
from typing import Any

from southbridge.testing import Bench
from southbridge.testing.network import NetworkLine

BAR = 0xE000_0000
TX_RING, RX_RING = 0x1_0000, 0x2_0000
TX_BUFFERS, RX_BUFFERS = 0x10_0000, 0x40_0000
MAC = bytes.fromhex("525400123456")
PEER = bytes.fromhex("020000000001")

CTRL, STATUS, EECD, EERD, CTRL_EXT, MDIC = 0x0000, 0x0008, 0x0010, 0x0014, 0x0018, 0x0020
ICR, ITR, ICS, IMS, IMC = 0x00C0, 0x00C4, 0x00C8, 0x00D0, 0x00D8
RCTL, TCTL = 0x0100, 0x0400
RDBAL, RDBAH, RDLEN, RDH, RDT, RDTR, RADV, RSRPD = 0x2800, 0x2804, 0x2808, 0x2810, 0x2818, 0x2820, 0x282C, 0x2C00
TDBAL, TDBAH, TDLEN, TDH, TDT, TIDV, TXDCTL, TADV = 0x3800, 0x3804, 0x3808, 0x3810, 0x3818, 0x3820, 0x3828, 0x382C
RXCSUM, MTA, RA, VFTA, VET = 0x5000, 0x5200, 0x5400, 0x5600, 0x0038

EOP, IFCS, IC, TSE, RS, DEXT, VLE, IDE = 0x01, 0x02, 0x04, 0x04, 0x08, 0x20, 0x40, 0x80
DD = 1
EN = 0x2
BAM, UPE, MPE, LPE, SECRC = 1 << 15, 1 << 3, 1 << 4, 1 << 5, 1 << 26
LINK_UP = 0x2


class Driver:
    """Of one card, which is on a cable to `line`."""

    def __init__(
        self, bench: Bench, kind: str = "e1000", *, line: NetworkLine | None = None, **properties: Any
    ) -> None:
        self.bench = bench
        self.line = line or NetworkLine()
        self.card: Any = bench.plug(kind, netdev=self.line, **properties)
        bench.place(self.card, "bar0", BAR)
        self.sent = 0
        self.ring = self.buffers = 0

    def read(self, register: int) -> int:
        """A register."""
        return self.bench.read_mmio(BAR + register)

    def write(self, register: int, value: int) -> None:
        """Writes one."""
        self.bench.write_mmio(BAR + register, value)

    def link(self) -> None:
        """Waits until there is a link."""
        self.bench.clock.advance(ms=600)
        assert self.read(STATUS) & LINK_UP

    # --- sending -------------------------------------------------------------------------------------------------

    def start_transmitter(self, descriptors: int = 64, *, control: int = EN | 1 << 3) -> None:
        """A ring, and the transmitter on; the link too."""
        self.link()
        for register, value in ((TDBAL, TX_RING), (TDBAH, 0), (TDLEN, 16 * descriptors), (TDH, 0), (TDT, 0)):
            self.write(register, value)
        self.write(TCTL, control)
        self.sent = 0
        self.ring = descriptors

    def put(self, *descriptors: bytes) -> None:
        """Descriptors into the ring, without telling the card."""
        for descriptor in descriptors:
            self.bench.write_memory(TX_RING + 16 * (self.sent % self.ring), descriptor)
            self.sent += 1

    def go(self) -> None:
        """Tells the card how far the ring is filled."""
        self.write(TDT, self.sent % self.ring)

    def send(self, packet: bytes, command: int = EOP | IFCS | RS, **fields: int) -> None:
        """A packet in one legacy descriptor."""
        address = TX_BUFFERS + 0x4000 * (self.sent % self.ring % 64)
        self.bench.write_memory(address, packet)
        self.put(legacy(address, len(packet), command, **fields))
        self.go()

    def status(self, index: int) -> int:
        """A transmit descriptor's status."""
        return self.bench.read_memory(TX_RING + 16 * index + 12, 1)[0] & 0xF

    # --- receiving -----------------------------------------------------------------------------------------------

    def start_receiver(self, descriptors: int = 16, *, control: int = EN | BAM | SECRC, size: int = 2048) -> None:
        """A ring of buffers of `size` bytes, all of them the card's, and the receiver on; the link too."""
        self.link()
        self.buffers = descriptors
        for index in range(descriptors):
            self.bench.write_memory(RX_RING + 16 * index, struct.pack("<QQ", RX_BUFFERS + 0x4000 * index, 0))
        for register, value in ((RDBAL, RX_RING), (RDBAH, 0), (RDLEN, 16 * descriptors), (RDH, 0)):
            self.write(register, value)
        self.write(RDT, descriptors - 1)
        bits = {2048: 0, 1024: 1 << 16, 512: 2 << 16, 256: 3 << 16, 4096: 3 << 16 | 1 << 25, 16384: 1 << 16 | 1 << 25}
        self.write(RCTL, control | bits[size])

    def received(self, index: int) -> tuple[bytes, int, int, int, int]:
        """Of a receive descriptor: data, status, errors, special, checksum."""
        raw = self.bench.read_memory(RX_RING + 16 * index, 16)
        address, length, checksum, status, errors, special = struct.unpack("<QHHBBH", raw)
        return self.bench.read_memory(address, length), status, errors, special, checksum

    def packets(self) -> list[bytes]:
        """Each whole packet in the ring, from its beginning."""
        found, packet = [], b""
        for index in range(self.buffers):
            data, status, *_ = self.received(index)
            if not status & DD:
                break
            packet += data
            if status & 2:
                found.append(packet)
                packet = b""
        return found


def legacy(address: int, length: int, command: int, *, cso: int = 0, css: int = 0, special: int = 0) -> bytes:
    """A legacy transmit descriptor."""
    return struct.pack("<QHBBBBH", address, length, cso, command, 0, css, special)


def context(
    *,
    ip: tuple[int, int, int] = (0, 0, 0),
    transport: tuple[int, int, int] = (0, 0, 0),
    payload: int = 0,
    command: int = 0,
    header: int = 0,
    segment: int = 0,
) -> bytes:
    """A context descriptor."""
    low = struct.pack("<BBHBBH", *ip, *transport)
    return low + struct.pack("<IBBH", payload | (command | DEXT) << 24, 0, header, segment)


def data(address: int, length: int, command: int, *, options: int = 0, special: int = 0, kind: int = 1) -> bytes:
    """A data descriptor."""
    return struct.pack("<QIBBH", address, length | kind << 20 | (command | DEXT) << 24, 0, options, special)


def frame(payload: bytes = b"", *, to: bytes = MAC, source: bytes = PEER, kind: int = 0x88B5, length: int = 0) -> bytes:
    """An Ethernet frame, of `length` bytes if that is more."""
    return (to + source + kind.to_bytes(2, "big") + payload).ljust(length, b"\0")
