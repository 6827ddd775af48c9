"""The EEPROMs on the memory modules, as SMBus devices (ST M24C02: 256 bytes, pages of 16)."""

from __future__ import annotations

from typing import Annotated

from southbridge.annotations import Checked
from southbridge.board import MODULES, memory_modules
from southbridge.component import Parts, State, timer
from southbridge.device import Device
from southbridge.errors import RealizeError
from southbridge.properties import FilePath, Link, Property
from southbridge.smbus import Nack, SmbusBus, SmbusTarget

from . import spd

FIRST_ADDRESS = 0x50
PAGE = 16
WRITE_CYCLE_MS = 5


def _check_hex(text: str) -> str:
    try:
        bytes.fromhex(text)
    except ValueError:
        raise ValueError("expected hexadecimal digits, two a byte") from None
    return text


Hex = Annotated[str, Checked(_check_hex)]
"""Bytes in hexadecimal, with or without spaces between them."""


class Eeprom(SmbusTarget):
    """One chip. It keeps its contents whatever is reset."""

    contents: bytes = State(bytes(spd.SIZE), keep=True, min_length=spd.SIZE, max_length=spd.SIZE)
    place: int = State(0, keep=True, ge=0, lt=spd.SIZE, doc="The byte that is read or written next.")
    placed: bool = State(False, doc="In a transaction, the host has sent the place.")
    changed: bool = State(False, doc="In a transaction, the host has sent data.")

    def prepare(self, contents: bytes, *, protected: bool) -> None:
        """It has these `contents`. `protected`: its write control pin is high."""
        self.contents = contents
        self._protected = protected

    def smbus_start(self, read: bool) -> None:
        """It answers nothing while it writes."""
        if self.write_cycle.pending:
            raise Nack
        self.placed = False

    def smbus_write(self, value: int) -> None:
        """The first byte is the place, the others are data, which stay in one page."""
        if not self.placed:
            self.placed, self.place = True, value
        elif self._protected:
            self.guest_error(f"a write at {self.place:#x}, which is protected")
            raise Nack
        else:
            place = self.place
            self.contents = self.contents[:place] + bytes([value]) + self.contents[place + 1 :]
            self.place = place & -PAGE | (place + 1) % PAGE
            self.changed = True

    def smbus_read(self) -> int:
        """Bytes follow each other, the first one the last one."""
        place = self.place
        self.place = (place + 1) % spd.SIZE
        return self.contents[place]

    def smbus_stop(self) -> None:
        """What was sent is written, which takes its time."""
        if self.changed:
            self.changed = False
            self.write_cycle.after(ms=WRITE_CYCLE_MS)

    @timer
    def write_cycle(self) -> None:
        """It listens again."""


class SpdEeprom(Device):
    """EEPROMs that tell what memory there is: one for each memory module, at addresses from 50h on.

    With contents of its own it is a single one, at `address`.
    """

    bus: SmbusBus = Link("buses", "smbus.0", doc="The SMBus that they are on.")
    address: int = Property(
        FIRST_ADDRESS, ge=FIRST_ADDRESS, le=FIRST_ADDRESS + MODULES - 1, doc="The first one's address, 50h to 57h."
    )
    file: FilePath | None = Property(None, doc="A file with the contents of a single one: 128 or 256 bytes.")
    data: Hex | None = Property(None, doc="The contents of a single one in hexadecimal: 128 or 256 bytes.")
    write_protected: bool = Property(True, doc="The guest can't change the contents.")

    eeproms: list[Eeprom] = Parts(Eeprom)

    def realize(self) -> None:
        """Puts them on the bus. Raises RealizeError for contents that are none, and addresses that are taken."""
        contents = self._contents()
        if self.address + len(contents) > FIRST_ADDRESS + MODULES:
            last = FIRST_ADDRESS + MODULES - 1
            raise RealizeError(f"{self.id}: {len(contents)} memory modules from {self.address:#x} go beyond {last:#x}")
        self.make_parts("eeproms", len(contents))
        for number, eeprom in enumerate(self.eeproms):
            eeprom.prepare(contents[number], protected=self.write_protected)
            self.bus.attach(eeprom, self.address + number)

    def unrealize(self) -> None:
        """They leave the bus."""
        for eeprom in self.eeproms:
            self.bus.detach(eeprom)
        super().unrealize()

    def _contents(self) -> list[bytes]:
        """Each one's."""
        if self.file is not None and self.data is not None:
            raise RealizeError(f"{self.id}: file and data say both what the contents are")
        if self.file is not None:
            return [self._checked(f"file: {self.file}", self._read())]
        if self.data is not None:
            return [self._checked("data", bytes.fromhex(self.data))]
        sizes = memory_modules(self.machine.ram.size)
        return [spd.module(size, number) for number, size in enumerate(sizes)]

    def _read(self) -> bytes:
        assert self.file is not None
        try:
            with self.file.open("rb") as file:
                return file.read(spd.SIZE + 1)
        except OSError as error:
            raise RealizeError(f"{self.id}: file: can't read {self.file}: {error.strerror}") from None

    def _checked(self, what: str, contents: bytes) -> bytes:
        try:
            return spd.checked(contents)
        except ValueError as error:
            raise RealizeError(f"{self.id}: {what}: {error}") from None
