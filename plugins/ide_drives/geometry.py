"""Cylinders, heads and sectors (ATA/ATAPI-5, section 6.2, the last one that describes them)."""

from __future__ import annotations

DEFAULT_HEADS = 16
DEFAULT_SECTORS = 63
MOST_CYLINDERS = 16383


def cylinders(total: int, heads: int, sectors: int) -> int:
    """How many cylinders a disk of `total` sectors has under this translation; at least one."""
    return max(1, min(total // (heads * sectors), MOST_CYLINDERS))


def to_lba(cylinder: int, head: int, sector: int, heads: int, sectors: int) -> int | None:
    """The logical block, or None if there is no such place. Sectors count from 1."""
    if head >= heads or not 1 <= sector <= sectors:
        return None
    return (cylinder * heads + head) * sectors + sector - 1


def from_lba(lba: int, heads: int, sectors: int) -> tuple[int, int, int]:
    """Cylinder, head and sector of a logical block."""
    return lba // (heads * sectors), lba // sectors % heads, lba % sectors + 1
