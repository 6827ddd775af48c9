"""Linux's bzImage (Documentation/arch/x86/boot.rst): a setup header, 16-bit code, a kernel with its decompressor."""

from __future__ import annotations

import struct
from dataclasses import dataclass

SECTOR = 512
HEADER = 0x1F1
"""Where the setup header begins, in the file as in the zero page."""

_BOOT_FLAG = 0xAA55
_LOADED_HIGH = 1
_KERNEL_64 = 1
_OLDEST = 0x0204


class BadImage(Exception):
    """It isn't a bzImage, or one that can't be booted."""


@dataclass(frozen=True)
class BzImage:
    """A kernel image. Field names are the boot protocol's."""

    data: bytes
    version: int
    setup_size: int
    """Bytes of the boot sector and the 16-bit code."""
    header: bytes
    """The setup header, from 1F1h on."""
    payload: memoryview
    """Empty before protocol 2.08."""
    cmdline_size: int
    """The longest command line, without its zero."""
    initrd_addr_max: int
    relocatable: bool
    pref_address: int
    init_size: int
    has_64_bit_entry: bool

    @property
    def code(self) -> memoryview:
        """What is loaded high: decompressor and payload."""
        return memoryview(self.data)[self.setup_size :]


def is_bzimage(data: bytes) -> bool:
    """Whether `data` has the mark of a Linux kernel image."""
    return data[0x202:0x206] == b"HdrS" and data[0x1FE:0x200] == b"\x55\xaa"


def parse(data: bytes) -> BzImage:
    """The kernel image in `data`. Raises BadImage."""
    if len(data) < 0x268 or not is_bzimage(data):
        raise BadImage("it has no Linux setup header")
    (version,) = struct.unpack_from("<H", data, 0x206)
    setup_size = ((data[HEADER] or 4) + 1) * SECTOR
    if version < _OLDEST or not data[0x211] & _LOADED_HIGH:
        raise BadImage(
            f"its boot protocol, {version >> 8}.{version & 0xFF:02}, is too old (2.04 is the first that works)"
        )
    if len(data) <= setup_size:
        raise BadImage("it is cut short")
    (code_paragraphs,) = struct.unpack_from("<I", data, 0x1F4)
    if setup_size + code_paragraphs * 16 > len(data) + 15:
        raise BadImage("it is cut short: its header promises more code")
    end = min(0x202 + data[0x201], 0x290)
    payload = memoryview(b"")
    if version >= 0x0208:
        offset, length = struct.unpack_from("<II", data, 0x248)
        payload = memoryview(data)[setup_size + offset : setup_size + offset + length]

    def since(first: int, form: str, at: int, default: int) -> int:
        value: int = struct.unpack_from(form, data, at)[0] if version >= first else default
        return value

    code_size = len(data) - setup_size
    return BzImage(
        data=data,
        version=version,
        setup_size=setup_size,
        header=data[HEADER:end],
        payload=payload,
        cmdline_size=since(0x0206, "<I", 0x238, 255),
        initrd_addr_max=since(0x0203, "<I", 0x22C, 0x37FF_FFFF),
        relocatable=bool(since(0x0205, "<B", 0x234, 0)),
        pref_address=since(0x020A, "<Q", 0x258, 0x10_0000),
        init_size=max(since(0x020A, "<I", 0x260, 0), code_size),
        has_64_bit_entry=bool(since(0x020C, "<H", 0x236, 0) & _KERNEL_64),
    )
