"""The commands (datasheet, section 5), but for those that move data."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, NamedTuple

from .formats import SIZE_CODE

if TYPE_CHECKING:
    from .device import Fdc
    from .drive import FloppyDrive

INVALID = 0x80
SEEK_END, ABNORMAL, EQUIPMENT_CHECK = 0x20, 0x40, 0x10
"""ST0."""
MISSING_ADDRESS, NO_DATA, NOT_WRITABLE, DATA_ERROR, END_OF_CYLINDER = 0x01, 0x04, 0x02, 0x20, 0x80
"""ST1."""
VERSION = 0x90
"""Of a controller with enhanced commands."""
IMPLIED_SEEK = 0x40
"""CONFIGURE's EIS."""
STEPS = 80
"""How far RECALIBRATE steps out at most."""
MFM = 0x40


class Command(NamedTuple):
    """`length` counts the bytes of the command, its code included; `mask` are the bits of it that are the code."""

    code: int
    mask: int
    length: int
    run: Callable[[Fdc, bytes], None]


def find_command(code: int) -> Command | None:
    """The command that begins with `code`."""
    return next((command for command in COMMANDS if code & command.mask == command.code), None)


def readable(fdc: Fdc, drive: FloppyDrive | None, code: int) -> bool:
    """Whether anything can be found on the drive's disk, as the command and the data rate are."""
    if drive is None or drive.format is None or not code & MFM:
        return False
    return not fdc.check_media_rate or fdc.rate in drive.format.rates


# --- moving heads ------------------------------------------------------------------------------------------------


def _seek_done(fdc: Fdc, unit: int, head: int, problem: int = 0) -> None:
    fdc.pending = [status for status in fdc.pending if status & 3 != unit]
    fdc.pending.append(SEEK_END | problem | head << 2 | unit)
    fdc.raise_interrupt()


def _recalibrate(fdc: Fdc, command: bytes) -> None:
    unit = command[1] & 3
    drive = fdc.drive(unit)
    fdc.cylinders[unit] = 0
    if drive is None:
        _seek_done(fdc, unit, 0, ABNORMAL | EQUIPMENT_CHECK)
        return
    drive.step_to(drive.track - STEPS)
    _seek_done(fdc, unit, 0, 0 if drive.track == 0 else ABNORMAL | EQUIPMENT_CHECK)


def _move(fdc: Fdc, command: bytes, track: int, steps: int) -> None:
    unit, head = command[1] & 3, command[1] >> 2 & 1
    fdc.cylinders[unit] = track
    drive = fdc.drive(unit)
    if drive is not None:
        drive.step_to(drive.track + steps)
    _seek_done(fdc, unit, head)


def _seek(fdc: Fdc, command: bytes) -> None:
    _move(fdc, command, command[2], command[2] - fdc.cylinders[command[1] & 3])


def _relative_seek(fdc: Fdc, command: bytes) -> None:
    steps = command[2] if command[0] & 0x40 else -command[2]
    _move(fdc, command, fdc.cylinders[command[1] & 3] + steps & 0xFF, steps)


def seek_as_implied(fdc: Fdc, drive: FloppyDrive, cylinder: int) -> None:
    """With EIS set, a command that moves data finds its cylinder itself."""
    if fdc.configuration[0] & IMPLIED_SEEK:
        drive.step_to(drive.track + cylinder - fdc.cylinders[drive.number])
        fdc.cylinders[drive.number] = cylinder


# --- status ------------------------------------------------------------------------------------------------------


def _sense_interrupt(fdc: Fdc, command: bytes) -> None:
    fdc.lower_interrupt()
    if not fdc.pending:
        fdc.finish(bytes([INVALID]))
        return
    status = fdc.pending.pop(0)
    fdc.finish(bytes([status, fdc.cylinders[status & 3]]))


