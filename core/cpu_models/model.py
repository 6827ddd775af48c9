"""A CPU model: CPUID's entries, and what follows from them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from types import MappingProxyType

from .cpuid import AMD_VENDORS, CpuidEntry, CpuidTable
from .features import CMP_LEGACY_BIT, FEATURES, HTT_BIT, OSPKE_BIT, OSXSAVE_BIT
from .model_msrs import AMD_MSRS, INTEL_MSRS, ModelMsr

_TOPOLOGY, _TOPOLOGY_2 = 0xB, 0x1F
_CACHES, _AMD_CACHES = 4, 0x8000_001D
_MOST_CORES = 64
"""So many are what leaf 4 can tell of, in six bits; the topology (leaf Bh) has them all."""
_EXTENDED_FEATURES, _SIZES, _AMD_TOPOLOGY = 0x8000_0001, 0x8000_0008, 0x8000_001E
_DEFAULT_PHYSICAL_BITS = 36


@dataclass(frozen=True)
class CpuModel:
    """What a CPU shows of itself. `entries` are those of the only CPU of a machine; `from_cpuid` makes one of raw ones.

    CPUs of one machine are cores of one package, and CPU `n` has the APIC ID `n`.
    """

    name: str
    entries: tuple[CpuidEntry, ...]
    msrs: Mapping[int, ModelMsr] = field(default_factory=lambda: MappingProxyType({}))
    """Model-specific registers that nothing else has."""

    @classmethod
    def from_cpuid(
        cls, name: str, entries: Iterable[CpuidEntry], msrs: Mapping[int, ModelMsr] | None = None
    ) -> CpuModel:
        """The model that CPUID describes by `entries`, which may come from a running CPU: what they tell of its place
        among others, and of its registers, is left out. Without `msrs` it gets its vendor's.
        """
        kept = tuple(_without_registers(entry) for entry in entries if entry.leaf != _TOPOLOGY_2)
        model = cls(name, kept)
        if msrs is None:
            msrs = AMD_MSRS if model.is_amd else INTEL_MSRS
        return cls(name, tuple(model.cpuid(0, 1)), msrs)

    @cached_property
    def features(self) -> frozenset[str]:
        """Names of what the CPU has, QEMU's."""
        present = set()
        for name, bit in FEATURES.items():
            registers = dict(zip(("eax", "ebx", "ecx", "edx"), self._table.static(*bit.word[:2]), strict=True))
            if self._has(bit.word.leaf, bit.word.subleaf) and registers[bit.word.register] >> bit.number & 1:
                present.add(name)
        return frozenset(present)

    @property
    def vendor(self) -> str:
        """Twelve characters, such as AuthenticAMD."""
        _, ebx, ecx, edx = self._table.static(0, 0)
        return b"".join(part.to_bytes(4, "little") for part in (ebx, edx, ecx)).decode("latin-1")

    @property
    def is_amd(self) -> bool:
        """Whether it answers as AMD's CPUs do."""
        return self.vendor.encode("latin-1") in AMD_VENDORS

    @property
    def signature(self) -> int:
        """Family, model and stepping: EAX of leaf 1, and EDX after power-on."""
        return self._table.static(1, 0)[0]

    @property
    def physical_bits(self) -> int:
        """How wide a guest-physical address is."""
        return self._table.static(_SIZES, 0)[0] & 0xFF if self._has(_SIZES, 0) else _DEFAULT_PHYSICAL_BITS

    def cpuid(self, index: int, cpus: int) -> list[CpuidEntry]:
        """CPUID's entries for CPU `index` of `cpus`. Bits that follow a register of the CPU are as after power-on: APIC
        set, OSXSAVE and OSPKE clear (`CpuidTable.answer` has them follow).
        """
        if not 0 <= index < cpus <= 255:
            raise ValueError(f"CPU {index} of {cpus}")
        return [self._placed(entry, index, cpus) for entry in self.entries]

    @cached_property
    def _table(self) -> CpuidTable:
        return CpuidTable(self.entries)

    def _has(self, leaf: int, subleaf: int) -> bool:
        return any(entry.leaf == leaf and entry.subleaf in (None, subleaf) for entry in self.entries)

    def _placed(self, entry: CpuidEntry, index: int, cpus: int) -> CpuidEntry:
        width = (cpus - 1).bit_length()
        several = cpus > 1
        match entry.leaf:
            case 1:
                ebx = entry.ebx & 0xFFFF | (cpus << 16 if several else 0) | index << 24
                return entry._replace(ebx=ebx, edx=entry.edx & ~HTT_BIT | (HTT_BIT if several else 0))
            case 4 | 0x8000_001D if entry.eax & 0x1F:
                # Only a cache of the third level is shared.
                shared = (1 << width) - 1 if entry.eax >> 5 & 7 >= 3 else 0
                cores = min(cpus, _MOST_CORES) - 1 if entry.leaf == _CACHES else 0
                return entry._replace(eax=entry.eax & 0x3FFF | shared << 14 | cores << 26)
            case 0xB:
                level = (0, 1) if entry.subleaf == 0 else (width, cpus)
                kind = 1 if entry.subleaf == 0 else 2
                return entry._replace(eax=level[0], ebx=level[1], ecx=kind << 8 | (entry.subleaf or 0), edx=index)
            case 0x8000_0001 if self.is_amd:
                return entry._replace(ecx=entry.ecx & ~CMP_LEGACY_BIT | (CMP_LEGACY_BIT if several else 0))
            case 0x8000_0008:
                return entry._replace(ecx=width << 12 | cpus - 1)
            case 0x8000_001E:
                return entry._replace(eax=index, ebx=index, ecx=0)
        return entry


def _without_registers(entry: CpuidEntry) -> CpuidEntry:
    """`entry` without what follows registers of the CPU that gave it."""
    if entry.leaf == 1:
        return entry._replace(ecx=entry.ecx & ~OSXSAVE_BIT)
    if entry.leaf == 7 and entry.subleaf in (0, None):
        return entry._replace(ecx=entry.ecx & ~OSPKE_BIT)
    return entry
