"""AML's terms by their names in ASL, in lower case (ACPI specification 6.4, chapters 19 and 20).

scope("\\_SB", device("LNKA", name("_HID", eisa_id("PNP0C0F")), method("_DIS", 0, store(0x80, "PRQA"))))
"""

from __future__ import annotations

import enum
from collections.abc import Iterable
from typing import NamedTuple

from .aml import AcpiError, Aml, Operand, field_length, integer, operand, packaged, path, segment

_EXTENDED = 0x5B
_NO_TARGET = Aml(b"\0")

ARG = [Aml([0x68 + number]) for number in range(7)]
"""A method's arguments."""
LOCAL = [Aml([0x60 + number]) for number in range(8)]
"""A method's variables."""
ONES = Aml(b"\xff")
BREAK, CONTINUE = Aml(b"\xa5"), Aml(b"\x9f")
NO_TIMEOUT = 0xFFFF

LARGEST_ARGUMENTS, LARGEST_SYNC = 7, 15


class Space(enum.IntEnum):
    """What an operation region lies in."""

    SYSTEM_MEMORY = 0
    SYSTEM_IO = 1
    PCI_CONFIG = 2
    EMBEDDED_CONTROLLER = 3
    SMBUS = 4


class Access(enum.IntEnum):
    """How wide a field's accesses are."""

    ANY = 0
    BYTE = 1
    WORD = 2
    DWORD = 3
    QWORD = 4
    BUFFER = 5


class Update(enum.IntEnum):
    """What becomes of the bits beside those that are written."""

    PRESERVE = 0
    WRITE_AS_ONES = 1
    WRITE_AS_ZEROS = 2


class Bits(NamedTuple):
    """An element of a field: `size` bits called `name`; without one, a gap."""

    name: str | None
    size: int


def joined(terms: Iterable[Aml]) -> Aml:
    """One after another."""
    return Aml(b"".join(terms))


# --- objects ---------------------------------------------------------------------------------------------------------


def name(where: str, value: Operand) -> Aml:
    """Name: the object `where` is `value`."""
    return Aml(b"\x08" + path(where) + operand(value))


def alias(source: str, where: str) -> Aml:
    """Alias: `where` is another name of `source`."""
    return Aml(b"\x06" + path(source) + path(where))


def scope(where: str, *terms: Aml) -> Aml:
    """Scope: the terms are at `where`, which exists."""
    return packaged(b"\x10", path(where) + joined(terms))


def device(where: str, *terms: Aml) -> Aml:
    """Device."""
    return packaged(bytes([_EXTENDED, 0x82]), path(where) + joined(terms))


def method(where: str, arguments: int, *terms: Aml, serialized: bool = False, sync: int = 0) -> Aml:
    """Method with so many arguments."""
    if not 0 <= arguments <= LARGEST_ARGUMENTS or not 0 <= sync <= LARGEST_SYNC:
        raise AcpiError(f"the method {where} with {arguments} arguments at synchronization level {sync}")
    flags = bytes([arguments | serialized << 3 | sync << 4])
    return packaged(b"\x14", path(where) + flags + joined(terms))


def mutex(where: str, sync: int = 0) -> Aml:
    """Mutex."""
    return Aml(bytes([_EXTENDED, 0x01]) + path(where) + bytes([sync & 0xF]))


def event(where: str) -> Aml:
    """Event."""
    return Aml(bytes([_EXTENDED, 0x02]) + path(where))


def operation_region(where: str, space: Space, offset: Operand, length: Operand) -> Aml:
    """OperationRegion."""
    return Aml(bytes([_EXTENDED, 0x80]) + path(where) + bytes([space]) + operand(offset) + operand(length))


def field(region: str, access: Access, *elements: Bits, lock: bool = False, update: Update = Update.PRESERVE) -> Aml:
    """Field: names for bits of `region`, from the first on."""
    flags = bytes([access | lock << 4 | update << 5])
    return packaged(bytes([_EXTENDED, 0x81]), path(region) + flags + _elements(elements))


def index_field(
    index: str, data: str, access: Access, *elements: Bits, lock: bool = False, update: Update = Update.PRESERVE
) -> Aml:
    """IndexField: names for what is behind an index and a data register."""
    flags = bytes([access | lock << 4 | update << 5])
    return packaged(bytes([_EXTENDED, 0x86]), path(index) + path(data) + flags + _elements(elements))


def _elements(elements: Iterable[Bits]) -> bytes:
    return b"".join(
        (b"\0" if element.name is None else segment(element.name)) + field_length(element.size) for element in elements
    )


def processor(where: str, number: int, block: int = 0, length: int = 0, *terms: Aml) -> Aml:
    """Processor, as before ACPI 6.0."""
    head = path(where) + bytes([number]) + block.to_bytes(4, "little") + bytes([length])
    return packaged(bytes([_EXTENDED, 0x83]), head + joined(terms))


def external(where: str, kind: int = 0, arguments: int = 0) -> Aml:
    """External: `where` is in another table."""
    return Aml(b"\x15" + path(where) + bytes([kind, arguments]))


def create_field(source: Operand, offset: Operand, where: str, size: int) -> Aml:
    """CreateByteField to CreateQWordField: `size` bytes at `offset` of the buffer `source` are called `where`."""
    opcode = {1: 0x8C, 2: 0x8B, 4: 0x8A, 8: 0x8F}[size]
    return Aml(bytes([opcode]) + operand(source) + operand(offset) + path(where))


# --- data ------------------------------------------------------------------------------------------------------------


