"""The commands that move data: READ and WRITE DATA, READ TRACK, VERIFY, SCAN, FORMAT TRACK (datasheet, section 5.1).

All sectors that a command may be about are read at once, and what the host gives is written at its end.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Literal

from southbridge.block import BlockError
from southbridge.component import Component, State

from .commands import (
    ABNORMAL,
    DATA_ERROR,
    END_OF_CYLINDER,
    MISSING_ADDRESS,
    NO_DATA,
    NOT_WRITABLE,
    readable,
    seek_as_implied,
)
from .formats import SECTOR, SIZE_CODE
from .sectors import Sector, follows, runs, sectors_of

if TYPE_CHECKING:
    from .device import Fdc
    from .drive import FloppyDrive

DIO, RQM, NON_DMA = 0x40, 0x80, 0x20
MULTI_TRACK = 0x80
WRONG_CYLINDER, DATA_ERROR_IN_DATA, NO_DELETED_MARK = 0x10, 0x20, 0x40
SCAN_EQUAL, SCAN_NOT_SATISFIED = 0x08, 0x04
"""ST2."""
ANYTHING = 0xFF
"""A byte that SCAN takes for equal to any."""
MOST = 1 << 16
ENABLE_COUNT = 0x80
"""VERIFY's EC, in its second byte."""

GIVING = ("read", "read-deleted", "read-track", "verify")
Stage = Literal["idle", "fetch", "give", "take", "store", "compare"]


