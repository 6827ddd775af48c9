"""The machine's CPU model, as the engine executes it: which models it can be, and what QEMU's translator is told."""

from __future__ import annotations

from southbridge.cpu_models import CpuidTable, CpuModel
from southbridge.cpu_models.features import Word
from southbridge.errors import SouthbridgeError

from . import structures
from .engine import PHYSICAL_BITS, Engine

_BASIC = (
    "fpu de pse tsc msr pae mce cx8 apic sep mtrr pge mca cmov pat pse36 clflush mmx fxsr sse sse2 ss ht hypervisor"
)
_VECTORS = "pni ssse3 sse4.1 sse4.2 popcnt pclmulqdq aes mmxext abm bmi1 bmi2 adx"
_SYSTEM = "syscall nx lm pdpe1gb rdtscp fsgsbase smep smap tsc-adjust tsc-deadline arat invtsc"
_OTHER = "cx16 movbe lahf-lm cmp-legacy cr8legacy 3dnowprefetch erms"
FEATURES = frozenset(f"{_BASIC} {_VECTORS} {_SYSTEM} {_OTHER}".split())
"""What it executes right. The TSC-deadline timer is the machine's local APIC's."""

_WORDS = {
    Word(1, 0, "edx"): structures.FEAT_1_EDX,
    Word(1, 0, "ecx"): structures.FEAT_1_ECX,
    Word(7, 0, "ebx"): structures.FEAT_7_0_EBX,
    Word(7, 0, "ecx"): structures.FEAT_7_0_ECX,
    Word(7, 0, "edx"): structures.FEAT_7_0_EDX,
    Word(0x8000_0001, 0, "edx"): structures.FEAT_8000_0001_EDX,
    Word(0x8000_0001, 0, "ecx"): structures.FEAT_8000_0001_ECX,
    Word(0x8000_0007, 0, "edx"): structures.FEAT_8000_0007_EDX,
    Word(0x8000_0008, 0, "ebx"): structures.FEAT_8000_0008_EBX,
}
_REGISTERS = ("eax", "ebx", "ecx", "edx")


def check(model: CpuModel) -> None:
    """Raises SouthbridgeError unless the engine's CPU can be `model`."""
    missing = sorted(model.features - FEATURES)
    if missing:
        raise SouthbridgeError(f"accelerator unicorn: CPU model {model.name} has what it lacks: {', '.join(missing)}")
    if model.physical_bits != PHYSICAL_BITS:
        raise SouthbridgeError(
            f"accelerator unicorn: CPU model {model.name} has physical addresses of {model.physical_bits} bits; "
            f"only {PHYSICAL_BITS} can be had"
        )


def apply(engine: Engine, model: CpuModel, index: int, cpus: int) -> CpuidTable:
    """Makes the engine's CPU one that has `model`'s features: what it lacks is an undefined instruction. Gives what
    CPUID shows.
    """
    table = CpuidTable(model.cpuid(index, cpus))
    env = engine.env
    env.features[:] = [0] * structures.FEATURE_WORDS
    for word, number in _WORDS.items():
        env.features[number] = table.static(word.leaf, word.subleaf)[_REGISTERS.index(word.register)]
    _, *vendor = table.static(0, 0)
    env.cpuid_vendor[:] = [vendor[0], vendor[2], vendor[1]]
    env.cpuid_version = model.signature
    return table
