"""CPUID's answers: a table, and what the instruction makes of it."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from .features import APIC_BIT, OSPKE_BIT, OSXSAVE_BIT

Registers = tuple[int, int, int, int]
"""EAX, EBX, ECX, EDX."""

AMD_VENDORS = (b"AuthenticAMD", b"HygonGenuine")

_TOPOLOGY = (0xB, 0x1F)
_XSAVE = 0xD
_FEATURES = 0x8000_0001
_HYPERVISOR = 0x4000_0000

CR4_OSXSAVE = 1 << 18
CR4_PKE = 1 << 22
APIC_BASE_ENABLED = 1 << 11
"""In IA32_APIC_BASE."""

_LEGACY_XSAVE_SIZE = 0x240
"""The FXSAVE area and XSAVE's header."""


class CpuidEntry(NamedTuple):
    """What CPUID gives for a leaf; a `subleaf` of None: whatever ECX is."""

    leaf: int
    subleaf: int | None
    eax: int = 0
    ebx: int = 0
    ecx: int = 0
    edx: int = 0

    @property
    def registers(self) -> Registers:
        """EAX, EBX, ECX, EDX."""
        return self.eax, self.ebx, self.ecx, self.edx


class CpuidTable:
    """Entries, looked up as a CPU does: a leaf that it doesn't have gives zeros on AMD's CPUs, and on Intel's, beyond
    the highest one, what the highest basic leaf gives (SDM volume 2A, CPUID). So KVM does, too.
    """

    def __init__(self, entries: Iterable[CpuidEntry]) -> None:
        self._entries = {(entry.leaf, entry.subleaf): entry.registers for entry in entries}
        limits = {leaf: registers[0] for (leaf, _), registers in self._entries.items() if leaf & 0xFFFF == 0}
        self._limits = limits
        _, ebx, ecx, edx = self._find(0, 0) or (0, 0, 0, 0)
        vendor = b"".join(part.to_bytes(4, "little") for part in (ebx, edx, ecx))
        self._zeros_beyond = vendor in AMD_VENDORS or not limits

    def answer(
        self, leaf: int, subleaf: int, *, cr4: int = 0, xcr0: int = 1, apic_base: int = APIC_BASE_ENABLED
    ) -> Registers:
        """What CPUID gives with `leaf` in EAX and `subleaf` in ECX, for a CPU with these registers."""
        eax, ebx, ecx, edx = self.static(leaf, subleaf)
        if leaf == 1:
            if cr4 & CR4_OSXSAVE:
                ecx |= OSXSAVE_BIT
            if not apic_base & APIC_BASE_ENABLED:
                edx &= ~APIC_BIT
        elif leaf == _FEATURES and self._zeros_beyond:
            if not apic_base & APIC_BASE_ENABLED:
                edx &= ~APIC_BIT
        elif leaf == 7 and subleaf == 0 and cr4 & CR4_PKE:
            ecx |= OSPKE_BIT
        elif leaf == _XSAVE and subleaf == 0 and eax:
            ebx = self._xsave_size(xcr0)
        return eax, ebx, ecx, edx

    def is_dynamic(self, leaf: int) -> bool:
        """Whether what a leaf gives may change while the CPU runs."""
        return leaf in (1, 7, _XSAVE, _FEATURES)

    def static(self, leaf: int, subleaf: int) -> Registers:
        """`answer`, without what the CPU's registers change."""
        found = self._find(leaf, subleaf)
        if found is None and not self._in_range(leaf):
            leaf = self._limits[0]
            found = self._find(leaf, subleaf)
        if found is None and leaf in _TOPOLOGY:
            level = self._find(leaf, 1)
            if level is not None:
                return 0, 0, subleaf & 0xFF, level[3]
        return found or (0, 0, 0, 0)

    def _find(self, leaf: int, subleaf: int) -> Registers | None:
        return self._entries.get((leaf, None)) or self._entries.get((leaf, subleaf))

    def _in_range(self, leaf: int) -> bool:
        if self._zeros_beyond:
            return True
        kind = leaf & 0xFFFF_FF00 if leaf >> 28 == _HYPERVISOR >> 28 else leaf & 0x8000_0000
        if leaf >= 0xC000_0000:
            kind = 0xC000_0000
        return leaf <= self._limits.get(kind, -1)

    def _xsave_size(self, xcr0: int) -> int:
        size = _LEGACY_XSAVE_SIZE
        for component in range(2, 63):
            if xcr0 >> component & 1:
                length, offset, _, _ = self._find(_XSAVE, component) or (0, 0, 0, 0)
                size = max(size, offset + length)
        return size
