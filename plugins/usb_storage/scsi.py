"""The disk's SCSI commands, as far as they are answered from what is known (SPC-2, SBC; INCITS 351 and 306).

`execute` gives what a command comes to: data for the host, or blocks to be moved, or how it failed. Moving is the
transport's affair.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar

from southbridge.block import SECTOR
from southbridge.component import Component, State

# Sense key, additional code and qualifier
NO_SENSE = 0
STOPPED = 0x2_0402
NO_MEDIUM = 0x2_3A00
READ_ERROR = 0x3_1100
WRITE_ERROR = 0x3_0C00
UNKNOWN_COMMAND = 0x5_2000
OUT_OF_RANGE = 0x5_2100
INVALID_FIELD = 0x5_2400
NO_SAVED_PAGES = 0x5_3900
REMOVAL_PREVENTED = 0x5_5302
RESET_OCCURRED = 0x6_2900
WRITE_PROTECTED = 0x7_2700

LARGEST = 1 << 32
"""Blocks that 32 bits count."""

CACHING_PAGE = bytes([0x08, 0x12, 0x04, *bytes(17)])
"""Write cache enabled; nothing of it can be changed."""
ALL_PAGES = 0x3F
WRITE_PROTECT_BIT = 0x80

TEST_UNIT_READY, REQUEST_SENSE, INQUIRY, MODE_SENSE, START_STOP, PREVENT_REMOVAL = 0x00, 0x03, 0x12, 0x1A, 0x1B, 0x1E
READ_CAPACITY, READ, WRITE, SYNCHRONIZE_CACHE, REPORT_LUNS = 0x25, 0x28, 0x2A, 0x35, 0xA0

LENGTHS = (6, 10, 10, 12, 16, 12, 10, 10)
"""Bytes of a command, by the operation code's three upper bits."""


@dataclass(frozen=True)
class Failed:
    """A check condition."""

    sense: int


@dataclass(frozen=True)
class Data:
    """Bytes for the host; none for a command that just succeeds."""

    data: bytes = b""


@dataclass(frozen=True)
class Blocks:
    """Bytes of the image to be moved, to the host or from it."""

    offset: int
    length: int
    to_host: bool


@dataclass(frozen=True)
class Flush:
    """What was written is to become durable."""


Result = Failed | Data | Blocks | Flush


class Disk(Component):
    """The logical unit. Whoever owns it sets what it is."""

    sense: int = State(NO_SENSE, ge=0, le=0xF_FFFF, doc="Of the last command that failed.")
    attention: int = State(RESET_OCCURRED, ge=0, le=0xF_FFFF, doc="Sense to report before anything else, or 0.")
    stopped: bool = State(False, doc="START STOP UNIT stopped it.")
    ejected: bool = State(False, doc="And ejected the medium.")
    locked: bool = State(False, doc="The medium may not be removed.")

    blocks: int
    writable: bool
    removable: bool
    serial: str

    def execute(self, command: bytes) -> Result:
        """What `command`, of up to 16 bytes, comes to."""
        code = command[0]
        handler = self.commands.get(code)
        if handler is None:
            self.guest_error(f"unknown SCSI command {code:#x}")
            return self.fail(UNKNOWN_COMMAND)
        if self.attention and code not in (INQUIRY, REQUEST_SENSE, REPORT_LUNS):
            attention, self.attention = self.attention, 0
            return self.fail(attention)
        return handler(self, command[: LENGTHS[code >> 5]].ljust(LENGTHS[code >> 5], b"\0"))

    def fail(self, sense: int) -> Failed:
        """The command fails for that reason, which REQUEST SENSE tells."""
        self.sense = sense
        return Failed(sense)

    def _unready(self) -> Failed | None:
        if self.ejected:
            return self.fail(NO_MEDIUM)
        return self.fail(STOPPED) if self.stopped else None

    def _test_unit_ready(self, command: bytes) -> Result:
        return self._unready() or Data()

    def _request_sense(self, command: bytes) -> Result:
        sense, self.sense = self.sense or self.attention, NO_SENSE
        if sense == self.attention:
            self.attention = 0
        data = bytes([0x70, 0, sense >> 16, 0, 0, 0, 0, 10, 0, 0, 0, 0, sense >> 8 & 0xFF, sense & 0xFF, 0, 0, 0, 0])
        return Data(data[: command[4]])

    def _inquiry(self, command: bytes) -> Result:
        vital, page, allocation = command[1] & 1, command[2], struct.unpack_from(">H", command, 3)[0]
        if not vital and not page:
            head = bytes([0, self.removable << 7, 0x04, 0x02, 31, 0, 0, 0])
            return Data((head + b"SBRIDGE USB DISK        1.0 ")[:allocation])
        pages = {0x00: bytes([0x00, 0x80]), 0x80: self.serial.encode("ascii")}
        if not vital or page not in pages:
            return self.fail(INVALID_FIELD)
        return Data((struct.pack(">BBH", 0, page, len(pages[page])) + pages[page])[:allocation])

    def _mode_sense(self, command: bytes) -> Result:
        page, control, allocation = command[2] & 0x3F, command[2] >> 6, command[4]
        if page not in (ALL_PAGES, CACHING_PAGE[0]):
            return self.fail(INVALID_FIELD)
        if control == 3:
            return self.fail(NO_SAVED_PAGES)
        contents = CACHING_PAGE[:2] + bytes(18) if control == 1 else CACHING_PAGE
        head = bytes([3 + len(contents), 0, 0 if self.writable else WRITE_PROTECT_BIT, 0])
        return Data((head + contents)[:allocation])

    def _start_stop(self, command: bytes) -> Result:
        start, eject = bool(command[4] & 1), bool(command[4] & 2)
        if eject and self.removable:
            if not start and self.locked:
                return self.fail(REMOVAL_PREVENTED)
            self.ejected = not start
        self.stopped = not start
        return Data()

    def _prevent_removal(self, command: bytes) -> Result:
        self.locked = bool(command[4] & 1)
        return Data()

    def _read_capacity(self, command: bytes) -> Result:
        return self._unready() or Data(struct.pack(">II", self.blocks - 1, SECTOR))

    def _read(self, command: bytes) -> Result:
        return self._move(command, to_host=True)

    def _write(self, command: bytes) -> Result:
        if not self.writable:
            return self._unready() or self.fail(WRITE_PROTECTED)
        return self._move(command, to_host=False)

    def _move(self, command: bytes, *, to_host: bool) -> Result:
        first, count = struct.unpack_from(">IxH", command, 2)
        unready = self._unready()
        if unready:
            return unready
        if first + count > self.blocks:
            return self.fail(OUT_OF_RANGE)
        return Blocks(first * SECTOR, count * SECTOR, to_host) if count else Data()

    def _synchronize_cache(self, command: bytes) -> Result:
        return self._unready() or Flush()

    def _report_luns(self, command: bytes) -> Result:
        allocation = struct.unpack_from(">I", command, 6)[0]
        if allocation < 16:
            return self.fail(INVALID_FIELD)
        return Data(struct.pack(">II8x", 8, 0))

    commands: ClassVar[dict[int, Callable[[Disk, bytes], Result]]] = {
        TEST_UNIT_READY: _test_unit_ready,
        REQUEST_SENSE: _request_sense,
        INQUIRY: _inquiry,
        MODE_SENSE: _mode_sense,
        START_STOP: _start_stop,
        PREVENT_REMOVAL: _prevent_removal,
        READ_CAPACITY: _read_capacity,
        READ: _read,
        WRITE: _write,
        SYNCHRONIZE_CACHE: _synchronize_cache,
        REPORT_LUNS: _report_luns,
    }
