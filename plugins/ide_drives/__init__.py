"""Drives for an IDE cable: an ATA hard disk and an ATAPI CD-ROM drive; see README.md."""

from .cdrom import IdeCdrom
from .disk import IdeDisk

__all__ = ["IdeCdrom", "IdeDisk"]
