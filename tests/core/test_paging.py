"""Virtual addresses, in each of the CPU's four ways of paging, by tables that are made here."""

from __future__ import annotations

import pytest
from southbridge import X86State
from southbridge.errors import GuestMemoryError
from southbridge.paging import CR0_PG, CR4_LA57, CR4_PAE, CR4_PSE, EFER_LMA, physical
from southbridge.x86 import MSR_EFER

SIZE = 0x10000
WRITABLE, LARGE = 2, 0x80


class Memory:
    """Physical memory with tables in it."""

    def __init__(self) -> None:
        self.data = bytearray(SIZE)

    def read(self, address: int, length: int) -> bytes:
        if address + length > SIZE:
            raise GuestMemoryError(address, "no memory")
        return bytes(self.data[address : address + length])

    def entry(self, table: int, index: int, size: int, value: int) -> None:
        self.data[table + index * size : table + (index + 1) * size] = (value | 1).to_bytes(size, "little")


def state(cr4: int, *, long: bool = False, cr3: int = 0x1000) -> X86State:
    return X86State(cr0=CR0_PG | 1, cr4=cr4, cr3=cr3, msrs={MSR_EFER: EFER_LMA if long else 0})


@pytest.fixture
def memory() -> Memory:
    return Memory()


def test_without_paging(memory: Memory) -> None:
    assert physical(X86State(), 0x1_2345_6789, memory.read) == 0x2345_6789


def test_two_levels(memory: Memory) -> None:
    memory.entry(0x1000, 0x300, 4, 0x2000 | WRITABLE)
    memory.entry(0x2000, 0x12, 4, 0xABCDE000)
    memory.entry(0x1000, 0x301, 4, 0x00800000 | LARGE | 0x3 << 13)
    assert physical(state(0), 0xC001_2345, memory.read) == 0xABCD_E345
    assert physical(state(0), 0xC001_3345, memory.read) is None
    assert physical(state(CR4_PSE), 0xC053_1234, memory.read) == 0x3_0093_1234
    assert physical(state(0), 0xC053_1234, memory.read) is None, "without PSE it is a table, beyond memory"


def test_pae(memory: Memory) -> None:
    memory.entry(0x1020, 3, 8, 0x2000)
    memory.entry(0x2000, 5, 8, 0x3000)
    memory.entry(0x2000, 6, 8, 0x7_0020_0000 | LARGE)
    memory.entry(0x3000, 7, 8, 0x9_8765_4000 | 1 << 63)
    assert physical(state(CR4_PAE, cr3=0x1020), 0xC0A0_7123, memory.read) == 0x9_8765_4123
    assert physical(state(CR4_PAE, cr3=0x1020), 0xC0C1_2345, memory.read) == 0x7_0021_2345
    assert physical(state(CR4_PAE, cr3=0x1020), 0x1234, memory.read) is None


@pytest.mark.parametrize("levels", [4, 5])
def test_long_mode(memory: Memory, levels: int) -> None:
    cr4, root = (CR4_PAE, 0x1000) if levels == 4 else (CR4_PAE | CR4_LA57, 0x6000)
    memory.entry(0x6000, 0x1FF, 8, 0x1000)
    memory.entry(0x1000, 0x1FF, 8, 0x2000)
    memory.entry(0x2000, 0x1FE, 8, 0x3000)
    memory.entry(0x3000, 8, 8, 0x4000)
    memory.entry(0x4000, 1, 8, 0x12_3456_7000 | 1 << 63)
    memory.entry(0x3000, 9, 8, 0x40_0000 | LARGE)
    memory.entry(0x2000, 0x1FD, 8, 0xC000_0000 | LARGE)
    cpu = state(cr4, long=True, cr3=root | 0x18)
    assert physical(cpu, 0xFFFF_FFFF_8100_1678, memory.read) == 0x12_3456_7678
    assert physical(cpu, 0xFFFF_FFFF_8123_4567, memory.read) == 0x43_4567
    assert physical(cpu, 0xFFFF_FFFF_4123_4567, memory.read) == 0xC123_4567
    assert physical(cpu, 0, memory.read) is None
