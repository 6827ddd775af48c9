"""The usual formats of floppy disks (ECMA-66 to ECMA-125; IBM's PC BIOS), by the size of their images."""

from __future__ import annotations

from typing import NamedTuple

SECTOR = 512
SIZE_CODE = 2
"""N: sectors of 512 bytes."""
KBPS_500, KBPS_300, KBPS_250, KBPS_1000 = range(4)
"""DRATE SEL's codes."""

DRIVE_TYPES = {"120": 2, "144": 4, "288": 5}
"""Drives, in QEMU's words, and IBM's number of each: 5.25" of 1.2 MB; 3.5" of 1.44 and 2.88 MB."""


class Format(NamedTuple):
    """`sectors` of a track; `rates` at which it can be read; `drive` that it is usual in."""

    tracks: int
    heads: int
    sectors: int
    rates: tuple[int, ...]
    drive: str

    @property
    def size(self) -> int:
        """Of an image, in bytes."""
        return self.tracks * self.heads * self.sectors * SECTOR

    def place(self, track: int, head: int, sector: int) -> int | None:
        """Where a sector (from 1 on) is in an image, in bytes; None: there is no such."""
        if track >= self.tracks or head >= self.heads or not 1 <= sector <= self.sectors:
            return None
        return ((track * self.heads + head) * self.sectors + sector - 1) * SECTOR


_DOUBLE_5 = (KBPS_300, KBPS_250)
"""A drive of 1.2 MB turns a disk of 360 KB faster than it was written."""

FORMATS = (
    *(Format(40, heads, sectors, _DOUBLE_5, "120") for heads in (1, 2) for sectors in (8, 9)),
    Format(80, 2, 15, (KBPS_500, KBPS_300), "120"),
    *(Format(80, 2, sectors, (KBPS_250,), "144") for sectors in (8, 9, 10)),
    Format(82, 2, 10, (KBPS_250,), "144"),
    Format(80, 2, 18, (KBPS_500,), "144"),
    *(Format(tracks, 2, sectors, (KBPS_500,), "144") for sectors in (20, 21) for tracks in (80, 82, 83)),
    *(Format(80, 2, sectors, (KBPS_500,), "144") for sectors in (22, 23, 24)),
    *(Format(80, 2, sectors, (KBPS_1000,), "288") for sectors in (36, 39, 40, 44, 48)),
)
USUAL = {"120": Format(80, 2, 15, (KBPS_500, KBPS_300), "120"), "144": Format(80, 2, 18, (KBPS_500,), "144")}
USUAL["288"] = Format(80, 2, 36, (KBPS_1000,), "288")
LARGEST = max(each.size for each in FORMATS)


def format_of(size: int, drive: str) -> Format:
    """The format of an image of `size` bytes; one that no format has is the beginning of the drive's usual one."""
    known = [each for each in FORMATS if each.size == size]
    return next((each for each in known if each.drive == drive), known[0] if known else USUAL[drive])
