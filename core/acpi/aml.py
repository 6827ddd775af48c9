"""AML's encodings: lengths, integers, names, strings (ACPI specification 6.4, chapter 20).

A piece of AML is `Aml`, which is bytes; `terms.py` and `resources.py` make larger pieces of smaller ones. Where a
term takes an operand, an integer stands for itself, and a string of Python for the *name* of an object, as in ASL;
`string()` makes a string of AML.
"""

from __future__ import annotations

import re

from ..errors import SouthbridgeError

PACKAGE_LIMIT = 1 << 28
"""Package lengths, which include themselves, are below this."""
FIELD_LIMIT = 1 << 28
SEGMENT = 4

_SEGMENT = re.compile(r"[A-Z_][A-Z0-9_]{0,3}")
_PATH = re.compile(r"(\\|\^*)(.*)", re.DOTALL)
_EISA = re.compile(r"([A-Z@\[\\\]^_]{3})([0-9A-F]{4})")

ZERO, ONE = 0x00, 0x01
BYTE, WORD, DWORD, QWORD = 0x0A, 0x0B, 0x0C, 0x0E
STRING = 0x0D
DUAL_NAME, MULTI_NAME = 0x2E, 0x2F


class AcpiError(SouthbridgeError):
    """A table that ACPI can't represent: too long, or with a name that is none."""


class Aml(bytes):
    """A piece of AML."""

    __slots__ = ()

    def __repr__(self) -> str:
        return f"Aml({self.hex(' ')})"


Operand = int | str | Aml
"""An integer, the name of an object, or a term."""


def package_length(length: int) -> bytes:
    """The length of `length` bytes that follow, which counts itself too. Raises AcpiError for too many."""
    if length + 1 < 1 << 6:
        return bytes([length + 1])
    for size in (2, 3, 4):
        total = length + size
        if total < 1 << (4 + 8 * (size - 1)):
            return _long_length(total, size)
    raise AcpiError(f"a package of {length:#x} bytes; AML's lengths end at {PACKAGE_LIMIT - 5:#x}")


def field_length(bits: int) -> bytes:
    """The number of bits of a field's element, which is encoded as a length that doesn't count itself."""
    if 0 <= bits < 1 << 6:
        return bytes([bits])
    for size in (2, 3, 4):
        if 0 <= bits < 1 << (4 + 8 * (size - 1)):
            return _long_length(bits, size)
    raise AcpiError(f"a field of {bits} bits")


def _long_length(total: int, size: int) -> bytes:
    """Two to four bytes: how many follow the first, the lowest four bits, then eight bits a byte."""
    return bytes([(size - 1) << 6 | total & 0xF]) + (total >> 4).to_bytes(size - 1, "little")


def integer(value: int) -> Aml:
    """An integer of up to 64 bits, in its shortest form. Raises AcpiError for another."""
    if value in (0, 1):
        return Aml([value])
    for prefix, size in ((BYTE, 1), (WORD, 2), (DWORD, 4), (QWORD, 8)):
        if 0 <= value < 1 << 8 * size:
            return Aml(bytes([prefix]) + value.to_bytes(size, "little"))
    raise AcpiError(f"{value:#x} isn't an integer of AML, which has 64 bits")


def segment(name: str) -> bytes:
    """A name's segment: up to four capitals, digits and underlines, filled up with underlines. Raises AcpiError."""
    if not _SEGMENT.fullmatch(name):
        raise AcpiError(f"{name!r} isn't an ACPI name of up to four capitals, digits and underlines")
    return name.ljust(SEGMENT, "_").encode()


def path(name: str) -> Aml:
    r"""A path such as "FOO", "\\_SB.PCI0" or "^^BAR". Raises AcpiError for what is none."""
    match = _PATH.fullmatch(name)
    assert match is not None
    prefix, rest = match[1].encode(), match[2]
    segments = [segment(part) for part in rest.split(".")] if rest else []
    if not segments and not prefix:
        raise AcpiError("an empty ACPI name")
    if len(segments) > 255:
        raise AcpiError(f"an ACPI name of {len(segments)} segments")
    if not segments:
        return Aml(prefix + b"\0")
    head = {1: b"", 2: bytes([DUAL_NAME])}.get(len(segments), bytes([MULTI_NAME, len(segments)]))
    return Aml(prefix + head + b"".join(segments))


def string(text: str) -> Aml:
    """A string of ASCII. Raises AcpiError for other characters."""
    if not text.isascii() or "\0" in text:
        raise AcpiError(f"{text!r} isn't ASCII, as ACPI's strings are")
    return Aml(bytes([STRING]) + text.encode() + b"\0")


def eisa_id(name: str) -> Aml:
    """A plug-and-play identifier such as "PNP0A03", compressed to an integer. Raises AcpiError for what is none."""
    match = _EISA.fullmatch(name)
    if match is None:
        raise AcpiError(f"{name!r} isn't a plug-and-play identifier such as PNP0A03")
    number = 0
    for letter in match[1]:
        number = number << 5 | ord(letter) & 0x1F
    return integer(int.from_bytes((number << 16 | int(match[2], 16)).to_bytes(4, "big"), "little"))


def operand(value: Operand) -> bytes:
    """The encoding of an operand."""
    if isinstance(value, Aml):
        return value
    return integer(value) if isinstance(value, int) else path(value)


def packaged(opcode: bytes, contents: bytes) -> Aml:
    """`opcode`, the length of `contents`, and these."""
    return Aml(opcode + package_length(len(contents)) + contents)
