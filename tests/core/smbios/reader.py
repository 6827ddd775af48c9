"""Reads SMBIOS tables, strictly: written from the specification alone (DMTF DSP0134, version 2.8.0)."""

from __future__ import annotations

import struct
import subprocess
from dataclasses import dataclass
from pathlib import Path

from tests.guests.build import need


@dataclass(frozen=True)
class Read:
    """One structure. `data` has its fields with the header, so that offsets are the specification's."""

    kind: int
    handle: int
    data: bytes
    strings: tuple[str, ...]

    def number(self, offset: int, size: int) -> int:
        """The field there."""
        return int.from_bytes(self.data[offset : offset + size], "little")

    def text(self, offset: int) -> str:
        """The string whose number is there; empty for none."""
        number = self.data[offset]
        return self.strings[number - 1] if number else ""


def read(tables: bytes) -> list[Read]:
    """The structures in `tables`, up to the last byte."""
    found = []
    while tables:
        kind, length, handle = struct.unpack_from("<BBH", tables)
        assert 4 <= length <= len(tables)
        data, (texts, end, tables) = tables[:length], tables[length:].partition(b"\0\0")
        assert end
        found.append(Read(kind, handle, data, tuple(texts.decode("ascii").split("\0")) if texts else ()))
    return found


def of_kind(tables: bytes, kind: int) -> list[Read]:
    """Those of one type."""
    return [structure for structure in read(tables) if structure.kind == kind]


@dataclass(frozen=True)
class Anchor:
    """What an entry point says."""

    address: int
    length: int
    count: int
    largest: int


def read_anchor(anchor: bytes) -> Anchor:
    """Fails unless the entry point is one of version 2.8, with its checksums."""
    assert len(anchor) == 0x1F
    name, length, major, minor, largest, revision = struct.unpack_from("<4sxBBBHB", anchor)
    assert (name, length, major, minor, revision) == (b"_SM_", 0x1F, 2, 8, 0)
    dmi, total, address, count, bcd = struct.unpack_from("<5sxHIHB", anchor, 16)
    assert (dmi, bcd) == (b"_DMI_", 0x28)
    assert sum(anchor) & 0xFF == 0
    assert sum(anchor[16:]) & 0xFF == 0
    return Anchor(address, total, count, largest)


def decoded(anchor: bytes, tables: bytes, folder: Path) -> str:
    """What dmidecode makes of them, from a file like those it writes: with the tables' address changed to 20h."""
    head = bytearray(anchor)
    struct.pack_into("<I", head, 24, 32)
    head[21] = (head[21] - sum(head[16:])) & 0xFF
    dump = folder / "dmi.bin"
    dump.write_bytes(bytes(head).ljust(32, b"\0") + tables)
    command = [need("dmidecode", "dmidecode"), "--from-dump", str(dump)]
    run = subprocess.run(command, capture_output=True, text=True, check=True)
    assert run.stderr == ""
    for complaint in ("<BAD", "TRUNCATED", "OUT OF SPEC", "Invalid", "invalid", "Wrong", "broken", "checksum"):
        assert complaint not in run.stdout, run.stdout
    return run.stdout