def _sense_drive(fdc: Fdc, command: bytes) -> None:
    drive = fdc.drive(command[1])
    status = command[1] & 7 | 0x28  # RY and TS are not wired
    if drive is not None:
        status |= (0x10 if drive.track == 0 else 0) | (0x40 if drive.protected else 0)
    fdc.finish(bytes([status]))


def _read_id(fdc: Fdc, command: bytes) -> None:
    head = command[1] >> 2 & 1
    drive = fdc.drive(command[1])
    fdc.raise_interrupt()
    place = bytes([fdc.cylinders[command[1] & 3], head, 1, SIZE_CODE])
    if drive is None or drive.format is None or not _has_track(fdc, drive, command[0], head):
        fdc.finish(bytes([ABNORMAL | command[1] & 7, MISSING_ADDRESS, 0]) + place)
        return
    sector = drive.rotation % drive.format.sectors + 1
    drive.rotation = sector
    fdc.finish(bytes([command[1] & 7, 0, 0, drive.track, head, sector, SIZE_CODE]))


def _has_track(fdc: Fdc, drive: FloppyDrive, code: int, head: int) -> bool:
    assert drive.format is not None
    return readable(fdc, drive, code) and drive.format.place(drive.track, head, 1) is not None


def _dump_registers(fdc: Fdc, command: bytes) -> None:
    flags = (0x80 if fdc.lock else 0) | fdc.perpendicular & 0x7F
    fdc.finish(bytes([*fdc.cylinders, *fdc.timing, fdc.last_sector, flags, *fdc.configuration]))


def _version(fdc: Fdc, command: bytes) -> None:
    fdc.finish(bytes([VERSION]))


# --- settings ----------------------------------------------------------------------------------------------------


def _specify(fdc: Fdc, command: bytes) -> None:
    fdc.timing = command[1:3]
    fdc.finish(b"")


def _configure(fdc: Fdc, command: bytes) -> None:
    fdc.configuration = bytes([command[2] & 0x7F, command[3]])
    fdc.finish(b"")


def _lock(fdc: Fdc, command: bytes) -> None:
    fdc.lock = bool(command[0] & 0x80)
    fdc.finish(bytes([0x10 if fdc.lock else 0]))


def _perpendicular(fdc: Fdc, command: bytes) -> None:
    keep = 0 if command[1] & 0x80 else fdc.perpendicular & 0x3C  # OW: the drives' bits are written
    fdc.perpendicular = keep | command[1] & (0x3F if command[1] & 0x80 else 0x03)
    fdc.finish(b"")


def _data(kind: str) -> Callable[[Fdc, bytes], None]:
    return lambda fdc, command: fdc.transfer.begin(kind, command)


COMMANDS = (
    Command(0x06, 0x1F, 9, _data("read")),
    Command(0x0C, 0x1F, 9, _data("read-deleted")),
    Command(0x02, 0x9F, 9, _data("read-track")),
    Command(0x05, 0x3F, 9, _data("write")),
    Command(0x09, 0x3F, 9, _data("write")),
    Command(0x16, 0x1F, 9, _data("verify")),
    Command(0x11, 0x1F, 9, _data("scan-equal")),
    Command(0x19, 0x1F, 9, _data("scan-low-or-equal")),
    Command(0x1D, 0x1F, 9, _data("scan-high-or-equal")),
    Command(0x0D, 0xBF, 6, _data("format")),
    Command(0x07, 0xFF, 2, _recalibrate),
    Command(0x08, 0xFF, 1, _sense_interrupt),
    Command(0x03, 0xFF, 3, _specify),
    Command(0x04, 0xFF, 2, _sense_drive),
    Command(0x0F, 0xFF, 3, _seek),
    Command(0x8F, 0xBF, 3, _relative_seek),
    Command(0x13, 0xFF, 4, _configure),
    Command(0x10, 0xFF, 1, _version),
    Command(0x0E, 0xFF, 1, _dump_registers),
    Command(0x0A, 0xBF, 2, _read_id),
    Command(0x12, 0xFF, 2, _perpendicular),
    Command(0x14, 0x7F, 1, _lock),
)
