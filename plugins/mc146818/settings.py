"""What a PC's setup program leaves in the clock's memory for the firmware: memory sizes, boot order, equipment.

The places are IBM's and, above 33h, those that QEMU's machines have and SeaBIOS reads.
"""

from __future__ import annotations

from collections.abc import Iterable

from southbridge.board import MemoryRange
from southbridge.units import GiB, KiB, MiB

RAM = 1
BOOT_DEVICES = {"a": 1, "c": 2, "d": 3, "n": 4}
"""Floppy, hard disk, CD-ROM, network: the letters that QEMU's users know, and their codes."""
EQUIPMENT_FPU, EQUIPMENT_MOUSE = 0x02, 0x04

FLOPPY_TYPES = 0x10
EQUIPMENT = 0x14
BASE_MEMORY = 0x15
EXTENDED_MEMORY = (0x17, 0x30)
MEMORY_ABOVE_16_MIB = 0x34
MEMORY_ABOVE_4_GIB = 0x5B
MORE_CPUS = 0x5F
"""How many CPUs there are besides the first."""
BOOT_ORDER_THIRD = 0x38
BOOT_ORDER = 0x3D


def little_endian(number: int, size: int) -> bytes:
    """`number` in `size` bytes, or the largest that fits."""
    return min(number, (1 << 8 * size) - 1).to_bytes(size, "little")


def more_cpus(cpus: int) -> bytes:
    """What is at MORE_CPUS in a machine with so many."""
    return little_endian(cpus - 1, 1)


def settings(memory_map: Iterable[MemoryRange], boot_order: str, cpus: int) -> dict[int, bytes]:
    """The bytes at each address, for RAM as `memory_map` says, up to three letters of BOOT_DEVICES, and `cpus` CPUs."""
    ram = [part for part in memory_map if part.kind == RAM]
    base = max((part.start + part.size for part in ram if part.start < MiB), default=0)
    low = max((part.start + part.size for part in ram if part.start < 4 * GiB), default=0)
    high = sum(part.size for part in ram if part.start >= 4 * GiB)
    extended = little_endian(max(low - MiB, 0) // KiB, 2)
    first, second, third = ([BOOT_DEVICES[letter] for letter in boot_order] + [0, 0, 0])[:3]
    return {
        FLOPPY_TYPES: b"\0",
        EQUIPMENT: bytes([EQUIPMENT_FPU | EQUIPMENT_MOUSE]),
        BASE_MEMORY: little_endian(min(base, 640 * KiB) // KiB, 2),
        **dict.fromkeys(EXTENDED_MEMORY, extended),
        MEMORY_ABOVE_16_MIB: little_endian(max(low - 16 * MiB, 0) // (64 * KiB), 2),
        MEMORY_ABOVE_4_GIB: little_endian(high // (64 * KiB), 3),
        MORE_CPUS: more_cpus(cpus),
        BOOT_ORDER_THIRD: bytes([third << 4]),
        BOOT_ORDER: bytes([second << 4 | first]),
    }
