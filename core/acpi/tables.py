"""The tables that aren't AML (ACPI specification 6.4, section 5.2; IA-PC HPET specification 1.0a, section 3.2.4).

A `Table` has the bytes of one table, with zeros where other tables' addresses and its checksum will be.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import NamedTuple

OEM, OEM_TABLE, CREATOR = b"STHBRG", b"STHBRGPC", b"STHB"
HEADER = 36
CHECKSUM = 9
"""Where a table's checksum is."""
ALIGNMENT, FACS_ALIGNMENT = 16, 64

LEVEL_HIGH = 0x0D
"""An interrupt's flags in the MADT: level-triggered, active high. 0: as the bus has it."""


class Pointer(NamedTuple):
    """In a table, at `offset`, stands the address of the table called `target`, in `size` bytes."""

    offset: int
    size: int
    target: str


class Checksum(NamedTuple):
    """In a table, at `offset`, stands what makes `length` bytes from `start` on add up to zero."""

    offset: int
    start: int
    length: int


class Table(NamedTuple):
    """One table. `name` is its own in a machine's set of tables."""

    name: str
    data: bytes
    pointers: tuple[Pointer, ...] = ()
    checksums: tuple[Checksum, ...] = ()
    alignment: int = ALIGNMENT


def table(
    signature: str,
    revision: int,
    body: bytes,
    *,
    name: str | None = None,
    oem_table: bytes = OEM_TABLE,
    pointers: Iterable[Pointer] = (),
) -> Table:
    """A table with the usual header. Pointers' offsets count from the table's first byte."""
    length = HEADER + len(body)
    head = struct.pack(
        "<4sIBB6s8sI4sI", signature.encode(), length, revision, 0, OEM, oem_table.ljust(8), 1, CREATOR, 1
    )
    return Table(name or signature, head + body, tuple(pointers), (Checksum(CHECKSUM, 0, length),))


def rsdt(targets: Iterable[str]) -> Table:
    """Root system description table: 32-bit addresses of the others."""
    return _root("RSDT", 4, list(targets))


def xsdt(targets: Iterable[str]) -> Table:
    """Extended system description table: 64-bit addresses."""
    return _root("XSDT", 8, list(targets))


def _root(signature: str, size: int, targets: list[str]) -> Table:
    pointers = [Pointer(HEADER + size * index, size, target) for index, target in enumerate(targets)]
    return table(signature, 1, bytes(size * len(targets)), pointers=pointers)


def rsdp() -> Table:
    """Root system description pointer, of ACPI 2.0: to the RSDT and the XSDT."""
    data = struct.pack("<8sB6sBIIQB3x", b"RSD PTR ", 0, OEM, 2, 0, 36, 0, 0)
    pointers = (Pointer(16, 4, "RSDT"), Pointer(24, 8, "XSDT"))
    return Table("RSDP", data, pointers, (Checksum(8, 0, 20), Checksum(32, 0, 36)))


def facs() -> Table:
    """Firmware ACPI control structure: the waking vector and the global lock, which firmware and system share."""
    return Table("FACS", struct.pack("<4sIIIIIQB31x", b"FACS", 64, 0, 0, 0, 0, 0, 1), alignment=FACS_ALIGNMENT)


# --- FADT ------------------------------------------------------------------------------------------------------------

WBINVD, PROC_C1, SLP_BUTTON, RTC_S4, RESET_REG_SUP = 1 << 0, 1 << 2, 1 << 5, 1 << 7, 1 << 10
LEGACY_DEVICES, KEYBOARD_CONTROLLER = 1 << 0, 1 << 1
NO_LATENCY = 0xFFF
"""A latency beyond those of C2 and C3: the CPU doesn't have these states."""


@dataclass(repr=False, eq=False)
class PowerManagement:
    """What the FADT says of the machine's fixed hardware. Addresses are ports."""

    sci: int
    event: int
    control: int
    timer: int
    gpe0: int
    gpe0_length: int
    smi_command: int = 0
    enable: int = 0
    disable: int = 0
    reset: tuple[int, int] | None = None
    """A port and what is written there."""
    century: int = 0
    """Where the real-time clock has it."""
    boot_flags: int = LEGACY_DEVICES
    flags: int = WBINVD | PROC_C1 | SLP_BUTTON | RTC_S4


