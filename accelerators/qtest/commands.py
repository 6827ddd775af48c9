"""The words of QEMU's qtest protocol, and what each does. See docs/qtest.md for their forms.

A line that can't be understood is answered with ERR, where QEMU aborts.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

from southbridge.errors import GuestMemoryError
from southbridge.memory.regions import Section
from southbridge.units import MiB

from .lines import Interception, LineError, find_device, input_wires

if TYPE_CHECKING:
    from southbridge.interrupts import Pin, Wire
    from southbridge.machine import Machine

Words = list[bytes]
Command = Callable[[Words], bytes]

LARGEST = 64 * MiB
"""Bytes that one command may move."""
SIZES = {b"b": 1, b"w": 2, b"l": 4, b"q": 8}
OK = b"OK\n"
WORD_SHOWN = 64
"""Characters of an unknown word that an answer repeats."""
TIMERS_AT_ONCE = 1000
"""Deadlines after which a long step lets somebody else have the machine."""
_U64 = (1 << 64) - 1


class BadLineError(Exception):
    """A line can't be understood. The text says why."""


class Commands:
    """What a client may say to `machine`.

    `hear` gets the lines that tell of intercepted interrupts; `breathe` is called now and then in what takes long.
    """

    def __init__(self, machine: Machine, hear: Callable[[bytes], None], breathe: Callable[[], None]) -> None:
        self._machine = machine
        self._breathe = breathe
        self.interception = Interception(hear)
        self._pins: dict[Wire, Pin] = {}
        self.ended = False
        """A step of the clock that is under way is to stop."""
        self._table: dict[bytes, Command] = {
            **{b"in" + letter: self._in(size) for letter, size in SIZES.items() if size < 8},
            **{b"out" + letter: self._out(size) for letter, size in SIZES.items() if size < 8},
            **{b"read" + letter: self._read(size) for letter, size in SIZES.items()},
            **{b"write" + letter: self._write(size) for letter, size in SIZES.items()},
            b"read": lambda words: b"OK 0x%s\n" % self._bytes_at(words).hex().encode(),
            b"b64read": lambda words: b"OK %s\n" % base64.b64encode(self._bytes_at(words)),
            b"write": self._write_hexadecimal,
            b"b64write": self._write_base64,
            b"memset": self._memset,
            b"endianness": lambda words: b"OK little\n",
            b"irq_intercept_in": lambda words: self._intercept(words, inward=True),
            b"irq_intercept_out": lambda words: self._intercept(words, inward=False),
            b"set_irq_in": self._set_irq_in,
        }
        self._of_time: dict[bytes, Command] = {b"clock_step": self._clock_step, b"clock_set": self._clock_set}

    def obey(self, line: bytes) -> bytes:
        """The answer to `line`. With the machine's lock. Raises what a device raises, under `--strict`."""
        words = line.split()
        command = self._table.get(words[0]) if words else None
        try:
            if command is not None:
                return command(words)
            return self._seldom(words)
        except BadLineError as error:
            return b"ERR %s: %s\n" % (words[0], str(error).encode("ascii", "replace"))
        except LineError as error:
            return b"FAIL %s\n" % str(error).encode()
        except GuestMemoryError as error:  # of an accelerator whose guest's memory may be missing
            return b"ERR %s: %s\n" % (words[0], str(error).encode("ascii", "replace"))

    def _seldom(self, words: Words) -> bytes:
        """A command of the clock, which only who drives the time has; or none."""
        accelerator = self._machine.accelerator
        command = self._of_time.get(words[0]) if words else None
        if command is not None and accelerator is not None and accelerator.drives_time:
            return command(words)
        return b"FAIL Unknown command '%s'\n" % (words[0][:WORD_SHOWN] if words else b"")

    # --- ports and registers -------------------------------------------------------------------------------------

    def _in(self, size: int) -> Command:
        read = self._machine.ports.read

        def command(words: Words) -> bytes:
            return b"OK 0x%04x\n" % read(_port(words), size)

        return command

    def _out(self, size: int) -> Command:
        write = self._machine.ports.write

        def command(words: Words) -> bytes:
            write(_port(words), size, _number(words, 2))
            return OK

        return command

    def _read(self, size: int) -> Command:
        space, hooks = self._machine.memory, self._machine.hooks

        def command(words: Words) -> bytes:
            address = _number(words, 1)
            section = space.find(address)
            if section is not None and section.ram is not None and address + size <= section.end:
                return b"OK 0x%016x\n" % int.from_bytes(hooks.memory_read(address, size), "little")
            return b"OK 0x%016x\n" % space.read(address, size)

        return command

    def _write(self, size: int) -> Command:
        space, hooks = self._machine.memory, self._machine.hooks
        mask = (1 << 8 * size) - 1

        def command(words: Words) -> bytes:
            address, value = _number(words, 1), _number(words, 2) & mask
            section = space.find(address)
            if section is not None and _is_writable(section) and address + size <= section.end:
                hooks.memory_write(address, value.to_bytes(size, "little"))
            else:
                space.write(address, size, value)
            return OK

        return command

    # --- many bytes ----------------------------------------------------------------------------------------------

    def _bytes_at(self, words: Words) -> bytes:
        address, length = _range(words)
        if not length:
            raise BadLineError("a length of 0")
        space, hooks = self._machine.memory, self._machine.hooks
        parts: list[bytes] = []
        for at, size, section in self._pieces(address, length):
            if section is not None and section.ram is not None:
                parts.append(hooks.memory_read(at, size))
            elif section is None:
                parts.append(b"\xff" * size)
            else:
                parts += (space.read(place, width).to_bytes(width, "little") for place, width in _accesses(at, size))
        return b"".join(parts)

    def _put(self, address: int, data: bytes) -> bytes:
        space, hooks = self._machine.memory, self._machine.hooks
        done = 0
        for at, size, section in self._pieces(address, len(data)):
            part = data[done : done + size]
            if section is not None and _is_writable(section):
                hooks.memory_write(at, part)
            elif section is not None:
                for place, width in _accesses(at, size):
                    space.write(place, width, int.from_bytes(part[place - at : place - at + width], "little"))
            done += size
        return OK

    def _pieces(self, address: int, length: int) -> Iterator[tuple[int, int, Section | None]]:
        """Start, length and section of each piece of the range; None where nothing answers."""
        space = self._machine.memory
        end = address + length
        while address < end:
            section = space.find(address)
            stop = section.end if section is not None else max(space.next_start(address), address + 1)
            stop = min(end, stop if address < space.root.size else end)
            yield address, stop - address, section
            address = stop

    def _write_hexadecimal(self, words: Words) -> bytes:
        """Digits that are missing are zeros."""
        address, length = _range(words)
        text = _word(words, 3)
        if len(text) < 3:
            return b"ERR invalid argument size\n"
        digits = text[2 : 2 + 2 * length]
        try:
            data = binascii.unhexlify(digits[: len(digits) & ~1])
        except binascii.Error:
            raise BadLineError("expected 0x and hexadecimal digits") from None
        return self._put(address, data.ljust(length, b"\0"))

    def _write_base64(self, words: Words) -> bytes:
        """What is too much is left out; what is missing isn't written."""
        address, length = _range(words)
        text = _word(words, 3)
        if len(text) < 3:
            return b"ERR invalid argument size\n"
        try:
            data = base64.b64decode(text, validate=True)
        except binascii.Error:
            raise BadLineError("expected base64") from None
        return self._put(address, data[:length])

    def _memset(self, words: Words) -> bytes:
        address, length = _range(words)
        return self._put(address, bytes([_number(words, 3) & 0xFF]) * length)

    # --- time ----------------------------------------------------------------------------------------------------

    def _clock_step(self, words: Words) -> bytes:
        clock = self._machine.clock
        if len(words) > 1:
            return self._advance_to(clock.now() + _signed(words, 1))
        deadline = clock.deadline()
        return self._advance_to(clock.now() if deadline is None else deadline)

    def _clock_set(self, words: Words) -> bytes:
        return self._advance_to(_signed(words, 1))

    def _advance_to(self, end: int) -> bytes:
        """Timers fire on the way, each at its time."""
        clock = self._machine.clock
        timers = 0
        while (due := clock.deadline()) is not None and due <= end and not self.ended:
            clock.advance(ns=max(due - clock.now(), 0))
            timers += 1
            if not timers % TIMERS_AT_ONCE:
                self._breathe()
        if not self.ended:
            clock.advance(ns=max(end - clock.now(), 0))
        return b"OK %d\n" % clock.now()

    # --- interrupts ----------------------------------------------------------------------------------------------

    def _intercept(self, words: Words, *, inward: bool) -> bytes:
        device = find_device(self._machine, _word(words, 1).decode("utf-8", "replace"))
        if len(words) > 2:
            raise LineError(f"Interception of named {'in' if inward else 'out'}-GPIOs not yet supported")
        self.interception.begin(self._machine, device, inward=inward)
        return OK

    def _set_irq_in(self, words: Words) -> bytes:
        device = find_device(self._machine, _word(words, 1).decode("utf-8", "replace"))
        if _word(words, 2) != b"unnamed-gpio-in":
            raise BadLineError("expected unnamed-gpio-in")
        number, level = _number(words, 3), _number(words, 4)
        wire = input_wires(self._machine, device).get(number)
        if wire is None:
            raise BadLineError(f"{device.id} has no input {number}")
        if wire not in self._pins:
            self._pins[wire] = wire.pin()
        self._pins[wire].set(level)
        return OK


