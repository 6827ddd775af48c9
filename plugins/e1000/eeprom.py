"""The EEPROM: 64 words behind a Microwire interface (manual, chapter 5; National Semiconductor's NM93C46 datasheet).

The bits of EECD are the chip's pins. A command is a start bit, two bits of operation and six of address, sampled while
the clock rises; so is what is written. What is read comes one bit a rise, behind a zero.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

from southbridge.annotations import Within
from southbridge.component import Component, State

if TYPE_CHECKING:
    from .device import E1000

WORDS = 64
CHECKSUM, SUM = 0x3F, 0xBABA
"""The last word makes the sum of all of them this (section 5.6.35)."""

Word16 = Annotated[int, Within(0, 0xFFFF)]

_SK, _CS, _DI, _DO = 1, 2, 4, 8
_COMMAND_BITS = 8
_EXTENDED, _WRITE, _READ, _ERASE = range(4)
_DISABLE, _WRITE_ALL, _ERASE_ALL, _ENABLE = range(4)


def contents(mac: bytes, device: int, subsystem: int) -> list[int]:
    """What the EEPROM has when the card leaves the factory (section 5.6)."""
    words = [0xFFFF] * WORDS
    words[0:3] = [mac[0] | mac[1] << 8, mac[2] | mac[3] << 8, mac[4] | mac[5] << 8]
    words[0x03] = 0x0000  # compatibility: of the software's making
    words[0x08:0x0A] = [0x0000, 0x0000]  # the board's number
    words[0x0A] = 0x4408  # initialization control 1: the signature 01b, subsystem from here
    words[0x0B:0x0F] = [subsystem, 0x8086, device, 0x8086]
    words[0x0F] = 0x3040  # initialization control 2
    words[0x10:0x14] = [0x0008, 0x2000, 0x7E14, 0x0048]  # PHY settings
    words[0x21:0x25] = [0x7863, 0x0000, 0xC000, 0x0706]  # pins; management; wake-up; LEDs
    words[CHECKSUM] = 0
    words[CHECKSUM] = (SUM - sum(words)) & 0xFFFF
    return words


class Eeprom(Component):
    """The chip, and the state of its interface."""

    device: E1000

    words: list[Word16] = State([0] * WORDS, keep=True, min_length=WORDS, max_length=WORDS, doc="What it holds.")
    writable: bool = State(False, keep=True, doc="After EWEN.")
    command: int = State(0, ge=0, lt=1 << 9, doc="The bits that came since the start bit, which is the first.")
    address: int = State(0, ge=0, lt=WORDS, doc="Of the word that is read or written.")
    incoming: int = State(0, ge=0, lt=1 << 17, doc="A word on its way in, behind a 1; 0: none is expected.")
    outgoing: int = State(0, ge=0, le=16, doc="How many bits of the word are still to be read; 0: nothing is read.")
    reading: bool = State(False, doc="Words are read, one after the other.")
    output: int = State(1, ge=0, le=1, doc="The pin DO; 1 also says that the chip is ready.")

    def word(self, address: int) -> int:
        """A word, by EERD."""
        return self.words[address % WORDS]

    def pins(self, before: int, now: int) -> None:
        """The pins were as in `before`, and are as in `now` (EECD's bits)."""
        if not now & _CS:
            self._deselect()
        elif now & _SK and not before & _SK:
            self._clock(bool(now & _DI))

    def _deselect(self) -> None:
        self.command = self.incoming = self.outgoing = 0
        self.reading, self.output = False, 1

    def _clock(self, data: bool) -> None:
        if self.reading:
            self._shift_out()
        elif self.incoming:
            self.incoming = self.incoming << 1 | data
            if self.incoming >> 16:
                self._store(self.incoming & 0xFFFF)
                self.incoming = 0
        elif self.command or data:
            self.command = self.command << 1 | data
            if self.command >> _COMMAND_BITS:
                self._execute(self.command >> 6 & 3, self.command & 0x3F)

    def _shift_out(self) -> None:
        if not self.outgoing:
            self.address = (self.address + 1) % WORDS
            self.outgoing = 16
        self.outgoing -= 1
        self.output = self.words[self.address] >> self.outgoing & 1

    def _execute(self, operation: int, address: int) -> None:
        self.address = address
        if operation == _READ:
            self.reading, self.outgoing, self.output = True, 16, 0
        elif operation == _WRITE or (operation == _EXTENDED and address >> 4 == _WRITE_ALL):
            self.incoming = 1
        elif operation == _ERASE or (operation == _EXTENDED and address >> 4 == _ERASE_ALL):
            self._store(0xFFFF)
        else:
            self.writable = address >> 4 == _ENABLE
        if not self.incoming:
            self.command = 0

    def _store(self, value: int) -> None:
        command, self.command = self.command, 0
        if not self.writable:
            self.guest_error("written while EWEN wasn't given")
        elif command >> 6 & 3 == _EXTENDED:
            self.words = [value] * WORDS
        else:
            self.words[self.address] = value
