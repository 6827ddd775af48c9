"""What a PC's setup program leaves in the clock's memory for the firmware: memory sizes, boot order, equipment.

The places are IBM's and, above 33h, those that QEMU's machines have and SeaBIOS reads.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from southbridge.board import MemoryRange
from southbridge.firmware_config import Geometry
from southbridge.units import GiB, KiB, MiB

RAM = 1
BOOT_DEVICES = {"a": 1, "c": 2, "d": 3, "n": 4}
"""Floppy, hard disk, CD-ROM, network: the letters that QEMU's users know, and their codes."""
EQUIPMENT_FPU, EQUIPMENT_MOUSE = 0x02, 0x04
EQUIPMENT_FLOPPIES = (0x00, 0x01, 0x41)
"""For no, one and two floppy drives."""
EXTENDED_TYPE, TYPE_47 = 0xF, 47
"""A disk's type in four bits, which says that eight more follow; and the type whose geometry follows."""
MORE_THAN_8_HEADS = 0x08
NO_RETRIES = 0xC0
LBA = 2
"""A BIOS's translation, of a disk whose own geometry INT 13h can't address: QEMU's codes less one; none is 0."""
LARGEST_CHS = Geometry(1024, 16, 63)

FLOPPY_TYPES = 0x10
DISK_TYPES = 0x12
EXTENDED_TYPES = (0x19, 0x1A)
GEOMETRIES = (0x1B, 0x24)
TRANSLATIONS = 0x39
EQUIPMENT = 0x14
BASE_MEMORY = 0x15
EXTENDED_MEMORY = (0x17, 0x30)
MEMORY_ABOVE_16_MIB = 0x34
MEMORY_ABOVE_4_GIB = 0x5B
MORE_CPUS = 0x5F
"""How many CPUs there are besides the first."""
BOOT_ORDER_THIRD = 0x38
NO_SIGNATURE_CHECK = 0x01
"""In the same byte: a floppy disk's boot sector needs no signature."""
BOOT_ORDER = 0x3D


def little_endian(number: int, size: int) -> bytes:
    """`number` in `size` bytes, or the largest that fits."""
    return min(number, (1 << 8 * size) - 1).to_bytes(size, "little")


def more_cpus(cpus: int) -> bytes:
    """What is at MORE_CPUS in a machine with so many."""
    return little_endian(cpus - 1, 1)


def boot_settings(order: str, *, check_floppies: bool) -> dict[int, bytes]:
    """The bytes that have up to three letters of BOOT_DEVICES."""
    first, second, third = ([BOOT_DEVICES[letter] for letter in order] + [0, 0, 0])[:3]
    return {
        BOOT_ORDER_THIRD: bytes([third << 4 | (0 if check_floppies else NO_SIGNATURE_CHECK)]),
        BOOT_ORDER: bytes([second << 4 | first]),
    }


def memory_settings(memory_map: Iterable[MemoryRange]) -> dict[int, bytes]:
    """The bytes that have the sizes of RAM as `memory_map` says."""
    ram = [part for part in memory_map if part.kind == RAM]
    base = max((part.start + part.size for part in ram if part.start < MiB), default=0)
    low = max((part.start + part.size for part in ram if part.start < 4 * GiB), default=0)
    high = sum(part.size for part in ram if part.start >= 4 * GiB)
    extended = little_endian(max(low - MiB, 0) // KiB, 2)
    return {
        BASE_MEMORY: little_endian(min(base, 640 * KiB) // KiB, 2),
        **dict.fromkeys(EXTENDED_MEMORY, extended),
        MEMORY_ABOVE_16_MIB: little_endian(max(low - 16 * MiB, 0) // (64 * KiB), 2),
        MEMORY_ABOVE_4_GIB: little_endian(high // (64 * KiB), 3),
    }


def floppy_settings(types: Mapping[int, int]) -> dict[int, bytes]:
    """The bytes that have the types of the drives A and B."""
    equipment = EQUIPMENT_FPU | EQUIPMENT_MOUSE | EQUIPMENT_FLOPPIES[sum(map(bool, types.values()))]
    return {
        FLOPPY_TYPES: bytes([types.get(0, 0) << 4 | types.get(1, 0)]),
        EQUIPMENT: bytes([equipment]),
    }


def disk_settings(disks: Mapping[int, Geometry]) -> dict[int, bytes]:
    """The bytes that have the first two disks' types and geometries, and how a BIOS translates those of all four."""
    types = translations = 0
    found: dict[int, bytes] = {}
    for place, disk in disks.items():
        if any(mine > most for mine, most in zip(disk, LARGEST_CHS, strict=True)):
            translations |= (LBA - 1) << 2 * place
        if place < len(GEOMETRIES):
            types |= EXTENDED_TYPE << (0 if place else 4)
            found[EXTENDED_TYPES[place]] = bytes([TYPE_47])
            found[GEOMETRIES[place]] = _geometry(disk)
    return {DISK_TYPES: bytes([types]), TRANSLATIONS: bytes([translations]), **found}


def _geometry(disk: Geometry) -> bytes:
    """Cylinders, heads, no write precompensation, control byte, landing zone, sectors."""
    cylinders = little_endian(disk.cylinders, 2)
    control = NO_RETRIES | (MORE_THAN_8_HEADS if disk.heads > 8 else 0)
    return cylinders + bytes([disk.heads, 0xFF, 0xFF, control]) + cylinders + bytes([disk.sectors])
