"""The packet commands of a CD-ROM drive (SFF-8090i, the MMC commands; SPC-2 for the general ones)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from . import mmc
from .identify import FIRMWARE_REVISION

if TYPE_CHECKING:
    from .cdrom import IdeCdrom

UNIT_ATTENTION = 0x06_0000
NO_MEDIUM = 0x02_3A00
READ_ERROR = 0x03_1100
UNKNOWN_COMMAND = 0x05_2000
OUT_OF_RANGE = 0x05_2100
WRONG_FIELD = 0x05_2400
SAVING_UNSUPPORTED = 0x05_3900
REMOVAL_PREVENTED = 0x05_5302
"""Sense key, code (8 bits), qualifier (8 bits)."""

MEDIUM_CHANGED, RESET_OCCURRED = 0x2800, 0x2900
"""Unit attention's code and qualifier."""

NEW_MEDIA, MEDIA_REMOVAL = 2, 3
"""Media events."""

REQUEST_SENSE, INQUIRY, GET_CONFIGURATION, GET_EVENT_STATUS = 0x03, 0x12, 0x46, 0x4A
IN_SPITE_OF_ATTENTION = (REQUEST_SENSE, INQUIRY, GET_CONFIGURATION, GET_EVENT_STATUS)


def execute(drive: IdeCdrom, packet: bytes) -> None:
    """Does what `packet`, of 12 bytes, says; ends in the drive's completing, checking or beginning to move data."""
    code = packet[0]
    if drive.attention and code not in IN_SPITE_OF_ATTENTION:
        attention, drive.attention = drive.attention, 0
        drive.check(UNIT_ATTENTION | attention)
        return
    if code != REQUEST_SENSE:
        drive.sense = 0
    command = COMMANDS.get(code)
    if command is None:
        drive.check(UNKNOWN_COMMAND)
    else:
        command(drive, packet)


def _word(packet: bytes, at: int) -> int:
    return int.from_bytes(packet[at : at + 2], "big")


def _long(packet: bytes, at: int) -> int:
    return int.from_bytes(packet[at : at + 4], "big")


def _test_unit_ready(drive: IdeCdrom, packet: bytes) -> None:
    if drive.blocks is None:
        drive.check(NO_MEDIUM)
    else:
        drive.complete()


def _request_sense(drive: IdeCdrom, packet: bytes) -> None:
    sense = drive.sense
    if not sense and drive.attention:
        sense, drive.attention = UNIT_ATTENTION | drive.attention, 0
    drive.sense = 0
    drive.respond(mmc.sense(sense >> 16, sense >> 8 & 0xFF, sense & 0xFF), packet[4])


def _inquiry(drive: IdeCdrom, packet: bytes) -> None:
    if packet[1] & 1 or packet[2]:
        drive.check(WRONG_FIELD)
    else:
        drive.respond(mmc.inquiry(drive.model, FIRMWARE_REVISION), _word(packet, 3))


def _start_stop(drive: IdeCdrom, packet: bytes) -> None:
    if packet[4] & 2:
        opened = not packet[4] & 1
        if opened and drive.locked:
            drive.check(REMOVAL_PREVENTED)
            return
        drive.move_tray(opened)
    drive.complete()


def _prevent_removal(drive: IdeCdrom, packet: bytes) -> None:
    drive.locked = bool(packet[4] & 1)
    drive.complete()


def _read_capacity(drive: IdeCdrom, packet: bytes) -> None:
    blocks = drive.blocks
    if blocks is None:
        drive.check(NO_MEDIUM)
    else:
        last = min(max(blocks - 1, 0), 0xFFFF_FFFF)
        drive.respond(last.to_bytes(4, "big") + mmc.BLOCK.to_bytes(4, "big"), 8)


def _read_10(drive: IdeCdrom, packet: bytes) -> None:
    _read(drive, _long(packet, 2), _word(packet, 7))


def _read_12(drive: IdeCdrom, packet: bytes) -> None:
    _read(drive, _long(packet, 2), _long(packet, 6))


def _read(drive: IdeCdrom, first: int, count: int) -> None:
    if count:
        drive.read_blocks(first, count)
    else:
        _seek_to(drive, first)


def _seek(drive: IdeCdrom, packet: bytes) -> None:
    _seek_to(drive, _long(packet, 2))


