"""A USB device of tests, and a host that talks to it without a controller."""

from __future__ import annotations

import struct
from typing import ClassVar

from southbridge.component import State
from southbridge.usb import (
    DeviceDescriptor,
    Endpoint,
    Handshake,
    Interface,
    Pid,
    Reply,
    Setup,
    Transfer,
    UsbBus,
    UsbDevice,
)


class Toy(UsbDevice):
    """Echoes what its bulk endpoint gets, counts on its isochronous one, has a class request."""

    descriptor: ClassVar[DeviceDescriptor] = DeviceDescriptor(
        vendor=0x1234,
        product=0x5678,
        manufacturer="Tests",
        name="Toy",
        interfaces=(
            Interface(
                *(0xFF, 0, 0),
                endpoints=(
                    Endpoint(0x81, Transfer.BULK, 64),
                    Endpoint(0x01, Transfer.BULK, 64),
                    Endpoint(0x82, Transfer.ISOCHRONOUS, 256, 1),
                    Endpoint(0x02, Transfer.ISOCHRONOUS, 256, 1),
                ),
            ),
        ),
        remote_wakeup=True,
    )

    echo: list[bytes] = State([], doc="What it was sent.")
    stream: int = State(0, doc="Isochronous packets.")
    note: bytes = State(b"", doc="By a class request.")
    stalls: bool = State(False, doc="Its bulk endpoints are to halt.")

    def data_in(self, endpoint: Endpoint) -> bytes | Handshake:
        """The echo, or the count."""
        if endpoint.transfer is Transfer.ISOCHRONOUS:
            self.stream += 1
            return bytes([self.stream & 0xFF]) * 5
        if self.stalls:
            return Handshake.STALL
        return self.echo.pop(0) if self.echo else Handshake.NAK

    def data_out(self, endpoint: Endpoint, data: bytes) -> Handshake:
        """Keeps it."""
        if endpoint.transfer is Transfer.ISOCHRONOUS:
            self.stream += len(data)
            return Handshake.ACK
        if self.stalls:
            return Handshake.STALL
        self.echo.append(data)
        return Handshake.ACK

    def class_answer(self, setup: Setup) -> bytes | None:
        """Request 1: the note."""
        return self.note if setup.request == 1 else None

    def class_obey(self, setup: Setup, data: bytes) -> bool:
        """Request 2: sets it."""
        self.note = data
        return setup.request == 2


class Cable:
    """The host of a bus that nothing else is on."""

    def __init__(self) -> None:
        self.changes: list[int] = []
        self.bus = UsbBus("usb.0", 2, self, "/usb")

    def port_changed(self, port: int) -> None:
        """See UsbHost."""
        self.changes.append(port)

    def port_active(self, port: int) -> None:
        """See UsbHost."""


def setup_packet(request_type: int, request: int, value: int = 0, index: int = 0, length: int = 0) -> bytes:
    """Its eight bytes."""
    return struct.pack("<BBHHH", request_type, request, value, index, length)


def control_in(
    device: UsbDevice, request_type: int, request: int, value: int = 0, index: int = 0, length: int = 255
) -> bytes | None:
    """A control transfer that asks for data; None if it is stalled."""
    packet = setup_packet(request_type, request, value, index, length)
    assert device.transaction(Pid.SETUP, 0, packet) == Reply(Handshake.ACK)
    found, toggle = b"", 1
    while True:
        reply = device.transaction(Pid.IN, 0)
        if reply.handshake is Handshake.STALL:
            return None
        assert reply.handshake is Handshake.ACK and reply.toggle == toggle
        found += reply.data
        toggle ^= 1
        if len(reply.data) < device.descriptor.max_packet or len(found) == length:
            break
    assert device.transaction(Pid.OUT, 0, b"", 1) == Reply(Handshake.ACK)
    return found


def control_out(
    device: UsbDevice, request_type: int, request: int, value: int = 0, index: int = 0, data: bytes = b""
) -> bool:
    """A control transfer that sends `data`; False if it is stalled."""
    packet = setup_packet(request_type, request, value, index, len(data))
    assert device.transaction(Pid.SETUP, 0, packet) == Reply(Handshake.ACK)
    toggle, size = 1, device.descriptor.max_packet
    for start in range(0, len(data), size):
        if device.transaction(Pid.OUT, 0, data[start : start + size], toggle).handshake is Handshake.STALL:
            return False
        toggle ^= 1
    reply = device.transaction(Pid.IN, 0)
    assert reply in (Reply(Handshake.ACK, b"", 1), Reply(Handshake.STALL))
    return reply.handshake is Handshake.ACK


def configure(device: UsbDevice) -> None:
    """SET_CONFIGURATION."""
    assert control_out(device, 0x00, 9, 1)
