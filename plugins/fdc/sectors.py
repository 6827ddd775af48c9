"""Which sectors a command is about, and what comes behind the last one (datasheet, tables 5-6 to 5-10)."""

from __future__ import annotations

from typing import NamedTuple

from .formats import SECTOR, SIZE_CODE, Format

MULTI_TRACK = 0x80


class Sector(NamedTuple):
    """`place` is where it is in the image, in bytes."""

    head: int
    sector: int
    place: int


def sectors_of(form: Format, track: int, head: int, first: int, last: int, *, both: bool) -> list[Sector]:
    """From `first` to `last`, or to the track's end, and with `both` the same on the other side from 1 on."""
    found = _of_track(form, track, head, first, last)
    if both and head == 0 and found and last <= form.sectors:
        found += _of_track(form, track, 1, 1, last)
    return found


def _of_track(form: Format, track: int, head: int, first: int, last: int) -> list[Sector]:
    if last < first:  # it never meets its last sector
        last = form.sectors
    sectors = range(first, min(last, form.sectors) + 1)
    places = ((sector, form.place(track, head, sector)) for sector in sectors)
    return [Sector(head, sector, place) for sector, place in places if place is not None]


def follows(sector: Sector, track: int, command: bytes) -> bytes:
    """C, H, R and N of the result, after the command got through `sector`."""
    head, number = sector.head, sector.sector + 1
    if sector.sector == command[6]:
        number = 1
        if not command[0] & MULTI_TRACK:
            track += 1
        elif head:
            head, track = 0, track + 1
        else:
            head = 1
    return bytes([track & 0xFF, head, number & 0xFF, SIZE_CODE])


def runs(sectors: list[Sector], data: bytes) -> list[tuple[int, bytes]]:
    """`data`, which is whole sectors, cut where neighbours in `sectors` aren't neighbours in the image."""
    found: list[tuple[int, bytes]] = []
    for number, sector in enumerate(sectors[: len(data) // SECTOR]):
        piece = data[number * SECTOR : (number + 1) * SECTOR]
        if found and found[-1][0] + len(found[-1][1]) == sector.place:
            found[-1] = (found[-1][0], found[-1][1] + piece)
        else:
            found.append((sector.place, piece))
    return found
