"""Kernels by the Multiboot Specification, version 0.6.96: 32-bit, a structure in EBX."""

from __future__ import annotations

import struct
from dataclasses import dataclass

from . import elf
from .elf import BadElf
from .linux import CMDLINE, LONGEST_CMDLINE
from .memory import LOW_END
from .processor import protected_mode
from .start import CannotStart, MapPlace, Request, Start, check_cmdline, load_segments

INFO = 0x2000
_MODULES = 0x2080
_NAME = 0x20C0
_MEMORY_MAP = 0x2100
_MOST_RANGES = 128

_SEARCHED = 8192
_HEADER_MAGIC, _LOADER_MAGIC = 0x1BAD_B002, 0x2BAD_B002
_ALIGN_MODULES, _MEMORY, _VIDEO, _ADDRESSES = 1 << 0, 1 << 1, 1 << 2, 1 << 16
_MUST_UNDERSTAND = 0xFFFF
_HAS_MEMORY, _HAS_CMDLINE, _HAS_MODULES, _HAS_MAP, _HAS_NAME = 1 << 0, 1 << 2, 1 << 3, 1 << 6, 1 << 9


@dataclass(frozen=True)
class Header:
    """A Multiboot header: where in the file, its flags, and its addresses, if it has them."""

    offset: int
    flags: int
    addresses: tuple[int, int, int, int, int] | None
    """header_addr, load_addr, load_end_addr, bss_end_addr, entry_addr."""


def find_header(data: bytes) -> Header | None:
    """The header in `data`; None if that isn't a Multiboot image."""
    for at in range(0, min(len(data), _SEARCHED) - 11, 4):
        magic, flags, checksum = struct.unpack_from("<III", data, at)
        if magic == _HEADER_MAGIC and not (magic + flags + checksum) & 0xFFFF_FFFF:
            addresses = None
            if flags & _ADDRESSES and at + 32 <= len(data):
                addresses = struct.unpack_from("<5I", data, at + 12)
            return Header(at, flags, addresses)
    return None


def start_multiboot(data: bytes, request: Request) -> Start:
    """By Multiboot; the initrd is its one module. Raises CannotStart, DoesNotFit."""
    header = find_header(data)
    if header is None:
        raise CannotStart("boot_protocol", "the kernel has no Multiboot header")
    if header.flags & _MUST_UNDERSTAND & ~(_ALIGN_MODULES | _MEMORY):
        raise CannotStart("kernel", f"its Multiboot header asks for what isn't there: flags {header.flags & 0xFFFF:#x}")
    check_cmdline(request.cmdline, LONGEST_CMDLINE)
    state, pieces = protected_mode(request.a20)
    state.registers[0], state.registers[3] = _LOADER_MAGIC, INFO  # EAX, EBX
    start = Start(state, MapPlace(_MEMORY_MAP + 4, 24, size=INFO + 44), [*pieces])
    state.rip = _load_addresses(data, header, start, request) if header.addresses else _load_elf(data, start, request)
    flags = _HAS_MEMORY | _HAS_CMDLINE | _HAS_MAP | _HAS_NAME
    if request.initrd:
        flags |= _HAS_MODULES
        at = request.room.take_high("initrd", len(request.initrd))
        module = struct.pack("<4I", at, at + len(request.initrd), CMDLINE + len(request.cmdline), 0)
        start.pieces += [(at, request.initrd), (_MODULES, module)]
    ranges = request.memory_map[:_MOST_RANGES]
    table = b"".join(struct.pack("<IQQI", 20, part.start, part.size, part.kind) for part in ranges)
    more = struct.pack("<I", 20).ljust(24, b"\0") * (_MOST_RANGES - len(ranges))  # if a firmware's map is longer
    upper = next((part.start + part.size for part in ranges if part.start == 0x10_0000 and part.kind == 1), 0x10_0000)
    upper = min(upper, 0xFFFF_FFFF)
    info = bytearray(116)
    struct.pack_into("<3I", info, 0, flags, LOW_END >> 10, upper - 0x10_0000 >> 10)
    struct.pack_into("<3I", info, 16, CMDLINE, 1 if request.initrd else 0, _MODULES)
    struct.pack_into("<2I", info, 44, len(table), _MEMORY_MAP)
    struct.pack_into("<I", info, 64, _NAME)
    start.pieces += [
        (INFO, bytes(info)),
        (_NAME, b"Southbridge\0"),
        (_MEMORY_MAP, table + more),
        (CMDLINE, request.cmdline + b"\0"),
    ]
    return start


def _load_addresses(data: bytes, header: Header, start: Start, request: Request) -> int:
    """Loads by the header's own addresses (the a.out kludge); gives the entry."""
    assert header.addresses is not None
    at, load, load_end, bss_end, entry = header.addresses
    offset = header.offset - (at - load)
    if offset < 0 or at < load:
        raise CannotStart("kernel", "its Multiboot header's addresses are wrong")
    size = load_end - load if load_end else len(data) - offset
    if size <= 0 or offset + size > len(data):
        raise CannotStart("kernel", "it is cut short: its Multiboot header promises more")
    end = max(bss_end, load + size)
    request.room.take("kernel", load, end - load)
    start.pieces.append((load, memoryview(data)[offset : offset + size]))
    if end > load + size:
        start.zeros.append((load + size, end - load - size))
    return entry


def _load_elf(data: bytes, start: Start, request: Request) -> int:
    try:
        file = elf.parse(data)
    except BadElf as error:
        raise CannotStart("kernel", str(error)) from None
    load_segments(file, start, request)
    return file.entry & 0xFFFF_FFFF
