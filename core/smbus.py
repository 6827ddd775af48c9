"""SMBus: devices at 7-bit addresses, and a host controller's transactions with them (SMBus 2.0, section 5.5).

A host controller makes an `SmbusBus` and offers it by name; a device derives from `SmbusDevice`, which has the
properties `bus` and `address`, or has parts that are each an `SmbusTarget`. It says what it does with each byte; the
bus makes the protocols of bytes:

    bus.read_byte(0x50, command)    # start, address, command, start again, address, a byte, stop

Whoever isn't there, or has nothing to say to a byte, doesn't acknowledge it: `Nack`.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from .component import Component
from .device import Device
from .errors import RealizeError
from .properties import Link, Property

LOWEST_ADDRESS, HIGHEST_ADDRESS = 0x08, 0x77
"""Addresses below and above mean something of their own (section 5.2)."""
LARGEST_BLOCK = 32


class Nack(Exception):
    """A byte wasn't acknowledged: nobody has the address, or the device refuses."""


class SmbusTarget(Component):
    """What answers at an address: a device, or a part of one. All is called with the machine's lock held."""

    def smbus_start(self, read: bool) -> None:
        """The host addresses it, to `read` or to write; also in mid-transaction. Raises Nack if it doesn't answer."""

    def smbus_write(self, value: int) -> None:
        """A byte from the host. Raises Nack if it doesn't take it."""
        raise Nack

    def smbus_read(self) -> int:
        """A byte for the host. A device that has none lets the line float: ones."""
        return 0xFF

    def smbus_stop(self) -> None:
        """The transaction is over, well or not."""


class SmbusDevice(SmbusTarget, Device):
    """A device with one address."""

    bus: SmbusBus = Link("buses", "smbus.0", doc="The SMBus that it is on.")
    address: int = Property(ge=LOWEST_ADDRESS, le=HIGHEST_ADDRESS, examples=[0x50], doc="Its address, of 7 bits.")

    def realize(self) -> None:
        """Takes its address. Raises RealizeError if another device has it."""
        super().realize()
        self.bus.attach(self, self.address)

    def unrealize(self) -> None:
        """Leaves the bus."""
        self.bus.detach(self)
        super().unrealize()


class SmbusBus:
    """The bus called `name`. All is called with the machine's lock held. Words travel with the low byte first.

    Every transaction raises Nack if a byte isn't acknowledged. A device whose code raises anything else is broken, and
    acknowledges nothing from then on.
    """

    def __init__(self, name: str) -> None:
        self.name = name
        self._targets: dict[int, SmbusTarget] = {}

    def __repr__(self) -> str:
        return f"<SmbusBus {self.name}>"

    # --- for devices ---------------------------------------------------------------------------------------------

    def attach(self, target: SmbusTarget, address: int) -> None:
        """Has `target` answer at `address`. Raises RealizeError if that is taken."""
        other = self._targets.get(address)
        if other is not None:
            place = f"{self.name} address {address:#x}"
            raise RealizeError(f"{target.device.id}: {place} is taken by {other.device.id}")
        self._targets[address] = target

    def detach(self, target: SmbusTarget) -> None:
        """Takes `target` away, wherever it is."""
        self._targets = {address: other for address, other in self._targets.items() if other is not target}

    def targets(self) -> dict[int, SmbusTarget]:
        """Who answers where, by address."""
        return dict(sorted(self._targets.items()))

    # --- the protocols, for hosts --------------------------------------------------------------------------------

    def quick(self, address: int, read: bool) -> None:
        """Quick command: nothing but the address and its read bit."""
        with self._transaction(address) as wire:
            wire.start(read)

    def send_byte(self, address: int, value: int) -> None:
        """Send byte: one byte, without a command."""
        with self._transaction(address) as wire:
            wire.start(False)
            wire.write(value)

    def receive_byte(self, address: int) -> int:
        """Receive byte: one byte, without a command."""
        with self._transaction(address) as wire:
            wire.start(True)
            return wire.read()

    def write_byte(self, address: int, command: int, value: int) -> None:
        """Write byte."""
        with self._transaction(address) as wire:
            wire.send(command, value)

    def read_byte(self, address: int, command: int) -> int:
        """Read byte."""
        with self._transaction(address) as wire:
            wire.send(command)
            wire.start(True)
            return wire.read()

    def write_word(self, address: int, command: int, value: int) -> None:
        """Write word."""
        with self._transaction(address) as wire:
            wire.send(command, value & 0xFF, value >> 8 & 0xFF)

    def read_word(self, address: int, command: int) -> int:
        """Read word."""
        with self._transaction(address) as wire:
            wire.send(command)
            wire.start(True)
            return wire.read() | wire.read() << 8

    def process_call(self, address: int, command: int, value: int) -> int:
        """Process call: a word there, and a word back."""
        with self._transaction(address) as wire:
            wire.send(command, value & 0xFF, value >> 8 & 0xFF)
            wire.start(True)
            return wire.read() | wire.read() << 8

    def write_block(self, address: int, command: int, data: bytes) -> None:
        """Block write of 1 to 32 bytes, which their number precedes. Raises ValueError for another number."""
        if not 1 <= len(data) <= LARGEST_BLOCK:
            raise ValueError(f"a block has 1 to {LARGEST_BLOCK} bytes, not {len(data)}")
        with self._transaction(address) as wire:
            wire.send(command, len(data), *data)

    def read_block(self, address: int, command: int) -> tuple[int, bytes]:
        """Block read. Gives the number of bytes that the device said, and as many of them as a block may have.

        A device that says 0 or more than 32 breaks the protocol: what to do about that is the host's.
        """
        with self._transaction(address) as wire:
            wire.send(command)
            wire.start(True)
            count = wire.read()
            return count, bytes(wire.read() for _ in range(min(count, LARGEST_BLOCK)))

    @contextmanager
    def _transaction(self, address: int) -> Iterator[_Wire]:
        target = self._targets.get(address)
        if target is None or target.device.broken:
            raise Nack
        wire = _Wire(target)
        try:
            yield wire
        finally:
            wire.stop()


class _Wire:
    """A transaction with a device whose code may raise anything: the fault is then that device's, not the host's."""

    def __init__(self, target: SmbusTarget) -> None:
        self._target = target

    def start(self, read: bool) -> None:
        self._call(self._target.smbus_start, read)

    def send(self, *values: int) -> None:
        self.start(False)
        for value in values:
            self.write(value)

    def write(self, value: int) -> None:
        self._call(self._target.smbus_write, value)

    def read(self) -> int:
        value: int = self._call(self._target.smbus_read)
        return value & 0xFF

    def stop(self) -> None:
        if not self._target.device.broken:
            self._call(self._target.smbus_stop)

    def _call(self, method: Any, *arguments: Any) -> Any:
        device = self._target.device
        try:
            return method(*arguments)
        except Nack:
            raise
        except Exception as error:  # a device's code may raise anything
            device.machine.faults.device_failed(device, method.__name__, error)
            raise Nack from None
