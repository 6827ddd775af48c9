"""From tables to guest memory: addresses and checksums.

Either firmware places them, by QEMU's loader script (`loader_files`: "etc/table-loader" and the two files that it
names; the format is in QEMU's hw/acpi/bios-linker-loader), or the machine does itself (`place`).
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterable
from typing import NamedTuple

from .aml import AcpiError
from .tables import Table

LARGEST = 0x2_0000
"""All the tables of a machine: what SeaBIOS has room for at the end of memory, with something to spare."""

SCRIPT, TABLES, RSDP = "etc/table-loader", "etc/acpi/tables", "etc/acpi/rsdp"
_ALLOCATE, _ADD_POINTER, _ADD_CHECKSUM, _WRITE_POINTER = 1, 2, 3, 4
_HIGH, _F_SEGMENT = 1, 2
WAKING_VECTOR = 12
"""Where in the FACS is what a system that slept wants to be woken by."""

_COMMAND = 128
_NAME = 56


class Placed(NamedTuple):
    """Tables that are at home at the addresses that they were placed at."""

    rsdp: bytes
    tables: bytes


class Block(NamedTuple):
    """A block of memory that tables' pointers lead to, and that a device wants to know the address of.

    `name` is a file of the firmware's that has the contents. The address is written to the file `answer`, 8 bytes, by
    firmware; `placed` is called with it where there is none, once or more: the last time counts.
    """

    name: str
    data: bytes
    alignment: int
    answer: str
    placed: Callable[[int], None]


class TableSet:
    """A machine's tables, one after another, and the pointer to them. Raises AcpiError for more than fit."""

    def __init__(self, rsdp: Table, tables: Iterable[Table], blocks: Iterable[Block] = ()) -> None:
        self.rsdp = rsdp
        self.tables = list(tables)
        self.blocks = list(blocks)
        self.offsets: dict[str, int] = {}
        self._table_alignment = max((table.alignment for table in self.tables), default=1)
        self.alignment = max([self._table_alignment, *(block.alignment for block in self.blocks)])
        size = 0
        for table in self.tables:
            size = -(-size // table.alignment) * table.alignment
            if table.name in self.offsets:
                raise AcpiError(f"there are two ACPI tables named {table.name!r}")
            self.offsets[table.name] = size
            size += len(table.data)
        self._table_size = size
        if size > LARGEST:
            largest = max(self.tables, key=lambda table: len(table.data))
            raise AcpiError(
                f"the ACPI tables take {size:#x} bytes, {len(largest.data):#x} of them {largest.name}; "
                f"{LARGEST:#x} have room"
            )
        for block in self.blocks:
            size = -(-size // block.alignment) * block.alignment
            self.offsets[block.name] = size
            size += len(block.data)
        self.size = size
        """Of tables and blocks, where the machine places them."""

    def __getitem__(self, name: str) -> Table:
        """The table of that name."""
        return next(table for table in self.tables if table.name == name)

    def loader_files(self) -> dict[str, bytes]:
        """The files for firmware that follows QEMU's loader script."""
        script = [
            _allocate(RSDP, self.rsdp.alignment, _F_SEGMENT),
            _allocate(TABLES, self._table_alignment, _HIGH),
        ]
        for block in self.blocks:
            script += [_allocate(block.name, block.alignment, _HIGH), _write_pointer(block.answer, block.name)]
        for file, table, base in self._everything():
            script += [
                _add_pointer(file, base + pointer.offset, pointer.size, self._file_of(pointer.target))
                for pointer in table.pointers
            ]
        for file, table, base in self._everything():
            script += [
                _add_checksum(file, base + sum_.offset, base + sum_.start, sum_.length) for sum_ in table.checksums
            ]
        contents = self._contents(0, apart=True)
        return {SCRIPT: b"".join(script), TABLES: contents.tables[: self._table_size], RSDP: contents.rsdp}

    def place(self, address: int) -> Placed:
        """The tables for `address`, which is a multiple of `alignment`, below 4 GiB; the pointer may be anywhere."""
        if address % self.alignment:
            raise ValueError(f"{address:#x} isn't a multiple of {self.alignment}")
        contents = self._contents(address)
        for block in self.blocks:
            block.placed(address + self.offsets[block.name])
        placed = {RSDP: bytearray(contents.rsdp), TABLES: bytearray(contents.tables)}
        for file, table, base in self._everything():
            data = placed[file]
            for sum_ in table.checksums:
                start = base + sum_.start
                data[base + sum_.offset] = -sum(data[start : start + sum_.length]) & 0xFF
        return Placed(bytes(placed[RSDP]), bytes(placed[TABLES]))

    def _everything(self) -> Iterable[tuple[str, Table, int]]:
        """Each table with the file that it is in, and where in it."""
        yield RSDP, self.rsdp, 0
        for table in self.tables:
            yield TABLES, table, self.offsets[table.name]

    def _file_of(self, target: str) -> str:
        """The firmware's file that has the table or block of that name."""
        return target if any(block.name == target for block in self.blocks) else TABLES

    def _contents(self, address: int, *, apart: bool = False) -> Placed:
        """The bytes, with pointers for tables that begin at `address`; blocks are behind them, unless `apart`."""
        rsdp, tables = bytearray(self.rsdp.data), bytearray(self.size)
        items: list[Table | Block] = [*self.tables, *self.blocks]
        for item in items:
            offset = self.offsets[item.name]
            tables[offset : offset + len(item.data)] = item.data
        for file, table, base in self._everything():
            data = rsdp if file == RSDP else tables
            for pointer in table.pointers:
                alone = apart and self._file_of(pointer.target) != TABLES
                target = (0 if alone else address + self.offsets[pointer.target]).to_bytes(pointer.size, "little")
                data[base + pointer.offset : base + pointer.offset + pointer.size] = target
        return Placed(bytes(rsdp), bytes(tables))


def _command(code: int, *fields: bytes) -> bytes:
    return (struct.pack("<I", code) + b"".join(fields)).ljust(_COMMAND, b"\0")


def _file(name: str) -> bytes:
    return name.encode().ljust(_NAME, b"\0")


def _allocate(file: str, alignment: int, zone: int) -> bytes:
    return _command(_ALLOCATE, _file(file), struct.pack("<IB", alignment, zone))


def _add_pointer(file: str, offset: int, size: int, target: str) -> bytes:
    """To what stands at `offset` of `file`, the address of the file `target` is added."""
    return _command(_ADD_POINTER, _file(file), _file(target), struct.pack("<IB", offset, size))


def _write_pointer(answer: str, target: str) -> bytes:
    """The address of the file `target` is written back to the file `answer`."""
    return _command(_WRITE_POINTER, _file(answer), _file(target), struct.pack("<IIB", 0, 0, 8))


def _add_checksum(file: str, offset: int, start: int, length: int) -> bytes:
    return _command(_ADD_CHECKSUM, _file(file), struct.pack("<III", offset, start, length))


def find_facs(contents: bytes, base: int, rsdp: int) -> int:
    """The FACS's address, by way of the root pointer at `rsdp`; both are in `contents`, made for `base`. 0: none."""
    if not contents:
        return 0

    def number(address: int, size: int) -> int:
        return int.from_bytes(contents[address - base : address - base + size], "little")

    xsdt = number(rsdp + 24, 8)
    for entry in range(xsdt + 36, xsdt + number(xsdt + 4, 4), 8):
        table = number(entry, 8)
        if contents[table - base :].startswith(b"FACP"):
            return number(table + 36, 4)
    return 0
