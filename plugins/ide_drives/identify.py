"""IDENTIFY DEVICE and IDENTIFY PACKET DEVICE (ATA/ATAPI-6, sections 8.15 and 8.16): what drives say of themselves."""

from __future__ import annotations

from typing import TYPE_CHECKING

from . import geometry
from .words import mode_bits, structure, text

if TYPE_CHECKING:
    from .cdrom import IdeCdrom
    from .disk import IdeDisk

FIRMWARE_REVISION = "1.0"
MOST_MULTIPLE = 16
"""Sectors of a READ MULTIPLE's block, at most."""
ATA_4_TO_6 = 0x0070
CYCLE_NS = 120
"""Of the fastest PIO and multiword DMA transfers."""

MULTIWORD, ULTRA = 0x20, 0x40
"""SET FEATURES' codes of the first mode of each kind."""


def supported_mode(value: int) -> bool:
    """Whether a drive takes SET FEATURES' transfer mode `value`: PIO to 4, multiword DMA to 2, Ultra DMA to 5."""
    return value in (0x00, 0x01, *range(0x08, 0x0D), *range(0x20, 0x23), *range(0x40, 0x46))


def _dma_words(transfer_mode: int) -> dict[int, int]:
    multiword = transfer_mode - MULTIWORD if MULTIWORD <= transfer_mode < ULTRA else None
    ultra = transfer_mode - ULTRA if transfer_mode >= ULTRA else None
    return {
        63: mode_bits(3, multiword),
        64: 0x0003,  # PIO modes 3 and 4
        65: CYCLE_NS,
        66: CYCLE_NS,
        67: CYCLE_NS,
        68: CYCLE_NS,
        88: mode_bits(6, ultra),
    }


def disk_words(disk: IdeDisk) -> bytes:
    """The 512 bytes of IDENTIFY DEVICE."""
    default = geometry.cylinders(disk.total, geometry.DEFAULT_HEADS, geometry.DEFAULT_SECTORS)
    cylinders = geometry.cylinders(disk.total, disk.heads, disk.sectors)
    multiple = 0x0100 | disk.multiple if disk.multiple else 0
    supported = 0x4000 | 0x0001 | 0x0008 | 0x0020 | 0x0040  # NOP, SMART, power, write cache, look-ahead
    enabled = 0x4000 | disk.smart_enabled | 0x0008 | disk.write_cache << 5 | disk.read_ahead << 6
    words = {
        0: 0x0040,  # ATA, not removable
        1: default,
        3: geometry.DEFAULT_HEADS,
        6: geometry.DEFAULT_SECTORS,
        47: 0x8000 | MOST_MULTIPLE,
        49: 0x0F00,  # IORDY, LBA, DMA
        50: 0x4000,
        51: 0x0200,
        53: 0x0007,
        54: cylinders,
        55: disk.heads,
        56: disk.sectors,
        57: cylinders * disk.heads * disk.sectors,
        59: multiple,
        60: min(disk.total, (1 << 28) - 1),
        80: ATA_4_TO_6,
        82: supported,
        83: 0x7400,  # 48-bit addresses, FLUSH CACHE and its extended form
        84: 0x4003,  # SMART error log and self-test
        85: enabled,
        86: 0x3400,
        87: 0x4003,
        93: 0x6001 if disk.number == 0 else 0x6100,
        100: disk.total,
    }
    texts = {10: text(disk.serial_number, 20), 23: text(FIRMWARE_REVISION, 8), 27: text(disk.model, 40)}
    return structure(words | _dma_words(disk.transfer_mode), texts)


def packet_words(drive: IdeCdrom) -> bytes:
    """The 512 bytes of IDENTIFY PACKET DEVICE."""
    words = {
        0: 0x85C0,  # ATAPI, CD-ROM, removable, DRQ within 50 us, packets of 12 bytes
        49: 0x0F00,
        50: 0x4000,
        51: 0x0200,
        53: 0x0006,
        71: 30,
        72: 30,
        80: ATA_4_TO_6,
        82: 0x4210,  # NOP, DEVICE RESET, packets
        83: 0x4000,
        84: 0x4000,
        85: 0x4210,
        87: 0x4000,
        93: 0x6001 if drive.number == 0 else 0x6100,
    }
    texts = {10: text(drive.serial_number, 20), 23: text(FIRMWARE_REVISION, 8), 27: text(drive.model, 40)}
    return structure(words | _dma_words(drive.transfer_mode), texts)
