"""Model-specific registers that come with a CPU model, and that no part of the CPU or of the machine has.

Operating systems read them to find out, and write some to work around errata. The values are the ones that KVM gives,
so that a guest sees the same with and without it. Any other register is #GP.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import NamedTuple


class ModelMsr(NamedTuple):
    """A register that remembers its `writable` bits. Writes that change other bits are #GP, but for `ignored` ones."""

    reset: int = 0
    writable: int = 0
    ignored: int = 0

    def written(self, old: int, value: int) -> int | None:
        """What the register holds after writing `value` over `old`; None: #GP."""
        if (old ^ value) & ~(self.writable | self.ignored):
            return None
        return old & ~self.writable | value & self.writable


_ALL = (1 << 64) - 1

_COMMON = {
    0x017: ModelMsr(),  # IA32_PLATFORM_ID
    0x02A: ModelMsr(),  # EBL_CR_POWERON
    0x079: ModelMsr(ignored=_ALL),  # IA32_BIOS_UPDT_TRIG: an update of the microcode
    0x0CD: ModelMsr(reset=3),  # FSB_FREQ: 166 MHz
    0x179: ModelMsr(reset=0x10A),  # IA32_MCG_CAP: ten banks, and MCG_CTL
    0x198: ModelMsr(reset=4 << 40 | 1000),  # IA32_PERF_STATUS
    0x199: ModelMsr(),  # IA32_PERF_CTL
    0x1D9: ModelMsr(ignored=3),  # IA32_DEBUGCTL: neither LBR nor BTF
    **dict.fromkeys(range(0x1DB, 0x1DF), ModelMsr()),  # branch and interrupt records
}

INTEL_MSRS: Mapping[int, ModelMsr] = MappingProxyType(
    {
        **_COMMON,
        0x08B: ModelMsr(reset=1 << 32, ignored=_ALL),  # IA32_BIOS_SIGN_ID: the microcode's revision
        0x119: ModelMsr(reset=0xBE70_2111),  # BBL_CR_CTL3: the second-level cache is there and on
    }
)
"""Of Intel's CPUs (SDM volume 4)."""

AMD_MSRS: Mapping[int, ModelMsr] = MappingProxyType(
    {
        **_COMMON,
        0x08B: ModelMsr(reset=0x0100_0065, ignored=_ALL),  # PATCH_LEVEL
        **dict.fromkeys(range(0xC001_0000, 0xC001_0008), ModelMsr(ignored=_ALL)),  # performance counters
        0xC001_0010: ModelMsr(),  # SYSCFG
        # HWCR: McStatusWrEn is kept; TLB flush filter (FFDIS), monitor and IGNNE settings have no effect.
        0xC001_0015: ModelMsr(writable=1 << 18, ignored=1 << 3 | 1 << 6 | 1 << 8),
        0xC001_001F: ModelMsr(ignored=_ALL),  # NB_CFG
        0xC001_0020: ModelMsr(ignored=_ALL),  # PATCH_LOADER
        0xC001_0055: ModelMsr(),  # INT_PENDING_MSG
        **dict.fromkeys((0xC001_0112, 0xC001_0113), ModelMsr()),  # SMM_ADDR, SMM_MASK
        0xC001_1022: ModelMsr(ignored=_ALL),  # DC_CFG
        0xC001_102A: ModelMsr(ignored=_ALL),  # BU_CFG2
    }
)
"""Of AMD's (BIOS and Kernel Developer's Guide for family 0Fh, chapter 14)."""
