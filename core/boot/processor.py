"""The CPU as a boot loader hands it over: flat segments, in 32-bit protected mode or in 64-bit mode."""

from __future__ import annotations

import struct

from ..x86 import MSR_EFER, RFLAGS_RESET, DescriptorTable, Segment, X86State

GDT = 0x1000
"""Where the descriptor table is: Linux's boot protocol wants selectors 10h for code and 18h for data."""
PAGE_TABLES = 0x8000
_DIRECTORIES = 4

_CODE, _DATA = 0x10, 0x18
_CODE_32, _CODE_64, _DATA_32 = 0x00CF_9B00_0000_FFFF, 0x00AF_9B00_0000_FFFF, 0x00CF_9300_0000_FFFF
_PRESENT_WRITABLE, _LARGE = 3, 0x80

_CR0_PE, _CR0_ET, _CR0_PG = 1, 1 << 4, 1 << 31
_CR4_PAE = 1 << 5
_EFER_LME, _EFER_LMA = 1 << 8, 1 << 10

_REAL_MODE = 0x9B00
"""A code segment of real mode."""

Pieces = list[tuple[int, bytes]]
"""What is to be put into memory: addresses and bytes."""


def _flat(code: int, a20: bool) -> tuple[X86State, Pieces]:
    def data() -> Segment:
        return Segment(_DATA, 0, 0xFFFF_FFFF, _DATA_32 >> 32 & 0xF0_FF00)

    state = X86State(
        rflags=RFLAGS_RESET,
        cs=Segment(_CODE, 0, 0xFFFF_FFFF, code >> 32 & 0xF0_FF00),
        ss=data(),
        ds=data(),
        es=data(),
        fs=data(),
        gs=data(),
        tr=Segment(0, 0, 0x67, 0x8B00),  # virtualization wants a task state segment there; nothing uses it
        gdtr=DescriptorTable(GDT, 31),
        idtr=DescriptorTable(0, 0),
        cr0=_CR0_PE | _CR0_ET,
        a20=a20,
    )
    return state, [(GDT, struct.pack("<4Q", 0, 0, code, _DATA_32))]


def protected_mode(a20: bool) -> tuple[X86State, Pieces]:
    """32-bit, paging off, interrupts off; and the tables that it needs in memory."""
    return _flat(_CODE_32, a20)


def long_mode(a20: bool) -> tuple[X86State, Pieces]:
    """64-bit, the first 4 GiB mapped to themselves, interrupts off; and the tables that it needs in memory."""
    state, pieces = _flat(_CODE_64, a20)
    state.cr0 |= _CR0_PG
    state.cr3 = PAGE_TABLES
    state.cr4 = _CR4_PAE
    state.msrs[MSR_EFER] = _EFER_LME | _EFER_LMA
    pointers = PAGE_TABLES + 0x1000
    directories = pointers + 0x1000
    pages = [address << 21 | _LARGE | _PRESENT_WRITABLE for address in range(_DIRECTORIES * 512)]
    pieces += [
        (PAGE_TABLES, struct.pack("<Q", pointers | _PRESENT_WRITABLE).ljust(0x1000, b"\0")),
        (
            pointers,
            struct.pack(
                f"<{_DIRECTORIES}Q", *(directories + 0x1000 * i | _PRESENT_WRITABLE for i in range(_DIRECTORIES))
            ).ljust(0x1000, b"\0"),
        ),
        (directories, struct.pack(f"<{len(pages)}Q", *pages)),
    ]
    return state, pieces


def waking(vector: int, a20: bool) -> X86State:
    """In real mode at `vector`, as ACPI has the firmware hand over to a system that slept (section 16.3.1)."""
    return X86State(rip=vector & 0xF, cs=Segment(vector >> 4, vector & ~0xF, 0xFFFF, _REAL_MODE), a20=a20)
