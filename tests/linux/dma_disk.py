"""A disk that starts Debian's kernel quickly where each access to a port is slow: it lies there decompressed, and its
boot sector, dma_loader.asm, loads it by a few transfers of the PIIX3's bus master, the largest of 16 MiB.
"""

from __future__ import annotations

import struct
from pathlib import Path

from southbridge.board import MemoryRange
from southbridge.boot.kernels import Kernel
from southbridge.boot.memory import Room, firmware_map
from southbridge.boot.start import Request
from southbridge.units import KiB, MiB

from tests.guests.build import SECTOR, need, run_tool
from tests.linux.packages import kernel

_SOURCE = Path(__file__).parent / "dma_loader.asm"
_LIST = 0x1_0000
_LIST_SECTORS = 32
_DESCRIPTORS = 0x800
"""Where in the list they begin: behind the transfers, of 16 bytes each."""
_LARGEST = 16 * MiB
_BOUNDARY = 64 * KiB
"""What one descriptor describes doesn't cross one (82371SB data sheet, bus master IDE)."""
_LAST = 1 << 31
_FIRMWARES = MiB
"""The end of RAM, where the firmware has tables."""


def dma_disk(folder: Path, name: str, initrd: bytes, cmdline: str, memory: int) -> Path:
    """The disk `name`, in `folder`, for a machine with `memory` bytes of RAM and the disk as the first IDE drive."""
    ram = firmware_map([MemoryRange(0, memory - _FIRMWARES)])
    start = Kernel(kernel().read_bytes()).start(Request(ram, Room(ram), initrd, cmdline.encode()))
    disk = bytearray(SECTOR * (1 + _LIST_SECTORS))
    transfers, descriptors = bytearray(struct.pack("<QQ", start.state.rip, 0)), bytearray()
    for address, data in _split(start.pieces):
        data += bytes(-len(data) % SECTOR)
        table = _LIST + _DESCRIPTORS + len(descriptors)
        transfers += struct.pack("<IIII", table, len(disk) // SECTOR, len(data) // SECTOR, 0)
        descriptors += _described(address, len(data))
        disk += data
    found = bytes(transfers).ljust(_DESCRIPTORS, b"\0") + descriptors
    assert len(transfers) < _DESCRIPTORS, "more transfers than the list has room for"
    assert len(found) <= _LIST_SECTORS * SECTOR, "more descriptors than the list has room for"
    disk[SECTOR : SECTOR + len(found)] = found
    boot_sector = folder / "dma_loader.bin"
    run_tool([need("nasm", "nasm"), "-f", "bin", "-o", boot_sector, _SOURCE])
    disk[:SECTOR] = boot_sector.read_bytes()
    disk += bytes(-len(disk) % MiB)
    target = folder / name
    target.write_bytes(disk)
    return target


def _split(pieces: list[tuple[int, bytes | memoryview]]) -> list[tuple[int, bytes]]:
    """In parts for one transfer each, without the zeros at a piece's end, which are there already (a kernel's BSS)."""
    return [
        (address + at, data[at : at + _LARGEST])
        for address, data in ((address, bytes(data).rstrip(b"\0")) for address, data in pieces)
        for at in range(0, len(data), _LARGEST)
    ]


def _described(address: int, size: int) -> bytes:
    """The table of physical region descriptors of one transfer."""
    table = bytearray()
    while size:
        part = min(size, _BOUNDARY - address % _BOUNDARY)
        size -= part
        table += struct.pack("<II", address, part & 0xFFFF | (0 if size else _LAST))
        address += part
    return bytes(table)