def _port(address: int, width: int, access: int = 0) -> bytes:
    """A generic address of `width` bits."""
    return struct.pack("<BBBBQ", 1, width, 0, access, address)


def fadt(power: PowerManagement) -> Table:
    """Fixed ACPI description table, of ACPI 2.0."""
    flags = power.flags | (RESET_REG_SUP if power.reset else 0)
    port, value = power.reset or (0, 0)
    none = bytes(12)
    body = b"".join(
        [
            struct.pack("<II", 0, 0),  # FACS, DSDT
            struct.pack("<BBHIBBBB", 0, 0, power.sci, power.smi_command, power.enable, power.disable, 0, 0),
            struct.pack("<IIIIIIII", power.event, 0, power.control, 0, 0, power.timer, power.gpe0, 0),
            struct.pack("<BBBBBBBB", 4, 2, 0, 4, power.gpe0_length, 0, 0, 0),
            struct.pack("<HHHHBBBBBHBI", NO_LATENCY, NO_LATENCY, 0, 0, 0, 0, 0, 0, power.century,
                        power.boot_flags, 0, flags),
            (_port(port, 8, 1) if power.reset else none) + struct.pack("<B3x", value),
            struct.pack("<QQ", 0, 0),  # FACS, which the 32-bit field has, and DSDT
            _port(power.event, 32), none,
            _port(power.control, 16), none, none,
            _port(power.timer, 32),
            _port(power.gpe0, 8 * power.gpe0_length), none,
        ]
    )  # fmt: skip
    pointers = [Pointer(36, 4, "FACS"), Pointer(40, 4, "DSDT"), Pointer(140, 8, "DSDT")]
    return table("FACP", 3, body, name="FADT", pointers=pointers)


# --- MADT ------------------------------------------------------------------------------------------------------------


@dataclass(repr=False, eq=False)
class Interrupts:
    """What the MADT says."""

    local_apic: int = 0xFEE0_0000
    pic: bool = True
    """Whether there are 8259s too."""
    local_apics: list[bytes] = field(default_factory=list)
    io_apics: list[bytes] = field(default_factory=list)
    overrides: list[bytes] = field(default_factory=list)
    """Said only if there are I/O APICs."""

    def entries(self) -> list[bytes]:
        """What the table lists."""
        return [*self.local_apics, *self.io_apics, *(self.overrides if self.io_apics else [])]


def madt(interrupts: Interrupts) -> Table:
    """Multiple APIC description table."""
    head = struct.pack("<II", interrupts.local_apic, interrupts.pic)
    return table("APIC", 3, head + b"".join(interrupts.entries()), name="MADT")


def local_apic(uid: int, apic_id: int, *, enabled: bool = True) -> bytes:
    """A CPU, whose device in AML has the _UID `uid`."""
    return struct.pack("<BBBBI", 0, 8, uid, apic_id, enabled)


def io_apic(number: int, address: int, first: int = 0) -> bytes:
    """An I/O APIC, whose inputs are the global system interrupts from `first` on."""
    return struct.pack("<BBBBII", 1, 12, number, 0, address, first)


def override(line: int, interrupt: int, flags: int = 0) -> bytes:
    """ISA's interrupt line `line` is the global system interrupt `interrupt`."""
    return struct.pack("<BBBBIH", 2, 10, 0, line, interrupt, flags)


def local_nmi(pin: int, uid: int = 0xFF) -> bytes:
    """NMI comes in on pin LINT0 or LINT1 of a CPU, or (FFh) of all of them."""
    return struct.pack("<BBBHB", 4, 6, uid, 0, pin)


def hpet(block: int, address: int, minimum: int) -> Table:
    """High precision event timer table: the low half of its capabilities, where it is, a period's least ticks."""
    body = struct.pack("<IBBBBQBHB", block, 0, 0, 0, 0, address, 0, minimum, 0)
    return table("HPET", 1, body)
