"""Linux by its boot protocol (Documentation/arch/x86/boot.rst, zero-page.rst): the 32-bit and the 64-bit entry."""

from __future__ import annotations

import struct
from collections.abc import Sequence

from ..board import MemoryRange
from ..units import KiB
from .bzimage import HEADER, BzImage
from .elf import X86_64, Elf
from .processor import long_mode, protected_mode
from .start import CannotStart, MapPlace, Request, Start, check_cmdline, load_segments

ZERO_PAGE = 0x2000
CMDLINE = 0x2_0000
LONGEST_CMDLINE = 64 * KiB - 1
_STACK = 0x1_F000
_64_BIT_ENTRY = 0x200
_MOST_RANGES = 128
_MAP = MapPlace(ZERO_PAGE + 0x2D0, 20, count=ZERO_PAGE + 0x1E8)

_UNKNOWN_LOADER = 0xFF
_DEFAULT_CMDLINE_SIZE = 2047
_DEFAULT_INITRD_MAX = 0x7FFF_FFFF


def start_vmlinux(elf: Elf, image: BzImage | None, request: Request) -> Start:
    """The kernel proper, by its 64-bit entry, as its own decompressor enters it; `image` is what it was in, if known.

    Raises CannotStart, DoesNotFit.
    """
    if elf.machine != X86_64:
        raise CannotStart("boot_protocol", "the kernel is a 32-bit one, which has no 64-bit entry")
    if not elf.start <= elf.entry < elf.end:
        raise CannotStart("kernel", f"its entry, {elf.entry:#x}, lies outside of what it loads")
    state, pieces = long_mode(request.a20)
    state.rip = elf.entry
    start = Start(state, _MAP, [*pieces])
    load_segments(elf, start, request, image.init_size if image else 0)
    _give_zero_page(start, image, request, elf.start)
    return start


def start_bzimage(image: BzImage, request: Request) -> Start:
    """The image as it is, which decompresses itself. Raises CannotStart, DoesNotFit."""
    address = image.pref_address if image.relocatable else 0x10_0000
    request.room.take("kernel", address, image.init_size)
    if image.has_64_bit_entry:
        state, pieces = long_mode(request.a20)
        state.rip = address + _64_BIT_ENTRY
    else:
        state, pieces = protected_mode(request.a20)
        state.rip = address
    start = Start(state, _MAP, [*pieces, (address, image.code)])
    _give_zero_page(start, image, request, address)
    return start


def _give_zero_page(start: Start, image: BzImage | None, request: Request, address: int) -> None:
    longest = min(image.cmdline_size if image else _DEFAULT_CMDLINE_SIZE, LONGEST_CMDLINE)
    check_cmdline(request.cmdline, longest)
    page = bytearray(0x1000)
    if image:
        page[HEADER : HEADER + len(image.header)] = image.header
    else:
        struct.pack_into("<HH4sH", page, 0x1FE, 0xAA55, 0, b"HdrS", 0x020C)
    page[0x210] = _UNKNOWN_LOADER
    page[0x211] |= 1  # loaded high
    struct.pack_into("<I", page, 0x214, address)
    if request.initrd:
        limit = (image.initrd_addr_max if image else _DEFAULT_INITRD_MAX) + 1
        at = request.room.take_high("initrd", len(request.initrd), limit)
        struct.pack_into("<II", page, 0x218, at, len(request.initrd))
        start.pieces.append((at, request.initrd))
    struct.pack_into("<I", page, 0x228, CMDLINE)
    start.pieces.append((CMDLINE, request.cmdline + b"\0"))
    struct.pack_into("<Q", page, 0x070, request.rsdp)
    table = e820(request.memory_map)
    page[0x1E8] = len(table) // 20
    page[0x2D0 : 0x2D0 + len(table)] = table
    start.pieces.append((ZERO_PAGE, bytes(page)))
    start.state.registers[6] = ZERO_PAGE  # RSI
    start.state.registers[4] = _STACK


def e820(memory_map: Sequence[MemoryRange]) -> bytes:
    """The table of the zero page."""
    return b"".join(struct.pack("<QQI", part.start, part.size, part.kind) for part in memory_map[:_MOST_RANGES])
