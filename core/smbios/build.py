"""A machine's SMBIOS tables, and the entry point to them (DMTF DSP0134, version 2.8.0, chapters 5 and 6)."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

from ..board import memory_modules
from ..errors import SouthbridgeError
from . import structures
from .identity import TEXTS, wrong_text

if TYPE_CHECKING:
    from ..machine import Machine

VERSION = 2, 8
ENTRY_POINT = 0x1F
"""Its length."""
PLACE = 0xF_0000
"""Where programs look for an entry point, each 16 bytes up to 1 MiB."""
GAP = 0x20
"""From there to the tables."""
LONGEST = (1 << 20) - PLACE - GAP
"""What there is room for below 1 MiB; an entry point can tell of hardly more."""
BRAND_LEAVES = range(0x8000_0002, 0x8000_0005)


class SmbiosError(SouthbridgeError):
    """There can't be such tables."""


class Smbios(NamedTuple):
    """The structures, one after the other."""

    structures: tuple[bytes, ...]

    @property
    def tables(self) -> bytes:
        """All of them."""
        return b"".join(self.structures)

    def anchor(self, address: int = 0) -> bytes:
        """The entry point, for tables at `address`; firmware puts its own address in."""
        tables = self.tables
        dmi = _summed(
            struct.pack(
                "<5sBHIHB", b"_DMI_", 0, len(tables), address, len(self.structures), VERSION[0] << 4 | VERSION[1]
            ),
            5,
        )
        largest = max(map(len, self.structures))
        head = struct.pack("<4sBBBBHB5x", b"_SM_", 0, ENTRY_POINT, *VERSION, largest, 0)
        return _summed(head + dmi, 4)


def _summed(data: bytes, place: int) -> bytes:
    """`data` with the byte at `place`, 0 yet, such that all of them add up to 0."""
    return data[:place] + bytes([-sum(data) & 0xFF]) + data[place + 1 :]


def build(machine: Machine, *, with_firmware: bool) -> Smbios:
    """The tables of `machine`, whose devices are all there. Firmware tells of itself, by a structure of type 0.

    Raises SmbiosError for texts that can't be in them, and if they are too long.
    """
    identity = machine.identity
    for name in TEXTS:
        problem = wrong_text(getattr(identity, name))
        if problem:
            raise SmbiosError(f"smbios: {name}: expected {problem}")
    modules = memory_modules(machine.ram.size)
    array = 0x1000
    found = [structures.system(0x100, identity), structures.chassis(0x300, identity), _processor(machine)]
    found.append(structures.memory_array(array, machine.ram.size, len(modules)))
    found += [structures.memory_device(0x1100 + number, array, number, size) for number, size in enumerate(modules)]
    ram = [place for place in machine.memory_map if place.kind == 1]
    found += [
        structures.memory_mapping(0x1300 + number, array, place.start, place.size, len(modules))
        for number, place in enumerate(ram)
    ]
    found += [structures.boot_information(0x2000), structures.end(0x7F00)]
    if not with_firmware:
        found.insert(0, _bios())
    return _checked(found)


def _checked(found: Sequence[bytes]) -> Smbios:
    length = sum(map(len, found))
    if length > LONGEST:
        raise SmbiosError(f"SMBIOS tables of {length} bytes are too long: there is room for {LONGEST}")
    return Smbios(tuple(found))


def pieces(machine: Machine) -> list[tuple[int, bytes]]:
    """What goes where in the memory of a machine that boots without firmware. Raises SmbiosError."""
    made = build(machine, with_firmware=False)
    address = PLACE + GAP
    return [(PLACE, made.anchor(address)), (address, made.tables)]


def _bios() -> bytes:
    from .. import __version__  # the package isn't complete while this module is imported

    major, minor = (int(part) for part in __version__.split(".")[:2])
    return structures.bios(0, __version__, (major, minor))


def _processor(machine: Machine) -> bytes:
    """The one socket that CPUID tells of, with all CPUs as its cores."""
    model = machine.cpu
    entries = {entry.leaf: entry for entry in model.cpuid(0, machine.cpus.max)}
    first = entries[1]
    brand = b"".join(
        struct.pack("<IIII", entry.eax, entry.ebx, entry.ecx, entry.edx)
        for leaf in BRAND_LEAVES
        if (entry := entries.get(leaf)) is not None
    )
    return structures.processor(
        0x400,
        "CPU 0",
        _text(model.vendor),
        _text(brand.partition(b"\0")[0].decode("latin-1")),
        struct.pack("<II", first.eax, first.edx),
        machine.cpus.max,
        "lm" in model.features,
    )


def _text(text: str) -> str:
    """What CPUID says, as a string of the tables."""
    return "".join(character for character in text if character.isascii() and character.isprintable()).strip()
