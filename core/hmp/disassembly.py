"""Memory as instructions, for `x /i` and `xp /i`: by capstone, which is installed by choice."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import TYPE_CHECKING

from ..errors import GuestMemoryError, SouthbridgeError
from .registers import long_mode

if TYPE_CHECKING:
    from capstone import Cs

    from ..x86 import X86State

PAGE = 0x1000
LONGEST = 15
"""Bytes of an instruction (Intel SDM volume 2A, section 2.3.11)."""
SHOWN = 8
"""Bytes on a line."""
LONG, DEFAULT_32 = 1 << 21, 1 << 22
"""A code segment's L and D (Intel SDM volume 3A, section 3.4.5), in its attributes."""

Read = Callable[[int, int], bytes]
"""Reads memory: an address, a length. Raises GuestMemoryError."""


def code_bits(state: X86State) -> int:
    """How wide the code is that the CPU executes: 16, 32 or 64."""
    if state.cs.attributes & LONG and long_mode(state):
        return 64
    return 32 if state.cs.attributes & DEFAULT_32 else 16


def instructions(read: Read, address: int, count: int, bits: int, mask: int) -> str:
    """`count` lines of those at `address`, at least one, as a CPU whose code is `bits` wide would execute them.

    `mask`: addresses are cut to it. Raises SouthbridgeError if there is no capstone.
    """
    disassembler = _disassembler(bits)

    @functools.cache
    def page(start: int) -> bytes:
        try:
            return read(start, PAGE)
        except GuestMemoryError:
            return b""

    lines = []
    for _ in range(max(count, 1)):
        address &= mask
        start = address & -PAGE
        data = page(start)[address - start :]
        if 0 < len(data) < LONGEST:
            data += page(start + PAGE & mask)
        found = next(disassembler.disasm_lite(data[:LONGEST], address, 1), None)
        if found is None:
            lines.append(f"0x{address:08x}: unable to read memory")
            break
        _, length, mnemonic, operands = found
        lines += _shown(address, data[:length], f"{mnemonic:8} {operands}")
        address += length
    return "\n".join(lines)


def _disassembler(bits: int) -> Cs:
    try:
        import capstone
    except ImportError:
        raise SouthbridgeError(
            "there is no disassembler: the package capstone isn't installed (pip install 'southbridge[disassembler]')"
        ) from None
    made = capstone.Cs(
        capstone.CS_ARCH_X86, {16: capstone.CS_MODE_16, 32: capstone.CS_MODE_32, 64: capstone.CS_MODE_64}[bits]
    )
    made.syntax = capstone.CS_OPT_SYNTAX_ATT
    made.skipdata = True  # what is no instruction is shown as bytes
    return made


def _shown(address: int, data: bytes, text: str) -> list[str]:
    """An instruction's line, and those of the bytes that aren't on it."""
    lines = [f"0x{address:08x}:  {data[:SHOWN].hex(' '):{3 * SHOWN - 1}}  {text}"]
    lines += [f"0x{address + at:08x}:  {data[at : at + SHOWN].hex(' ')}" for at in range(SHOWN, len(data), SHOWN)]
    return lines
