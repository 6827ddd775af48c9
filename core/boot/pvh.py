"""PVH (Xen's docs/misc/pvh.pandoc, public/arch-x86/hvm/start_info.h): 32-bit, EBX points to the kernel's data."""

from __future__ import annotations

import struct

from .elf import Elf
from .linux import CMDLINE, LONGEST_CMDLINE
from .processor import protected_mode
from .start import CannotStart, MapPlace, Request, Start, check_cmdline, load_segments

START_INFO = 0x2000
_MODULES = 0x2080
_MEMORY_MAP = 0x2100
_MOST_RANGES = 128

_OWNER, _PHYS32_ENTRY = b"Xen", 18
_MAGIC, _VERSION = 0x336E_C578, 1


def entry(elf: Elf) -> int | None:
    """The address of the PVH entry; None if there is none."""
    for owner, kind, contents in elf.notes:
        if owner == _OWNER and kind == _PHYS32_ENTRY and len(contents) in (4, 8):
            return int.from_bytes(contents, "little")
    return None


def start_pvh(elf: Elf, request: Request) -> Start:
    """By the PVH entry. Raises CannotStart, DoesNotFit."""
    address = entry(elf)
    if address is None:
        raise CannotStart("boot_protocol", "the kernel has no PVH entry (no ELF note XEN_ELFNOTE_PHYS32_ENTRY)")
    if not elf.start <= address < elf.end:
        raise CannotStart("kernel", f"its PVH entry, {address:#x}, lies outside of what it loads")
    check_cmdline(request.cmdline, LONGEST_CMDLINE)
    state, pieces = protected_mode(request.a20)
    state.rip = address
    state.registers[3] = START_INFO  # EBX
    start = Start(state, MapPlace(_MEMORY_MAP, 24, count=START_INFO + 48), [*pieces])
    load_segments(elf, start, request)
    modules = 0
    if request.initrd:
        at = request.room.take_high("initrd", len(request.initrd), 0x8000_0000)
        start.pieces += [(at, request.initrd), (_MODULES, struct.pack("<4Q", at, len(request.initrd), 0, 0))]
        modules = 1
    ranges = request.memory_map[:_MOST_RANGES]
    table = b"".join(struct.pack("<QQII", part.start, part.size, part.kind, 0) for part in ranges)
    info = struct.pack("<4I", _MAGIC, _VERSION, 0, modules) + struct.pack(
        "<4Q", _MODULES, CMDLINE, request.rsdp, _MEMORY_MAP
    )
    info += struct.pack("<II", len(ranges), 0)
    start.pieces += [(START_INFO, info), (_MEMORY_MAP, table), (CMDLINE, request.cmdline + b"\0")]
    return start
