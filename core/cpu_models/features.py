"""CPUID's feature bits by name (SDM volume 2A, CPUID; AMD's APM volume 3, appendix E).

The names are those that QEMU's users type (`-cpu qemu64,+pni`). An accelerator that lacks a feature names it so.
"""

from __future__ import annotations

from typing import NamedTuple


class Word(NamedTuple):
    """A register of a leaf that has feature bits."""

    leaf: int
    subleaf: int
    register: str


class Bit(NamedTuple):
    """Where a feature is."""

    word: Word
    number: int


_WORDS: dict[Word, tuple[str, ...]] = {
    Word(1, 0, "edx"): (
        "0 fpu vme de pse tsc msr pae mce cx8 apic",
        "11 sep mtrr pge mca cmov pat pse36 pn clflush",
        "21 ds acpi mmx fxsr sse sse2 ss ht tm ia64 pbe",
    ),
    Word(1, 0, "ecx"): (
        "0 pni pclmulqdq dtes64 monitor ds-cpl vmx smx est tm2 ssse3 cid",
        "12 fma cx16 xtpr pdcm",
        "17 pcid dca sse4.1 sse4.2 x2apic movbe popcnt tsc-deadline aes xsave",
        "28 avx f16c rdrand hypervisor",
    ),
    Word(6, 0, "eax"): ("2 arat",),
    Word(7, 0, "ebx"): (
        "0 fsgsbase tsc-adjust sgx bmi1 hle avx2",
        "7 smep bmi2 erms invpcid rtm",
        "14 mpx",
        "16 avx512f avx512dq rdseed adx smap avx512ifma pcommit clflushopt clwb intel-pt avx512pf avx512er avx512cd",
        "29 sha-ni avx512bw avx512vl",
    ),
    Word(7, 0, "ecx"): (
        "1 avx512vbmi umip pku",
        "5 waitpkg avx512vbmi2",
        "8 gfni vaes vpclmulqdq avx512vnni avx512bitalg",
        "14 avx512-vpopcntdq",
        "16 la57",
        "22 rdpid",
        "24 bus-lock-detect cldemote",
        "27 movdiri movdir64b",
    ),
    Word(7, 0, "edx"): (
        "2 avx512-4vnniw avx512-4fmaps fsrm",
        "8 avx512-vp2intersect",
        "10 md-clear",
        "14 serialize",
        "16 tsx-ldtrk",
        "22 amx-bf16 avx512-fp16 amx-tile amx-int8 spec-ctrl stibp flush-l1d arch-capabilities core-capability ssbd",
    ),
    Word(7, 1, "eax"): ("4 avx-vnni avx512-bf16", "10 fzrm fsrs fsrc"),
    Word(0xD, 1, "eax"): ("0 xsaveopt xsavec xgetbv1 xsaves",),
    Word(0x8000_0001, 0, "edx"): (
        "11 syscall",
        "20 nx",
        "22 mmxext",
        "25 fxsr-opt pdpe1gb rdtscp",
        "29 lm 3dnowext 3dnow",
    ),
    Word(0x8000_0001, 0, "ecx"): (
        "0 lahf-lm cmp-legacy svm extapic cr8legacy abm sse4a misalignsse 3dnowprefetch osvw ibs xop skinit wdt",
        "15 lwp fma4 tce",
        "19 nodeid-msr",
        "21 tbm topoext perfctr-core perfctr-nb",
    ),
    Word(0x8000_0007, 0, "edx"): ("8 invtsc",),
    Word(0x8000_0008, 0, "ebx"): (
        "0 clzero",
        "2 xsaveerptr",
        "9 wbnoinvd",
        "12 ibpb",
        "14 ibrs amd-stibp",
        "24 amd-ssbd virt-ssbd amd-no-ssb",
    ),
}
"""Names of consecutive bits, behind the number of the first."""


def _bits() -> dict[str, Bit]:
    bits = {}
    for word, runs in _WORDS.items():
        for run in runs:
            first, *names = run.split()
            for number, name in enumerate(names, int(first)):
                bits[name] = Bit(word, number)
    return bits


FEATURES = _bits()
"""Every feature that has a name."""

AMD_ALIASES = 0x0183_F3FF
"""Bits of leaf 1's EDX that AMD's CPUs repeat in leaf 8000_0001h's."""

APIC_BIT = 1 << FEATURES["apic"].number
OSXSAVE_BIT = 1 << 27
"""In leaf 1's ECX: CR4.OSXSAVE."""
OSPKE_BIT = 1 << 4
"""In leaf 7's ECX: CR4.PKE."""
HTT_BIT = 1 << FEATURES["ht"].number
CMP_LEGACY_BIT = 1 << FEATURES["cmp-legacy"].number


def names_in(word: Word, value: int) -> list[str]:
    """The features whose bits are set in `value`, which `word` gave."""
    return [name for name, bit in FEATURES.items() if bit.word == word and value >> bit.number & 1]


def words_of(features: frozenset[str]) -> dict[Word, int]:
    """What each word gives for `features`. Raises KeyError for an unknown one."""
    words = dict.fromkeys(_WORDS, 0)
    for name in features:
        bit = FEATURES[name]
        words[bit.word] |= 1 << bit.number
    return words
