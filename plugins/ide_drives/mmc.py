"""What a CD-ROM drive answers to packet commands, as bytes (SFF-8090i, the MMC commands; SPC-2 for INQUIRY).

A disc here is one track of data in one session, of `blocks` blocks of 2048 bytes.
"""

from __future__ import annotations

BLOCK = 2048
RAW_BLOCK = 2352
PREGAP = 150
"""Blocks before block 0: two seconds."""
LEAD_OUT = 0xAA
DATA_TRACK = 0x14
"""ADR 1 (position), CONTROL 4 (data)."""

NO_PROFILE, CD_ROM, DVD_ROM = 0x0000, 0x0008, 0x0010
CD_BLOCKS = 80 * 60 * 75
"""Blocks of the largest CD; a larger image is a DVD."""

MEDIA_CLASS = 0x10
"""The notification class bit of media events."""

ERROR_RECOVERY_PAGE, CD_PAGE, CAPABILITIES_PAGE, ALL_PAGES = 0x01, 0x0D, 0x2A, 0x3F


def msf(block: int) -> bytes:
    """Minute, second and frame of a block."""
    seconds, frame = divmod(block + PREGAP, 75)
    return bytes([seconds // 60 & 0xFF, seconds % 60, frame])


def _place(block: int, as_msf: bool) -> bytes:
    return b"\0" + msf(block) if as_msf else block.to_bytes(4, "big")


def _sized(body: bytes) -> bytes:
    """`body` behind its length in two bytes."""
    return len(body).to_bytes(2, "big") + body


def toc(blocks: int, first_track: int, as_msf: bool) -> bytes | None:
    """READ TOC, format 0: track 1 and the lead-out. None if `first_track` isn't there."""
    if first_track > 1 and first_track != LEAD_OUT:
        return None
    tracks = [(1, 0)] if first_track <= 1 else []
    entries = b"".join(
        bytes([0, DATA_TRACK, track, 0]) + _place(block, as_msf) for track, block in [*tracks, (LEAD_OUT, blocks)]
    )
    return _sized(bytes([1, 1]) + entries)


def sessions(as_msf: bool) -> bytes:
    """READ TOC, format 1: the last session's first track."""
    return _sized(bytes([1, 1, 0, DATA_TRACK, 1, 0]) + _place(0, as_msf))


def raw_toc(blocks: int) -> bytes:
    """READ TOC, format 2: the lead-in's points A0h (first track), A1h (last track), A2h (lead-out), and track 1."""
    points = [(0xA0, bytes([1, 0, 0])), (0xA1, bytes([1, 0, 0])), (0xA2, msf(blocks)), (1, msf(0))]
    entries = b"".join(bytes([1, DATA_TRACK, 0, point, 0, 0, 0, 0]) + place for point, place in points)
    return _sized(bytes([1, 1]) + entries)


def inquiry(model: str, revision: str) -> bytes:
    """INQUIRY: a removable CD-ROM drive. `model` is the vendor, a blank, and the product."""
    vendor, _, product = model.partition(" ")
    names = vendor[:8].ljust(8) + product[:16].ljust(16) + revision[:4].ljust(4)
    return bytes([0x05, 0x80, 0x00, 0x21, 31, 0, 0, 0]) + names.encode("ascii", "replace")


def sense(key: int, code: int, qualifier: int) -> bytes:
    """REQUEST SENSE: current, fixed format."""
    return bytes([0x70, 0, key, 0, 0, 0, 0, 10, 0, 0, 0, 0, code, qualifier, 0, 0, 0, 0])


def mode_pages(page: int, locked: bool) -> bytes | None:
    """The mode pages asked for, or None if there is no such page."""
    capabilities = bytes(
        [
            CAPABILITIES_PAGE,
            20,
            *(0x3B, 0x00),  # reads CD-R, CD-RW, DVD-ROM, DVD-R; writes none
            0x70,  # mode 2 form 1 and 2, multisession
            0x00,
            0x29 | locked << 1,  # tray; ejects; locks
            0x00,
            *(0x2C, 0x22),  # 64 times
            *(0x00, 0x02),
            *(0x02, 0x00),  # 512 KiB of buffer
            *(0x2C, 0x22),
            *(0, 0, 0, 0, 0, 0),
        ]
    )
    pages = {
        ERROR_RECOVERY_PAGE: bytes([ERROR_RECOVERY_PAGE, 6, 0, 5, 0, 0, 0, 0]),
        CD_PAGE: bytes([CD_PAGE, 6, 0, 1, 0, 60, 0, 75]),
        CAPABILITIES_PAGE: capabilities,
    }
    if page == ALL_PAGES:
        return b"".join(pages.values())
    return pages.get(page)


def mode_sense(pages: bytes, medium_type: int, short: bool) -> bytes:
    """MODE SENSE(10)'s answer, or MODE SENSE(6)'s if `short`."""
    if short:
        return bytes([3 + len(pages), medium_type, 0, 0]) + pages
    return _sized(bytes([medium_type, 0, 0, 0, 0, 0]) + pages)


def medium_type(blocks: int | None, tray_open: bool) -> int:
    """MODE SENSE's word for a data disc, an empty drive, or an open one."""
    if blocks is None:
        return 0x71 if tray_open else 0x70
    return 0x01


def profile(blocks: int | None) -> int:
    """The current profile for a disc of `blocks`, or for none."""
    if blocks is None:
        return NO_PROFILE
    return CD_ROM if blocks <= CD_BLOCKS else DVD_ROM


def _feature(code: int, current: bool, data: bytes, version: int = 0) -> bytes:
    return code.to_bytes(2, "big") + bytes([version << 2 | 2 | current, len(data)]) + data


def configuration(blocks: int | None, kind: int, first: int) -> bytes:
    """GET CONFIGURATION: features from number `first` on; of `kind` 0: all, 1: the current, 2: just `first`."""
    current = profile(blocks)
    profiles = b"".join(number.to_bytes(2, "big") + bytes([number == current, 0]) for number in (DVD_ROM, CD_ROM))
    present = blocks is not None
    features = [
        (0x0000, True, profiles, 0),
        (0x0001, True, bytes([0, 0, 0, 2, 1, 0, 0, 0]), 2),  # core: ATAPI, device busy events
        (0x0002, True, bytes([2, 0, 0, 0]), 1),  # morphing: reports operational changes
        (0x0003, True, bytes([0x29, 0, 0, 0]), 0),  # removable medium: tray
        (0x0010, present, BLOCK.to_bytes(4, "big") + bytes([0, 1, 0, 0]), 0),  # random readable
        (0x001E, current == CD_ROM, bytes([0, 0, 0, 0]), 2),  # CD read
        (0x001F, current == DVD_ROM, bytes([0, 0, 0, 0]), 1),  # DVD read
    ]
    wanted = b"".join(
        _feature(code, is_current, data, version)
        for code, is_current, data, version in features
        if (code == first if kind == 2 else code >= first) and (is_current or kind != 1)
    )
    body = bytes([0, 0]) + current.to_bytes(2, "big") + wanted
    return len(body).to_bytes(4, "big") + body


def event_status(requested: int, event: int, present: bool, tray_open: bool) -> bytes:
    """GET EVENT STATUS NOTIFICATION, of the one class that there is: media."""
    if not requested & MEDIA_CLASS:
        return bytes([0, 2, 0x80, MEDIA_CLASS])
    return bytes([0, 6, 4, MEDIA_CLASS, event, present << 1 | tray_open, 0, 0])


def disc_information() -> bytes:
    """READ DISC INFORMATION: complete, one session, one track."""
    data = bytearray(34)
    data[0:2] = (32).to_bytes(2, "big")
    data[2] = 0x0E  # last session and disc complete
    data[3:7] = bytes([1, 1, 1, 1])
    data[7] = 0x20  # unrestricted use
    data[16:24] = b"\xff" * 8  # no lead-in or lead-out to add
    return bytes(data)


def mechanism_status(tray_open: bool) -> bytes:
    """MECHANISM STATUS: no changer."""
    return bytes([0, tray_open << 4, 0, 0, 0, 1, 0, 0])


def raw_blocks(first: int, data: bytes) -> bytes:
    """READ CD's whole blocks of 2352 bytes: sync, header, the 2048 of `data`; the error correction is left zero."""
    sync = b"\0" + b"\xff" * 10 + b"\0"
    correction = bytes(RAW_BLOCK - BLOCK - 16)
    parts = []
    for index in range(len(data) // BLOCK):
        minute, second, frame = (number // 10 << 4 | number % 10 for number in msf(first + index))
        header = bytes([minute & 0xFF, second, frame, 1])
        parts += [sync, header, data[index * BLOCK : (index + 1) * BLOCK], correction]
    return b"".join(parts)