class Transfer(Component):
    """A command that moves data, from its first byte to its result. Also the client of the DMA channel."""

    device: Fdc

    kind: str = State("", max_length=20)
    command: bytes = State(b"", max_length=9)
    stage: Stage = State("idle", doc="Waiting for the image (fetch, store, compare), or for the host.")
    data: bytes = State(b"", max_length=MOST, doc="What the host gets, or has given.")
    position: int = State(0, ge=0, le=MOST, doc="How much of it the host has had.")
    terminated: bool = State(False, doc="The DMA controller's TC came.")

    _ticket = 0

    # --- beginning -----------------------------------------------------------------------------------------------

    def begin(self, kind: str, command: bytes) -> None:
        """Starts a command, or ends it at once if it can't be done."""
        fdc = self.device
        self.kind, self.command = kind, command
        self.data, self.position, self.terminated = b"", 0, False
        fdc.phase = "execution"
        drive = fdc.drive(command[1])
        fdc.last_sector = command[3 if kind == "format" else 6]
        if (
            drive is None
            or drive.format is None
            or not readable(fdc, drive, command[0] | (0x40 if kind == "format" else 0))
        ):
            self._end(ABNORMAL, MISSING_ADDRESS)
            return
        if kind in ("write", "format") and drive.protected:
            self._end(ABNORMAL, NOT_WRITABLE)
            return
        if kind == "format":
            self._begin_format(drive)
            return
        seek_as_implied(fdc, drive, command[2])
        if command[2] != drive.track:
            self._end(ABNORMAL, NO_DATA, WRONG_CYLINDER)
        elif not self._sectors(drive) or command[5] != SIZE_CODE:
            self._end(ABNORMAL, NO_DATA)
        elif kind == "read-deleted":
            self._end(ABNORMAL, NO_DATA, NO_DELETED_MARK)  # images don't tell deleted sectors from others
        elif kind in GIVING:
            self._fetch(drive)
        else:
            self._take()

    def _begin_format(self, drive: FloppyDrive) -> None:
        if self.command[2] != SIZE_CODE or not self.command[3]:
            self._end(ABNORMAL, NO_DATA)
        else:
            self._take()

    def _sectors(self, drive: FloppyDrive) -> list[Sector]:
        """Those that the command is about, until the DMA controller says that it is enough."""
        assert drive.format is not None
        command = self.command
        head, first, last = command[1] >> 2 & 1, command[4], command[6]
        if command[3] != head:
            return []
        if self.kind == "read-track":
            first = 1
        if self.kind == "verify" and command[1] & ENABLE_COUNT:
            last = first + command[8] - 1
        both = bool(command[0] & MULTI_TRACK) and self.kind != "read-track"
        return sectors_of(drive.format, drive.track, head, first, last, both=both)

    @property
    def _length(self) -> int:
        """How many bytes it may be about in all."""
        if self.kind == "format":
            return 4 * self.command[3]
        drive = self.device.drive(self.command[1])
        return SECTOR * len(self._sectors(drive)) if drive is not None and drive.format is not None else 0

    # --- to the host ---------------------------------------------------------------------------------------------

    def _fetch(self, drive: FloppyDrive) -> None:
        """Reads all that may be wanted."""
        self.stage = "fetch"
        sectors = self._sectors(drive)
        start, end = sectors[0].place, sectors[-1].place + SECTOR
        drive.read(start, end - start, partial(self._fetched, self._ticket, drive, sectors))

    def _fetched(
        self, ticket: int, drive: FloppyDrive, sectors: list[Sector], data: bytes | None, error: BlockError | None
    ) -> None:
        if ticket != self._ticket:
            return
        if data is None:
            self._fetch_one(ticket, drive, sectors, b"")
            return
        start = sectors[0].place
        self._give(b"".join(data[each.place - start : each.place - start + SECTOR] for each in sectors))

    def _fetch_one(self, ticket: int, drive: FloppyDrive, sectors: list[Sector], before: bytes) -> None:
        """Goes on sector by sector, to give the host what can be read and find what can't."""

        def done(data: bytes | None, error: BlockError | None) -> None:
            if ticket != self._ticket:
                return
            if data is None or len(before) + SECTOR == SECTOR * len(sectors):
                self._give(before + (data or b""))
            else:
                self._fetch_one(ticket, drive, sectors, before + data)

        drive.read(sectors[len(before) // SECTOR].place, SECTOR, done)

    def _give(self, data: bytes) -> None:
        """`data` is shorter than what the command is about if the sector behind it can't be read."""
        self.data = data
        if self.kind == "verify" or len(data) <= self.position:
            self.position = len(data)
            self._all_moved()
            return
        self.stage = "give"
        self._ask_host()

    def _ask_host(self) -> None:
        if self._by_dma:
            self.device.isa_dma.request(self.channel, True)
        else:
            self.device.raise_interrupt()

    @property
    def channel(self) -> int:
        """The DMA channel."""
        return 2

    @property
    def _by_dma(self) -> bool:
        return bool(self.device.DOR.DMAGATE) and not self.device.timing[1] & 1

    def status(self) -> int:
        """The main status register's bits while it executes."""
        if self._by_dma or self.stage not in ("give", "take"):
            return 0
        return RQM | NON_DMA | (DIO if self.stage == "give" else 0)

    def read_byte(self) -> int:
        """Without DMA: the next byte."""
        if self.stage != "give" or self._by_dma or self.position >= len(self.data):
            self.device.guest_error("FIFO read, with no data in it")
            return 0
        value = self.data[self.position]
        self.position += 1
        if self.position == len(self.data):
            self._all_moved()
        return value

    # --- from the host -------------------------------------------------------------------------------------------

    def _take(self) -> None:
        self.stage = "take"
        self._ask_host()

    def write_byte(self, value: int) -> None:
        """Without DMA: a byte from the host."""
        if self.stage != "take" or self._by_dma:
            self.device.guest_error("FIFO written, with no room for data in it")
            return
        self.dma_take(bytes([value]))
        if len(self.data) >= self._length:
            self._all_moved()

    # --- DMA -----------------------------------------------------------------------------------------------------

    def dma_give(self, length: int) -> bytes:
        """See DmaClient."""
        if self.stage != "give":
            return b""
        data = self.data[self.position : self.position + length]
        self.position += len(data)
        return data

    def dma_take(self, data: bytes) -> int:
        """See DmaClient."""
        if self.stage != "take":
            return 0
        taken = data[: self._length - len(self.data)]
        self.data += taken
        self.position = len(self.data)
        return len(taken)

    def dma_moved(self, last: bool) -> None:
        """See DmaClient."""
        done = self.position >= (len(self.data) if self.stage == "give" else self._length)
        if last or done:
            self.terminated = last
            self.device.isa_dma.request(self.channel, False)
            self._all_moved()

    # --- the end -------------------------------------------------------------------------------------------------

    def _all_moved(self) -> None:
        """The host has all that it wanted, or has given it."""
        drive = self.device.drive(self.command[1])
        if drive is None or drive.format is None:
            self._end(ABNORMAL, MISSING_ADDRESS)
        elif self.kind == "format":
            self._store_format(drive)
        elif self.kind == "write":
            self._store(drive, runs(self._sectors(drive), self._padded()))
        elif self.kind in GIVING:
            self._end_at(drive, -(-self.position // SECTOR), unreadable=self.position < self._length)
        else:
            self._compare(drive)

    def _padded(self) -> bytes:
        return self.data + bytes(-len(self.data) % SECTOR)

    def _store_format(self, drive: FloppyDrive) -> None:
        assert drive.format is not None
        head = self.command[1] >> 2 & 1
        sectors = []
        for at in range(0, len(self.data) - 3, 4):
            cylinder, of_head, sector, size = self.data[at : at + 4]
            place = drive.format.place(drive.track, head, sector)
            if place is None or (cylinder, of_head, size) != (drive.track, head, SIZE_CODE):
                self.guest_error(f"sector {cylinder}/{of_head}/{sector} of size {size} can't be on this image's track")
            else:
                sectors.append(Sector(head, sector, place))
        sectors = sorted(set(sectors), key=lambda each: each.place)
        self._store(drive, runs(sectors, bytes([self.command[5]]) * SECTOR * len(sectors)))

    def _store(self, drive: FloppyDrive, left: list[tuple[int, bytes]]) -> None:
        """Writes pieces of the image, one after the other."""
        if not left:
            self._stored(drive)
            return
        self.stage = "store"
        ticket = self._ticket

        def done(data: bytes | None, error: BlockError | None) -> None:
            if ticket != self._ticket:
                return
            if error is not None:
                self._end(ABNORMAL, DATA_ERROR)
            else:
                self._store(drive, left[1:])

        drive.write(*left[0], done)

    def _stored(self, drive: FloppyDrive) -> None:
        if self.kind == "format":
            self._end(0, 0)
        else:
            self._end_at(drive, -(-len(self.data) // SECTOR))

    def _compare(self, drive: FloppyDrive) -> None:
        """SCAN: the first sector of which each byte compares as it is to."""
        self.stage = "compare"
        sectors = self._sectors(drive)[: -(-len(self.data) // SECTOR)]
        step = 2 if self.command[8] == 2 else 1
        ticket = self._ticket
        if not sectors:
            self._end_at(drive, 0)
            return
        start, end = sectors[0].place, sectors[-1].place + SECTOR

        def done(data: bytes | None, error: BlockError | None) -> None:
            if ticket != self._ticket:
                return
            if data is None:
                self._end(ABNORMAL, DATA_ERROR, DATA_ERROR_IN_DATA)
                return
            for index in range(0, len(sectors), step):
                at = sectors[index].place - start
                wanted = self.data[index * SECTOR : (index + 1) * SECTOR]
                met, equal = _scan(self.kind, data[at : at + len(wanted)], wanted)
                if met:
                    self._end_at(drive, index + 1, SCAN_EQUAL if equal else 0, satisfied=True)
                    return
            self._end_at(drive, len(sectors), SCAN_NOT_SATISFIED, satisfied=True)

        drive.read(start, end - start, done)

    def _end_at(
        self, drive: FloppyDrive, moved: int, status2: int = 0, *, unreadable: bool = False, satisfied: bool = False
    ) -> None:
        """Ends a command that got through `moved` sectors. Without TC it looked for one more."""
        assert drive.format is not None
        sectors = self._sectors(drive)
        command = self.command
        if self.terminated or (self.kind == "verify" and not unreadable) or satisfied:
            place = follows(sectors[max(moved, 1) - 1], drive.track, command) if sectors else None
            self._end(0, 0, status2, place=place)
        elif unreadable:
            at = sectors[moved] if moved < len(sectors) else sectors[-1]
            place = bytes([drive.track, at.head, at.sector, SIZE_CODE])
            self._end(ABNORMAL, DATA_ERROR, DATA_ERROR_IN_DATA, place=place)
        else:
            beyond = sectors[-1].sector != command[6]
            place = follows(sectors[-1], drive.track, command)
            self._end(ABNORMAL, NO_DATA if beyond else END_OF_CYLINDER, place=place)

    def _end(self, status0: int, status1: int, status2: int = 0, *, place: bytes | None = None) -> None:
        """The result phase; `place` is where the head got to, else what the command said."""
        fdc = self.device
        command = self.command
        self.drop()
        head = command[1] & 4 if place is None else (place[1] & 1) << 2  # the current one
        if place is None:
            place = command[2:6] if self.kind != "format" else bytes([fdc.cylinders[command[1] & 3], 0, 1, command[2]])
        fdc.finish(bytes([status0 | head | command[1] & 3, status1, status2]) + place)
        fdc.raise_interrupt()

    def drop(self) -> None:
        """What was under way isn't any more; of what was asked of the image nobody hears."""
        self._ticket += 1
        self.stage = "idle"
        self.device.isa_dma.requests[self.channel] = False

    def resume(self) -> bool:
        """Goes on after the state was restored; False if that makes no sense.

        The image is asked first, whatever comes next: by then all other devices have been restored.
        """
        self._ticket += 1
        command = self.command
        drive = self.device.drive(command[1]) if len(command) == (6 if self.kind == "format" else 9) else None
        if drive is None or drive.format is None or (self.kind != "format" and not self._sectors(drive)):
            return False
        if self.stage == "fetch":
            self._fetch(drive)
        elif self.stage in ("store", "compare"):
            self._all_moved()
        elif self.stage in ("give", "take") and self.position <= max(len(self.data), self._length):
            drive.read(0, SECTOR, partial(self._resumed, self._ticket))
        else:
            return False
        return True

    def _resumed(self, ticket: int, data: bytes | None, error: BlockError | None) -> None:
        if ticket == self._ticket:
            self._ask_host()


def _scan(kind: str, disk: bytes, host: bytes) -> tuple[bool, bool]:
    """Whether a sector meets the condition of a SCAN, and whether it is equal. A byte of ones on either side is any."""
    pairs = [(mine, other) for mine, other in zip(disk, host, strict=True) if ANYTHING not in (mine, other)]
    equal = all(mine == other for mine, other in pairs)
    if kind == "scan-low-or-equal":
        return all(mine <= other for mine, other in pairs), equal
    if kind == "scan-high-or-equal":
        return all(mine >= other for mine, other in pairs), equal
    return equal, equal