def _seek_to(drive: IdeCdrom, block: int) -> None:
    blocks = drive.blocks
    if blocks is None:
        drive.check(NO_MEDIUM)
    elif block >= blocks:
        drive.check(OUT_OF_RANGE)
    else:
        drive.complete()


def _read_cd(drive: IdeCdrom, packet: bytes) -> None:
    """READ CD of whole blocks or of their user data, which are the two things that are asked for in practice."""
    first, count, parts = _long(packet, 2), int.from_bytes(packet[6:9], "big"), packet[9] & 0xF8
    if packet[1] >> 2 & 7 not in (0, 2) or packet[10] & 7:
        drive.check(WRONG_FIELD)
    elif not count or not parts:
        _seek_to(drive, first)
    elif parts in (0x10, 0xF8):
        drive.read_blocks(first, count, raw=parts == 0xF8)
    else:
        drive.check(WRONG_FIELD)


def _read_toc(drive: IdeCdrom, packet: bytes) -> None:
    blocks = drive.blocks
    if blocks is None:
        drive.check(NO_MEDIUM)
        return
    as_msf = bool(packet[1] & 2)
    form = packet[2] & 0xF or packet[9] >> 6
    if form == 0:
        answer = mmc.toc(blocks, packet[6], as_msf)
    elif form == 1:
        answer = mmc.sessions(as_msf)
    else:
        answer = mmc.raw_toc(blocks) if form == 2 else None
    if answer is None:
        drive.check(WRONG_FIELD)
    else:
        drive.respond(answer, _word(packet, 7))


def _mode_sense_6(drive: IdeCdrom, packet: bytes) -> None:
    _mode_sense(drive, packet, packet[4], short=True)


def _mode_sense_10(drive: IdeCdrom, packet: bytes) -> None:
    _mode_sense(drive, packet, _word(packet, 7), short=False)


def _mode_sense(drive: IdeCdrom, packet: bytes, allocation: int, short: bool) -> None:
    pages = mmc.mode_pages(packet[2] & 0x3F, drive.locked)
    if packet[2] >> 6 == 3:
        drive.check(SAVING_UNSUPPORTED)
    elif pages is None:
        drive.check(WRONG_FIELD)
    else:
        drive.respond(mmc.mode_sense(pages, mmc.medium_type(drive.blocks, drive.tray_open), short), allocation)


def _get_configuration(drive: IdeCdrom, packet: bytes) -> None:
    kind = packet[1] & 3
    if kind == 3:
        drive.check(WRONG_FIELD)
    else:
        drive.respond(mmc.configuration(drive.blocks, kind, _word(packet, 2)), _word(packet, 7))


def _get_event_status(drive: IdeCdrom, packet: bytes) -> None:
    if not packet[1] & 1:  # not polled: it would have to wait for an event
        drive.check(WRONG_FIELD)
        return
    answer = mmc.event_status(packet[4], drive.event, drive.queue is not None and not drive.tray_open, drive.tray_open)
    if packet[4] & mmc.MEDIA_CLASS and _word(packet, 7) > 4:
        drive.event = 0
    drive.respond(answer, _word(packet, 7))


def _mechanism_status(drive: IdeCdrom, packet: bytes) -> None:
    drive.respond(mmc.mechanism_status(drive.tray_open), _word(packet, 8))


def _read_disc_information(drive: IdeCdrom, packet: bytes) -> None:
    if drive.blocks is None:
        drive.check(NO_MEDIUM)
    elif packet[1] & 7:
        drive.check(WRONG_FIELD)
    else:
        drive.respond(mmc.disc_information(), _word(packet, 7))


COMMANDS: Mapping[int, Callable[[IdeCdrom, bytes], None]] = {
    0x00: _test_unit_ready,
    REQUEST_SENSE: _request_sense,
    INQUIRY: _inquiry,
    0x1A: _mode_sense_6,
    0x1B: _start_stop,
    0x1E: _prevent_removal,
    0x25: _read_capacity,
    0x28: _read_10,
    0x2B: _seek,
    0x43: _read_toc,
    GET_CONFIGURATION: _get_configuration,
    GET_EVENT_STATUS: _get_event_status,
    0x51: _read_disc_information,
    0x5A: _mode_sense_10,
    0xA8: _read_12,
    0xBD: _mechanism_status,
    0xBE: _read_cd,
}
