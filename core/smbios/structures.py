"""The structures of SMBIOS 2.8 (DMTF DSP0134, version 2.8.0, chapter 7), each as its bytes.

Offsets and names are the specification's. A number of 0, or FFh's, says that something is unknown, where it says so.
"""

from __future__ import annotations

import struct

from .identity import Identity

HEADER = 4
NONE = 0xFFFF
"""A handle: there is no such structure."""
NOT_PROVIDED = 0xFFFE
"""A handle: whether there was an error isn't told."""
KIB, MIB = 1 << 10, 1 << 20
EXTENDED = 0x7FFF
"""A memory device's size: the extended size has it."""
IN_KIB = 0x8000
"""In a memory device's size: it is in KiB, not in MiB."""
OTHER, UNKNOWN, SAFE = 1, 2, 3


class Structure:
    """A structure of `kind` while it is put together: fields after its header, then the strings that they number."""

    def __init__(self, kind: int, handle: int) -> None:
        self._kind = kind
        self._handle = handle
        self._fields = b""
        self._strings: list[str] = []

    def add(self, form: str, *values: int | bytes) -> None:
        """Adds fields, packed as `struct` has it."""
        self._fields += struct.pack("<" + form, *values)

    def text(self, text: str) -> None:
        """Adds a field for `text`: the number of a string; 0 for an empty one."""
        if text and text not in self._strings:
            self._strings.append(text)
        self.add("B", self._strings.index(text) + 1 if text else 0)

    def bytes(self) -> bytes:
        """All of it."""
        head = struct.pack("<BBH", self._kind, HEADER + len(self._fields), self._handle)
        strings = b"".join(text.encode("ascii") + b"\0" for text in self._strings) or b"\0"
        return head + self._fields + strings + b"\0"


def bios(handle: int, version: str, release: tuple[int, int]) -> bytes:
    """Type 0: the firmware, of a virtual machine; for one that boots without any."""
    it = Structure(0, handle)
    it.text("Southbridge")
    it.text(version)
    it.add("H", 0xF000)  # starting segment
    it.text("01/01/2026")
    it.add("B", 0)  # ROM of 64 KiB
    it.add("Q", 1 << 3)  # characteristics aren't supported
    it.add("BB", 0, 1 << 2 | 1 << 4)  # targeted content distribution, virtual machine
    it.add("BBBB", *release, 0xFF, 0xFF)
    return it.bytes()


def system(handle: int, identity: Identity) -> bytes:
    """Type 1: the machine."""
    it = Structure(1, handle)
    it.text(identity.manufacturer)
    it.text(identity.product)
    it.text(identity.version)
    it.text(identity.serial)
    it.add("16s", identity.uuid.bytes_le if identity.uuid else bytes(16))
    it.add("B", 6)  # woken by its power switch
    it.text(identity.sku)
    it.text(identity.family)
    return it.bytes()


def chassis(handle: int, identity: Identity) -> bytes:
    """Type 3: the chassis that nobody sees."""
    it = Structure(3, handle)
    it.text(identity.manufacturer)
    it.add("B", OTHER)
    it.text(identity.version)
    it.text(identity.serial)
    it.text("")  # asset tag
    it.add("BBBB", SAFE, SAFE, SAFE, UNKNOWN)  # boot, power supply, thermal, security
    it.add("IBBBB", 0, 0, 0, 0, 0)  # OEM's; height, power cords, contained elements and their length
    it.text(identity.sku)
    return it.bytes()


def processor(handle: int, socket: str, vendor: str, name: str, identification: bytes, cores: int, wide: bool) -> bytes:
    """Type 4: a socket with a CPU of so many cores. `identification`: EAX and EDX of CPUID 1; `wide`: of 64 bits."""
    it = Structure(4, handle)
    count = cores if cores < 0xFF else 0
    it.text(socket)
    it.add("BB", 3, OTHER)  # a central processor; family
    it.text(vendor)
    it.add("8s", identification)
    it.text(name)
    it.add("BHHH", 0, 0, 0, 0)  # voltage, external clock, maximum and current speed
    it.add("BB", 1 << 6 | 1, OTHER)  # populated, enabled; upgrade
    it.add("HHH", NONE, NONE, NONE)  # caches
    for _ in ("serial number", "asset tag", "part number"):
        it.text("")
    it.add("BBB", count, count, count)  # cores, those enabled, threads
    it.add("H", 1 << 2 if wide else 1 << 1)
    it.add("H", OTHER)  # family, again
    return it.bytes()


def memory_array(handle: int, size: int, devices: int) -> bytes:
    """Type 16: the board's memory, of `size` bytes in so many devices."""
    it = Structure(16, handle)
    kib = size // KIB
    small = kib < 1 << 31
    it.add("BBB", 3, 3, 3)  # on the mainboard, as system memory, without error correction
    it.add("IHHQ", kib if small else 1 << 31, NOT_PROVIDED, devices, 0 if small else size)
    return it.bytes()


def memory_device(handle: int, array: int, number: int, size: int) -> bytes:
    """Type 17: module `number`, of `size` bytes, in the array with that handle."""
    it = Structure(17, handle)
    mib = size // MIB
    short, extended = mib, 0
    if size % MIB and size < 32 * MIB:
        short = IN_KIB | size // KIB
    elif mib >= EXTENDED:
        short, extended = EXTENDED, mib
    it.add("HHHHHBB", array, NOT_PROVIDED, 64, 64, short, 9, 0)  # widths; a DIMM, of no set
    it.text(f"DIMM {number}")
    it.text("")  # bank
    it.add("BHH", 0x0F, 1 << 7, 0)  # SDRAM, synchronous; speed
    it.text("Southbridge")
    for _ in ("serial number", "asset tag", "part number"):
        it.text("")
    it.add("BIHHHH", 1, extended, 0, 0, 0, 0)  # ranks; configured speed, voltages
    return it.bytes()


def memory_mapping(handle: int, array: int, start: int, size: int, width: int) -> bytes:
    """Type 19: where memory of the array is, which so many devices share."""
    it = Structure(19, handle)
    first, last = start // KIB, (start + size) // KIB - 1
    small = last < 0xFFFF_FFFF
    it.add("II", *((first, last) if small else (0xFFFF_FFFF, 0xFFFF_FFFF)))
    it.add("HB", array, width)
    it.add("QQ", *((0, 0) if small else (start, start + size - 1)))
    return it.bytes()


def boot_information(handle: int) -> bytes:
    """Type 32: the last boot went well."""
    it = Structure(32, handle)
    it.add("6sB", bytes(6), 0)
    return it.bytes()


def end(handle: int) -> bytes:
    """Type 127: there are no more."""
    return Structure(127, handle).bytes()
