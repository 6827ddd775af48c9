"""What fw_cfg tells firmware: numbered items, and the directory of named files (QEMU's docs/specs/fw_cfg)."""

from __future__ import annotations

import struct
from collections.abc import Iterable, Mapping

from southbridge.board import MemoryRange

SIGNATURE = 0x00
ID = 0x01
UUID = 0x02
RAM_SIZE = 0x03
NOGRAPHIC = 0x04
NB_CPUS = 0x05
NUMA = 0x0D
BOOT_MENU = 0x0E
MAX_CPUS = 0x0F
FILE_DIRECTORY = 0x19
FIRST_FILE = 0x20
IRQ0_OVERRIDE = 0x8002

FEATURES = 1 | 2
"""The traditional interface, and DMA."""


def u16(value: int) -> bytes:
    """A 16-bit item."""
    return struct.pack("<H", value & 0xFFFF)


def u32(value: int) -> bytes:
    """A 32-bit item; negative values in two's complement."""
    return struct.pack("<I", value & 0xFFFF_FFFF)


def u64(value: int) -> bytes:
    """A 64-bit item."""
    return struct.pack("<Q", value)


def e820(ranges: list[MemoryRange]) -> bytes:
    """The file "etc/e820"."""
    return b"".join(struct.pack("<QQI", entry.start, entry.size, entry.kind) for entry in ranges)


def numbers(names: Iterable[str]) -> dict[str, int]:
    """The items that hold files of these names: sorted by name."""
    return {name: FIRST_FILE + index for index, name in enumerate(sorted(names))}


def numbered(files: Mapping[str, bytes]) -> dict[int, bytes]:
    """The items that hold `files`, and their directory."""
    names = sorted(files)
    keys = numbers(files)
    items = {keys[name]: files[name] for name in names}
    entries = [struct.pack(">IHH56s", len(files[name]), keys[name], 0, name.encode("ascii")) for name in names]
    items[FILE_DIRECTORY] = struct.pack(">I", len(names)) + b"".join(entries)
    return items
