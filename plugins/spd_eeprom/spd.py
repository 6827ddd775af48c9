"""What a memory module's EEPROM says (JEDEC 21-C, 4.1.2.5, serial presence detect of SDRAM; Intel's PC SDRAM SPD 1.2B).

The bytes' numbers and meanings are these documents'. The modules described here are of PC100 SDRAM, unbuffered, 64 bits
wide, with one row of chips.
"""

from __future__ import annotations

from typing import NamedTuple

from southbridge.units import MiB

SIZE = 256
STANDARD = 128
"""How many of the bytes the standards speak of; the rest is whoever's owns it."""
CHECKSUM = 63
"""Of the bytes before it."""
MEMORY_TYPE = 2
SDRAM, DDR, DDR2 = 4, 7, 8
"""The memory types whose byte 63 is that checksum."""
UNWRITTEN = 0xFF

SMALLEST, LARGEST = 8 * MiB, 4096 * MiB
"""The module sizes that the bytes can tell."""


class Chips(NamedTuple):
    """The organization of a module's chips: address bits of rows and columns, banks in a chip, bits of data."""

    rows: int
    columns: int
    banks: int
    width: int = 8

    @property
    def capacity(self) -> int:
        """Of a row of chips that are 64 bits wide together, in bytes."""
        return (1 << self.rows + self.columns) * self.banks * 8


CHIPS = {
    chips.capacity: chips
    for chips in (
        Chips(11, 8, 2, 16),
        Chips(11, 9, 2),
        Chips(12, 8, 4, 16),
        Chips(12, 9, 4),
        Chips(12, 10, 4),
        Chips(13, 10, 4),
        Chips(13, 11, 4),
        Chips(13, 12, 4),
        Chips(14, 12, 4),
        Chips(14, 13, 4),
    )
}
"""By the module's size: from 8 MiB, of chips of 16 Mbit, to 4 GiB, of chips that were never made."""


def described_size(size: int) -> int:
    """The largest size that an EEPROM can tell and a module of `size` bytes has; never less than 8 MiB."""
    return max(SMALLEST, min(1 << max(size, 1).bit_length() - 1, LARGEST))


def module(size: int, number: int) -> bytes:
    """The contents for module `number`, of `size` bytes, as far as they can be told."""
    size = described_size(size)
    chips = CHIPS[size]
    spd = bytearray(STANDARD)
    spd[0:3] = STANDARD, SIZE.bit_length() - 1, SDRAM
    spd[3:6] = chips.rows, chips.columns, 1
    spd[6:9] = 64, 0, 1  # data width; LVTTL
    spd[9:11] = 0xA0, 0x60  # at the highest CAS latency: a cycle takes 10 ns, data come after 6 ns
    spd[11:15] = 0, 0x80, chips.width, 0  # no error correction; refresh by itself, 15.6 us
    spd[15:18] = 1, 0x8F, chips.banks  # bursts of 1, 2, 4, 8 and pages
    spd[18:21] = 1 << 1 | 1 << 2, 1, 1  # CAS latencies 2 and 3; no CS and WE latency
    spd[21:23] = 0, 0x0E  # precharge all, auto precharge, write 1, read burst
    spd[23:27] = 0xA0, 0x60, 0, 0  # the same at CAS latency 2; there is no lower one
    spd[27:31] = 20, 20, 20, 50  # tRP, tRRD, tRCD, tRAS in ns
    spd[31] = _density(size)
    spd[32:36] = 0x20, 0x10, 0x20, 0x10  # inputs are set up 2 ns and held 1 ns
    spd[62] = 0x12  # revision 1.2
    spd[64:72] = b"\0" * 8  # no manufacturer
    spd[73:91] = f"SOUTHBRIDGE {size // MiB}".encode("ascii").ljust(18)
    spd[95:99] = number.to_bytes(4, "big")
    spd[126:128] = 100, 0xA7  # MHz; one side: clocks 0 and 2; CAS latencies 3 and 2, concurrent precharge
    spd[CHECKSUM] = checksum(spd)
    return bytes(spd).ljust(SIZE, bytes([UNWRITTEN]))


def _density(size: int) -> int:
    """Byte 31: a bit for a row's size, from 4 MiB on; the lowest three mean 1, 2 and 4 GiB too."""
    place = (size // (4 * MiB)).bit_length() - 1
    return 1 << place % 8


def checksum(spd: bytes | bytearray) -> int:
    """What byte 63 must be."""
    return sum(spd[:CHECKSUM]) & 0xFF


def checked(contents: bytes) -> bytes:
    """`contents` as those of an EEPROM, of which the second half may be left out. Raises ValueError."""
    if len(contents) not in (STANDARD, SIZE):
        raise ValueError(f"it has {len(contents)} bytes; expected {STANDARD} or {SIZE}")
    if contents[MEMORY_TYPE] in (SDRAM, DDR, DDR2) and contents[CHECKSUM] != checksum(contents):
        right = checksum(contents)
        raise ValueError(f"byte {CHECKSUM}, its checksum, is {contents[CHECKSUM]:#04x}; expected {right:#04x}")
    return contents.ljust(SIZE, bytes([UNWRITTEN]))
