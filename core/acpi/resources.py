"""Resource descriptors: what a device's _CRS and _PRS say (ACPI specification 6.4, section 6.4)."""

from __future__ import annotations

import struct
from collections.abc import Iterable

from .aml import AcpiError, Aml
from .terms import buffer

_END = b"\x79\0"
"""End tag; a checksum of zero means that there is none."""

_MEMORY, _IO, _BUS = 0, 1, 2
_FIXED = 0x0C
"""Address space descriptors: both ends are fixed. The producer's flag, bit 0, is clear."""
_ENTIRE_RANGE = 0x03
_CACHEABLE, _PREFETCHABLE, _READ_WRITE = 0x02, 0x06, 0x01


def io(base: int, length: int, *, last: int | None = None, align: int = 1) -> bytes:
    """IO: `length` ports at `base`, or from there up to `last`."""
    return struct.pack("<BBHHBB", 0x47, 1, base, base if last is None else last, align, length)


def irq(*lines: int) -> bytes:
    """IRQNoFlags: one of the ISA lines, edge-triggered."""
    return struct.pack("<BH", 0x22, sum(1 << line for line in lines))


def dma(*channels: int) -> bytes:
    """DMA: one of the channels, eight bits wide, compatible timing."""
    return struct.pack("<BBB", 0x2A, sum(1 << channel for channel in channels), 0)


def interrupt(*numbers: int, level: bool = True, low: bool = False, shared: bool = True) -> bytes:
    """Interrupt: one of the global system interrupts, consumed."""
    flags = 1 | (not level) << 1 | low << 2 | shared << 3
    numbered = b"".join(struct.pack("<I", number) for number in numbers)
    return struct.pack("<BHBB", 0x89, 2 + len(numbered), flags, len(numbers)) + numbered


def memory32_fixed(base: int, length: int, *, writable: bool = True) -> bytes:
    """Memory32Fixed."""
    return struct.pack("<BHBII", 0x86, 9, writable, base, length)


def bus_numbers(first: int, last: int) -> bytes:
    """WordBusNumber: what a host bridge produces."""
    return _address(0x88, "H", _BUS, 0, first, last)


def io_window(first: int, last: int) -> bytes:
    """WordIO: ports that a host bridge passes on."""
    return _address(0x88, "H", _IO, _ENTIRE_RANGE, first, last)


def memory_window(first: int, last: int, *, cacheable: bool = False, prefetchable: bool = False) -> bytes:
    """DWordMemory, or QWordMemory for addresses from 4 GiB on: memory that a host bridge passes on."""
    kind = _READ_WRITE | (_PREFETCHABLE if prefetchable else _CACHEABLE if cacheable else 0)
    if last < 1 << 32:
        return _address(0x87, "I", _MEMORY, kind, first, last)
    return _address(0x8A, "Q", _MEMORY, kind, first, last)


def _address(tag: int, size: str, space: int, specific: int, first: int, last: int) -> bytes:
    if not 0 <= first <= last < 1 << 8 * struct.calcsize(size):
        raise AcpiError(f"a resource from {first:#x} to {last:#x}")
    body = struct.pack(f"<BBB5{size}", space, _FIXED, specific, 0, first, last, 0, last - first + 1)
    return struct.pack("<BH", tag, len(body)) + body


def resource_template(*descriptors: bytes) -> Aml:
    """ResourceTemplate."""
    return buffer(joined_descriptors(descriptors))


def joined_descriptors(descriptors: Iterable[bytes]) -> bytes:
    """The descriptors and the end tag."""
    return b"".join(descriptors) + _END
