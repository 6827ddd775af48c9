"""A host of bulk-only transport: it talks to the disk's pipes, without a controller."""

from __future__ import annotations

import struct
from typing import NamedTuple

from southbridge.plugins.usb_storage import UsbStorage
from southbridge.testing import Bench
from southbridge.testing.ide import MemoryDisk
from southbridge.usb import Handshake, Pid

from tests.core.usb.toy import Cable, configure, control_out

BULK_IN, BULK_OUT = 0x81, 0x02


class Outcome(NamedTuple):
    """What a command came to."""

    data: bytes
    status: int
    residue: int
    stalled: bool


class Host:
    """The host's side of one disk, which is configured."""

    def __init__(self, bench: Bench, data: bytes = b"", *, writable: bool = True, **properties: object) -> None:
        self.bench = bench
        self.image = MemoryDisk(data or bytes(1 << 20), writable=writable)
        if "usb.0" not in bench.machine.buses:
            bench.machine.add_bus("usb.0", Cable().bus)
        self.device: UsbStorage = bench.plug("usb-storage", "stick", drive=self.image, **properties)
        self.begin()

    def begin(self) -> None:
        """Configures it; both pipes begin with DATA0."""
        configure(self.device)
        self.toggle = 0
        self.tag = 0

    def send(self, data: bytes) -> Handshake:
        """A packet to the disk, until it is taken or refused; while the disk is busy the image works."""
        for _ in range(1000):
            reply = self.device.transaction(Pid.OUT, 2, data, self.toggle)
            if reply.handshake is not Handshake.NAK:
                if reply.handshake is Handshake.ACK:
                    self.toggle ^= 1
                return reply.handshake
            self.bench.executor.run_all()
        return Handshake.NAK

    def receive(self) -> bytes | Handshake:
        """A packet from the disk."""
        for _ in range(1000):
            reply = self.device.transaction(Pid.IN, 1)
            if reply.handshake is Handshake.ACK:
                return reply.data
            if reply.handshake is not Handshake.NAK:
                return reply.handshake
            self.bench.executor.run_all()
        return Handshake.NAK

    def clear(self, endpoint: int) -> None:
        """CLEAR FEATURE: ENDPOINT HALT."""
        assert control_out(self.device, 0x02, 1, 0, endpoint)
        if endpoint == BULK_OUT:
            self.toggle = 0

    def wrapper(self, command: bytes, length: int, *, to_host: bool, unit: int = 0) -> bytes:
        """A command wrapper."""
        self.tag += 1
        return struct.pack(
            "<4sIIBBB16s", b"USBC", self.tag, length, to_host << 7, unit, len(command), command.ljust(16, b"\0")
        )

    def run(self, command: bytes, expected: int = 0, data: bytes | None = None) -> Outcome:
        """A command for which the host expects data, or sends them, and its status."""
        length = expected if data is None else len(data)
        assert self.send(self.wrapper(command, length, to_host=data is None and expected > 0)) is Handshake.ACK
        stalled = False
        found = b""
        if data is not None:
            for start in range(0, len(data), 64):
                if self.send(data[start : start + 64]) is Handshake.STALL:
                    stalled = True
                    self.clear(BULK_OUT)
                    break
        while data is None and len(found) < expected:
            packet = self.receive()
            if packet is Handshake.STALL:
                stalled = True
                self.clear(BULK_IN)
                break
            assert isinstance(packet, bytes), packet
            found += packet
            if len(packet) < 64:
                break
        status = self.receive()
        if status is Handshake.STALL:
            stalled = True
            self.clear(BULK_IN)
            status = self.receive()
        assert isinstance(status, bytes), status
        signature, tag, residue, result = struct.unpack("<4sIIB", status)
        assert (signature, tag) == (b"USBS", self.tag)
        return Outcome(found, result, residue, stalled)

    def settle(self) -> None:
        """The reset is acknowledged."""
        assert self.run(bytes(6)).status == 1
        assert self.sense() == (6, 0x29, 0)

    def sense(self) -> tuple[int, int, int]:
        """Key, code and qualifier."""
        data = self.run(bytes([0x03, 0, 0, 0, 18, 0]), 18).data
        assert data[0] == 0x70
        return data[2], data[12], data[13]


def read(first: int, count: int) -> bytes:
    """READ(10)."""
    return struct.pack(">BBIBHB", 0x28, 0, first, 0, count, 0)


def write(first: int, count: int) -> bytes:
    """WRITE(10)."""
    return struct.pack(">BBIBHB", 0x2A, 0, first, 0, count, 0)
