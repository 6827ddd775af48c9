"""Option ROMs from listings: lines with machine code in hexadecimal, `|`, and the assembly that it is.

The tests have NASM assemble the right-hand side, and compare.
"""

from __future__ import annotations

BLOCK = 512
_PLUG_AND_PLAY = 0x1A
"""Where an option ROM says where its Plug and Play header is."""
_HEADER_CHECKSUM = 9


def code(listing: str) -> bytes:
    """The machine code in `listing`."""
    return bytes.fromhex("".join(line.split("|", 1)[0] for line in listing.splitlines()))


def assembly(listing: str) -> str:
    """The assembly in `listing`."""
    return "\n".join(line.split("|", 1)[1].removeprefix(" ") for line in listing.splitlines()) + "\n"


def option_rom(contents: bytes) -> bytes:
    """An option ROM of `contents`: whole blocks, with its checksums."""
    rom = bytearray(contents.ljust(-(-len(contents) // BLOCK) * BLOCK, b"\0"))
    rom[2] = len(rom) // BLOCK
    header = int.from_bytes(rom[_PLUG_AND_PLAY : _PLUG_AND_PLAY + 2], "little")
    length = 16 * rom[header + 5]
    rom[header + _HEADER_CHECKSUM] = -sum(rom[header : header + length]) & 0xFF
    rom[-1] = -sum(rom) & 0xFF
    return bytes(rom)
