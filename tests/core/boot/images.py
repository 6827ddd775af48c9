"""Small kernels: made of nothing but headers."""

from __future__ import annotations

import struct
from collections.abc import Sequence

from southbridge.board import MemoryRange
from southbridge.boot.memory import Room, firmware_map
from southbridge.boot.start import Request

MIB = 1 << 20


def elf(
    segments: Sequence[tuple[int, bytes, int]] = ((MIB, b"code", 16),),
    *,
    entry: int = MIB,
    machine: int = 62,
    pvh: int | None = None,
    kind: int = 2,
    wide: bool = True,
) -> bytes:
    """An executable with `segments` (address, contents, size in memory)."""
    pieces = [(1, address, data, size) for address, data, size in segments]
    if pvh is not None:
        note = struct.pack("<III4sI", 4, 4, 18, b"Xen\0", pvh)
        pieces.append((4, 0, note, len(note)))
    form, header = ("<IIQQQQQQ", 64) if wide else ("<IIIIIIII", 52)
    size = struct.calcsize(form)
    at = header + size * len(pieces)
    headers, contents = b"", b""
    for which, address, data, memory in pieces:
        offset = at + len(contents)
        if wide:
            headers += struct.pack(form, which, 7, offset, address, address, len(data), memory, 0)
        else:
            headers += struct.pack(form, which, offset, address, address, len(data), memory, 7, 0)
        contents += data
    ident = b"\x7fELF" + bytes([2 if wide else 1, 1, 1]) + bytes(9)
    pointer = "Q" if wide else "I"
    start = struct.pack(f"<HHI3{pointer}I6H", kind, machine, 1, entry, header, 0, 0, header, size, len(pieces), 0, 0, 0)
    return ident + start + headers + contents


def bzimage(
    payload: bytes = b"",
    *,
    version: int = 0x020F,
    cmdline_size: int = 100,
    initrd_addr_max: int = 0x7FFF_FFFF,
    pref_address: int = 2 * MIB,
    init_size: int = MIB,
    xloadflags: int = 1,
) -> bytes:
    """A Linux image with five sectors of setup and `payload` behind 16 bytes of decompressor."""
    data = bytearray(5 * 512)
    data[0x1F1] = 4
    struct.pack_into("<I", data, 0x1F4, (16 + len(payload)) // 16)
    struct.pack_into("<H", data, 0x1FE, 0xAA55)
    data[0x201] = 0x68
    data[0x202:0x206] = b"HdrS"
    struct.pack_into("<H", data, 0x206, version)
    data[0x211] = 1
    struct.pack_into("<I", data, 0x22C, initrd_addr_max)
    data[0x234] = 1
    struct.pack_into("<HI", data, 0x236, xloadflags, cmdline_size)
    struct.pack_into("<II", data, 0x248, 16, len(payload))
    struct.pack_into("<QI", data, 0x258, pref_address, init_size)
    return bytes(data) + b"decompressor" + bytes(4) + payload


def multiboot(flags: int = 0, addresses: tuple[int, int, int, int, int] | None = None, body: bytes = b"body") -> bytes:
    """A Multiboot image whose header is its first bytes."""
    flags |= 1 << 16 if addresses else 0
    header = struct.pack("<III", 0x1BADB002, flags, -(0x1BADB002 + flags) & 0xFFFF_FFFF)
    return header + (struct.pack("<5I", *addresses) if addresses else b"") + body


def request(memory: int = 64 * MIB, *, initrd: bytes = b"", cmdline: bytes = b"") -> Request:
    """A request of a machine with that much memory."""
    known = firmware_map([MemoryRange(0, memory)])
    return Request(known, Room(known), initrd, cmdline)
