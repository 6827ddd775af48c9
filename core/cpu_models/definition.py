"""A CPU model in compact form, and CPUID's entries made of it."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import NamedTuple

from .cpuid import CpuidEntry
from .features import AMD_ALIASES, Word, words_of
from .model import CpuModel
from .model_msrs import AMD_MSRS, INTEL_MSRS

AMD, INTEL = "AuthenticAMD", "GenuineIntel"

_HYPERVISOR = b"Southbridge\0"
_CACHE_LINE = 64
_LINEAR_BITS = 48

_EXTENDED_CACHES = (
    CpuidEntry(0x8000_0005, None, 0x01FF_01FF, 0x01FF_01FF, 0x4002_0140, 0x4002_0140),
    CpuidEntry(0x8000_0006, None, 0, 0x4200_4200, 0x0200_8140, 0x0080_8140),
)
"""TLBs of 255 and 512 entries; caches of 64 KiB, 64 KiB, 512 KiB and 16 MiB (APM volume 3, E.4.4 and E.4.5)."""
_INTEL_CACHES = (
    CpuidEntry(2, None, 1, 0, 0x4D, 0x002C_307D),
    CpuidEntry(4, 0, 0x121, 0x01C0_003F, 0x3F, 1),
    CpuidEntry(4, 1, 0x122, 0x01C0_003F, 0x3F, 1),
    CpuidEntry(4, 2, 0x143, 0x03C0_003F, 0xFFF, 1),
    CpuidEntry(4, 3, 0x163, 0x03C0_003F, 0x3FFF, 6),
    CpuidEntry(4, 4),
)
"""Caches of 32 KiB, 32 KiB, 4 MiB and 16 MiB (SDM volume 2A, CPUID leaves 2 and 4)."""


class Definition(NamedTuple):
    """A model. `features` are separated by spaces; `level` is the highest basic leaf."""

    name: str
    vendor: str
    family: int
    model: int
    stepping: int
    level: int
    features: str
    brand: str
    physical_bits: int = 40

    @property
    def signature(self) -> int:
        """Leaf 1's EAX (SDM volume 2A, figure 3-6)."""
        family, extended = (self.family, 0) if self.family < 15 else (15, self.family - 15)
        return self.stepping | (self.model & 15) << 4 | family << 8 | (self.model >> 4) << 16 | extended << 20

    def build(self) -> CpuModel:
        """The model."""
        msrs = AMD_MSRS if self.vendor == AMD else INTEL_MSRS
        return CpuModel(self.name, tuple(self._entries()), msrs)

    def _entries(self) -> Iterator[CpuidEntry]:
        words = words_of(frozenset(self.features.split()))
        vendor = struct.unpack("<3I", self.vendor.encode())
        ebx, edx, ecx = vendor

        def word(leaf: int, register: str, subleaf: int = 0) -> int:
            return words[Word(leaf, subleaf, register)]

        yield CpuidEntry(0, None, self.level, ebx, ecx, edx)
        yield CpuidEntry(1, None, self.signature, _CACHE_LINE // 8 << 8, word(1, "ecx"), word(1, "edx"))
        if self.vendor == INTEL:
            yield from (entry for entry in _INTEL_CACHES if entry.leaf <= self.level)
        if self.level >= 6:
            yield CpuidEntry(6, None, eax=word(6, "eax"))
        if self.level >= 7:
            yield CpuidEntry(7, 0, 0, word(7, "ebx"), word(7, "ecx"), word(7, "edx"))
        if self.level >= 0xB:
            yield CpuidEntry(0xB, 0, 0, 1, 0x100)
            yield CpuidEntry(0xB, 1, 0, 1, 0x201)
        yield CpuidEntry(0x4000_0000, None, 0x4000_0000, *struct.unpack("<3I", _HYPERVISOR))
        yield from self._extended(words, vendor)

    def _extended(self, words: dict[Word, int], vendor: tuple[int, ...]) -> Iterator[CpuidEntry]:
        ebx, edx, ecx = vendor
        first = 0x8000_0001
        features = words[Word(first, 0, "edx")]
        if self.vendor == AMD:
            features |= words[Word(1, 0, "edx")] & AMD_ALIASES
        yield CpuidEntry(0x8000_0000, None, 0x8000_0008, ebx, ecx, edx)
        yield CpuidEntry(first, None, self.signature, 0, words[Word(first, 0, "ecx")], features)
        brand = self.brand.encode().ljust(48, b"\0")
        for number in range(3):
            registers = struct.unpack_from("<4I", brand, 16 * number)
            yield CpuidEntry(0x8000_0002 + number, None, *registers)
        yield from _EXTENDED_CACHES
        yield CpuidEntry(0x8000_0007, None, edx=words[Word(0x8000_0007, 0, "edx")])
        sizes = _LINEAR_BITS << 8 | self.physical_bits
        yield CpuidEntry(0x8000_0008, None, sizes, words[Word(0x8000_0008, 0, "ebx")])