def buffer(data: bytes, size: int | None = None) -> Aml:
    """Buffer of `size` bytes, `data` and zeros."""
    return packaged(b"\x11", integer(len(data) if size is None else size) + data)


def package(*elements: Operand) -> Aml:
    """Package of up to 255 elements, or VarPackage of more."""
    contents = b"".join(operand(element) for element in elements)
    if len(elements) < 256:
        return packaged(b"\x12", bytes([len(elements)]) + contents)
    return packaged(b"\x13", integer(len(elements)) + contents)


# --- statements ------------------------------------------------------------------------------------------------------


def if_(condition: Operand, *terms: Aml) -> Aml:
    """If."""
    return packaged(b"\xa0", operand(condition) + joined(terms))


def else_(*terms: Aml) -> Aml:
    """Else, behind an If."""
    return packaged(b"\xa1", joined(terms))


def while_(condition: Operand, *terms: Aml) -> Aml:
    """While."""
    return packaged(b"\xa2", operand(condition) + joined(terms))


def return_(value: Operand = 0) -> Aml:
    """Return."""
    return Aml(b"\xa4" + operand(value))


def call(where: str, *arguments: Operand) -> Aml:
    """A method's call."""
    return Aml(path(where) + b"".join(operand(argument) for argument in arguments))


def notify(target: Operand, value: Operand) -> Aml:
    """Notify."""
    return Aml(b"\x86" + operand(target) + operand(value))


def acquire(where: str, timeout: int = NO_TIMEOUT) -> Aml:
    """Acquire; `timeout` in ms. Its value tells of a timeout."""
    return Aml(bytes([_EXTENDED, 0x23]) + path(where) + timeout.to_bytes(2, "little"))


def release(where: str) -> Aml:
    """Release."""
    return Aml(bytes([_EXTENDED, 0x27]) + path(where))


def sleep(ms: Operand) -> Aml:
    """Sleep."""
    return Aml(bytes([_EXTENDED, 0x22]) + operand(ms))


def store(value: Operand, target: Operand) -> Aml:
    """Store."""
    return Aml(b"\x70" + operand(value) + operand(target))


def increment(target: Operand) -> Aml:
    """Increment."""
    return Aml(b"\x75" + operand(target))


def decrement(target: Operand) -> Aml:
    """Decrement."""
    return Aml(b"\x76" + operand(target))


# --- expressions -----------------------------------------------------------------------------------------------------


def _binary(opcode: int, left: Operand, right: Operand, target: Operand | None) -> Aml:
    where = _NO_TARGET if target is None else operand(target)
    return Aml(bytes([opcode]) + operand(left) + operand(right) + where)


def add(left: Operand, right: Operand, target: Operand | None = None) -> Aml:
    """Add."""
    return _binary(0x72, left, right, target)


def subtract(left: Operand, right: Operand, target: Operand | None = None) -> Aml:
    """Subtract."""
    return _binary(0x74, left, right, target)


def multiply(left: Operand, right: Operand, target: Operand | None = None) -> Aml:
    """Multiply."""
    return _binary(0x77, left, right, target)


def shift_left(left: Operand, right: Operand, target: Operand | None = None) -> Aml:
    """ShiftLeft."""
    return _binary(0x79, left, right, target)


def shift_right(left: Operand, right: Operand, target: Operand | None = None) -> Aml:
    """ShiftRight."""
    return _binary(0x7A, left, right, target)


def and_(left: Operand, right: Operand, target: Operand | None = None) -> Aml:
    """And, of bits."""
    return _binary(0x7B, left, right, target)


def or_(left: Operand, right: Operand, target: Operand | None = None) -> Aml:
    """Or, of bits."""
    return _binary(0x7D, left, right, target)


def xor(left: Operand, right: Operand, target: Operand | None = None) -> Aml:
    """XOr, of bits."""
    return _binary(0x7F, left, right, target)


def not_(value: Operand, target: Operand | None = None) -> Aml:
    """Not, of bits."""
    return Aml(b"\x80" + operand(value) + (_NO_TARGET if target is None else operand(target)))


def index(source: Operand, number: Operand, target: Operand | None = None) -> Aml:
    """Index: a reference to an element."""
    return _binary(0x88, source, number, target)


def deref_of(reference: Operand) -> Aml:
    """DerefOf."""
    return Aml(b"\x83" + operand(reference))


def size_of(value: Operand) -> Aml:
    """SizeOf."""
    return Aml(b"\x87" + operand(value))


def to_uuid(text: str) -> Aml:
    """ToUUID: the buffer of a UUID. Raises AcpiError for what is none."""
    from uuid import UUID  # which takes its time: it looks closely at the system that it runs on

    try:
        return buffer(UUID(text).bytes_le)
    except ValueError:
        raise AcpiError(f"{text!r} isn't a UUID") from None


def l_and(left: Operand, right: Operand) -> Aml:
    """LAnd."""
    return Aml(b"\x90" + operand(left) + operand(right))


def l_or(left: Operand, right: Operand) -> Aml:
    """LOr."""
    return Aml(b"\x91" + operand(left) + operand(right))


def l_not(value: Operand) -> Aml:
    """LNot."""
    return Aml(b"\x92" + operand(value))


def l_equal(left: Operand, right: Operand) -> Aml:
    """LEqual."""
    return Aml(b"\x93" + operand(left) + operand(right))


def l_greater(left: Operand, right: Operand) -> Aml:
    """LGreater."""
    return Aml(b"\x94" + operand(left) + operand(right))


def l_less(left: Operand, right: Operand) -> Aml:
    """LLess."""
    return Aml(b"\x95" + operand(left) + operand(right))
