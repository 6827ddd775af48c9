"""Descriptors as data (USB 1.1, section 9.6): a device class has one `DeviceDescriptor`; the bytes follow from it."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from enum import IntEnum
from typing import NamedTuple

DEVICE, CONFIGURATION, STRING, INTERFACE, ENDPOINT = 1, 2, 3, 4, 5
"""Descriptor types (table 9-5)."""

CONFIGURATION_VALUE = 1
"""What selects the only configuration that our devices have."""
ENGLISH = 0x0409
"""The language of the strings: English (United States)."""
MANUFACTURER, PRODUCT, SERIAL = 1, 2, 3
"""The strings' numbers."""


class Transfer(IntEnum):
    """Types of endpoints."""

    CONTROL = 0
    ISOCHRONOUS = 1
    BULK = 2
    INTERRUPT = 3


class Endpoint(NamedTuple):
    """An endpoint beyond the first; bit 7 of `address` says that it sends to the host. `interval` is in frames."""

    address: int
    transfer: Transfer
    max_packet: int
    interval: int = 0

    @property
    def number(self) -> int:
        """1 to 15."""
        return self.address & 0x0F

    @property
    def to_host(self) -> bool:
        """Whether it answers IN."""
        return bool(self.address & 0x80)

    def encode(self) -> bytes:
        """The endpoint descriptor."""
        return struct.pack("<BBBBHB", 7, ENDPOINT, self.address, self.transfer, self.max_packet, self.interval)


@dataclass(frozen=True)
class Interface:
    """An interface, without alternate settings. `extra` are class descriptors, which follow its own."""

    class_code: int
    subclass: int
    protocol: int
    endpoints: tuple[Endpoint, ...]
    extra: tuple[bytes, ...] = ()

    def encode(self, number: int) -> bytes:
        """The interface's descriptors."""
        head = struct.pack(
            "<9B",
            *(9, INTERFACE, number, 0, len(self.endpoints)),
            *(self.class_code, self.subclass, self.protocol, 0),
        )
        return head + b"".join(self.extra) + b"".join(endpoint.encode() for endpoint in self.endpoints)


@dataclass(frozen=True)
class DeviceDescriptor:
    """A device: who made it, what it is, and its one configuration."""

    vendor: int
    product: int
    manufacturer: str
    name: str
    interfaces: tuple[Interface, ...]
    release: int = 0x0100
    """Of the device, in binary-coded decimal."""
    max_packet: int = 8
    """Bytes of a packet of endpoint 0."""
    power_ma: int = 100
    """What it draws from the bus."""
    remote_wakeup: bool = False
    """It can end a suspend."""

    @property
    def endpoints(self) -> tuple[Endpoint, ...]:
        """Every endpoint beyond the first."""
        return tuple(endpoint for interface in self.interfaces for endpoint in interface.endpoints)

    def device(self, *, serial: bool) -> bytes:
        """The device descriptor; `serial`: there is a serial number."""
        return struct.pack(
            "<BBHBBBBHHHBBBB",
            *(18, DEVICE, 0x0110, 0, 0, 0, self.max_packet),
            *(self.vendor, self.product, self.release),
            *(MANUFACTURER, PRODUCT, SERIAL if serial else 0, 1),
        )

    def configuration(self) -> bytes:
        """The configuration descriptor, with all that belongs to it."""
        rest = b"".join(interface.encode(number) for number, interface in enumerate(self.interfaces))
        attributes = 0x80 | self.remote_wakeup << 5
        head = struct.pack(
            "<BBHBBBBB",
            *(9, CONFIGURATION, 9 + len(rest), len(self.interfaces)),
            *(CONFIGURATION_VALUE, 0, attributes, self.power_ma // 2),
        )
        return head + rest

    def string(self, number: int, serial: str) -> bytes | None:
        """The string descriptor `number`, or None."""
        if number == 0:
            return struct.pack("<BBH", 4, STRING, ENGLISH)
        text = {MANUFACTURER: self.manufacturer, PRODUCT: self.name, SERIAL: serial}.get(number)
        if not text:
            return None
        encoded = text.encode("utf-16-le")
        return bytes([2 + len(encoded), STRING]) + encoded