def _is_writable(section: Section) -> bool:
    return section.ram is not None and not section.readonly


def _accesses(address: int, length: int) -> Iterator[tuple[int, int]]:
    """Aligned accesses of at most four bytes that a range of registers is read or written by: where, and how wide."""
    end = address + length
    while address < end:
        width = next(width for width in (4, 2, 1) if not address % width and address + width <= end)
        yield address, width
        address += width


# --- words: QEMU reads numbers as C's strtoul with base 0 --------------------------------------------------------


def _word(words: Words, index: int) -> bytes:
    if len(words) <= index:
        raise BadLineError("a word is missing")
    return words[index]


def _signed(words: Words, index: int) -> int:
    word = _word(words, index)
    try:
        value = int(word, 0)
    except ValueError:
        try:
            value = int(word, 8) if word.lstrip(b"+-").startswith(b"0") else 1 << 64
        except ValueError:
            value = 1 << 64
    if not -_U64 <= value <= _U64:
        raise BadLineError(f"expected a number of 64 bits, not {word[:WORD_SHOWN].decode('ascii', 'replace')}")
    return value


def _number(words: Words, index: int) -> int:
    return _signed(words, index) & _U64


def _port(words: Words) -> int:
    port = _number(words, 1)
    if port > 0xFFFF:
        raise BadLineError("ports are 0 to 0xffff")
    return port


def _range(words: Words) -> tuple[int, int]:
    address, length = _number(words, 1), _number(words, 2)
    if length > LARGEST or address + length > 1 << 64:
        raise BadLineError(f"at most {LARGEST} bytes, and none above 2^64")
    return address, length
