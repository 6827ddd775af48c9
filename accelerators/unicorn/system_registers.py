"""Control registers and model-specific registers, beyond what Unicorn makes of them (SDM 3A, 2.5, and 4).

Unicorn keeps the architectural registers; here is what it doesn't look at: what a register doesn't take is #GP. The TSC
can be written. Registers that a part of the machine has (a local APIC) or the CPU model are the machine's; a
register that nobody has is #GP.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from southbridge.x86 import MSR_EFER, MSR_TSC

from .engine import PHYSICAL_BITS, Engine
from .flags import HIDDEN_CS64
from .helpers import DONE, FAULT, ORIGINAL
from .state import MSR_TSC_ADJUST, MSRS

if TYPE_CHECKING:
    from southbridge.machine import Machine

_RAX, _RCX, _RDX = 0, 1, 2
_MASK32, _MASK64 = (1 << 32) - 1, (1 << 64) - 1

_MSR_MTRR_CAP = 0xFE
_SYSENTER_ESP, _SYSENTER_EIP = 0x175, 0x176
_MCG_STATUS, _MCG_CTL = 0x17A, 0x17B
_VARIABLE_MTRRS = range(0x200, 0x210)
_FIXED_MTRRS = (0x250, 0x258, 0x259, *range(0x268, 0x270))
_PAT, _MTRR_DEFAULT = 0x277, 0x2FF
_MACHINE_CHECK_BANKS = range(0x400, 0x428)
_FS_BASE, _GS_BASE, _KERNEL_GS_BASE, _TSC_AUX = 0xC000_0100, 0xC000_0101, 0xC000_0102, 0xC000_0103
_LSTAR, _CSTAR = 0xC000_0082, 0xC000_0083
_LINEAR_ADDRESSES = (_FS_BASE, _GS_BASE, _KERNEL_GS_BASE, _LSTAR, _CSTAR)

_EFER_SCE, _EFER_LME, _EFER_LMA, _EFER_NXE = 1 << 0, 1 << 8, 1 << 10, 1 << 11

_CR0_PE, _CR0_NW, _CR0_CD, _CR0_PG = 1 << 0, 1 << 29, 1 << 30, 1 << 31
_CR0_DEFINED = 0xE005_003F
_CR4_PAE = 1 << 5
_CR4_ALWAYS = 0x7FF
"""VME to OSXMMEXCPT."""
_CR4_BY_FEATURE = {"fsgsbase": 1 << 16, "smep": 1 << 20, "smap": 1 << 21}

_MEMORY_TYPES = frozenset((0, 1, 4, 5, 6))
"""Of an MTRR; a PAT entry has 7, uncached minus, too."""


class SystemRegisters:
    """The registers of one CPU: `helpers.Answers`."""

    def __init__(
        self, engine: Engine, machine: Machine, index: int, *, changed: Callable[[], object], fail: Callable[..., None]
    ) -> None:
        """`changed` is called, with the lock held, when what the CPU may be interrupted by may have changed; `fail` is
        told of what goes wrong.
        """
        self._engine = engine
        self._env = engine.env
        self._machine = machine
        self._index = index
        self._changed, self._fail = changed, fail
        features = machine.cpu.features
        self._efer = _EFER_LMA
        for name, bits in (("syscall", _EFER_SCE), ("lm", _EFER_LME), ("nx", _EFER_NXE)):
            self._efer |= bits if name in features else 0
        self._cr4 = _CR4_ALWAYS | sum(bit for name, bit in _CR4_BY_FEATURE.items() if name in features)
        self._has_tsc_adjust = "tsc-adjust" in features
        self._readable = {*MSRS, MSR_EFER, _FS_BASE, _GS_BASE, _MSR_MTRR_CAP}
        self._writers: dict[int, Callable[[int], int]] = self._make_writers()
        if "rdtscp" not in features:
            self._readable.remove(_TSC_AUX)
            del self._writers[_TSC_AUX]

    # --- helpers.Answers -----------------------------------------------------------------------------------------

    def read_msr(self) -> int:
        """See Answers."""
        try:
            registers = self._env.regs
            number = registers[_RCX] & _MASK32
            if number in self._readable:
                return ORIGINAL
            value = self._read(number)
            if value is None:
                return FAULT
            registers[_RAX], registers[_RDX] = value & _MASK32, value >> 32
        except BaseException as error:
            self._fail(error)
        return DONE

    def write_msr(self) -> int:
        """See Answers."""
        try:
            registers = self._env.regs
            number = registers[_RCX] & _MASK32
            value = registers[_RAX] & _MASK32 | (registers[_RDX] & _MASK32) << 32
            writer = self._writers.get(number)
            if writer is not None:
                return writer(value)
            with self._machine.lock:
                taken = self._machine.msrs.write(self._index, number, value)
                self._changed()
            return DONE if taken else FAULT
        except BaseException as error:
            self._fail(error)
        return DONE

    def read_cr8(self) -> int:
        """See Answers."""
        try:
            with self._machine.lock:
                apic = self._machine.cpus.local_apics.get(self._index)
                value: int = self._env.v_tpr if apic is None else apic.cr8
            return value
        except BaseException as error:
            self._fail(error)
        return 0

    def write_control(self, number: int, value: int) -> int:
        """See Answers."""
        try:
            if not self._env.hflags & HIDDEN_CS64:
                value &= _MASK32
            if number == 8:
                return self._write_cr8(value)
            return self._write_cr4(value) if number == 4 else self._write_cr0(value)
        except BaseException as error:
            self._fail(error)
        return DONE

    # --- control registers ---------------------------------------------------------------------------------------

    def _write_cr0(self, value: int) -> int:
        env = self._env
        if value >> 32 or value & (_CR0_NW | _CR0_CD) == _CR0_NW or value & (_CR0_PG | _CR0_PE) == _CR0_PG:
            return FAULT
        in_64_bit_code = env.segs[1].flags & 1 << 21
        if value & _CR0_PG:
            begins = not env.cr[0] & _CR0_PG and env.efer & _EFER_LME
            if begins and (in_64_bit_code or not env.cr[4] & _CR4_PAE):
                return FAULT
        elif env.hflags & HIDDEN_CS64:
            return FAULT
        if value & ~_CR0_DEFINED:
            self._engine.library.cpu_x86_update_cr0_x86_64(self._engine.env_address, value & _CR0_DEFINED)
            return DONE
        return ORIGINAL

    def _write_cr4(self, value: int) -> int:
        if value & ~self._cr4 or (self._env.efer & _EFER_LMA and not value & _CR4_PAE):
            return FAULT
        return ORIGINAL

    def _write_cr8(self, value: int) -> int:
        if value > 15:
            return FAULT
        with self._machine.lock:
            apic = self._machine.cpus.local_apics.get(self._index)
            if apic is None:
                self._env.v_tpr = value
            else:
                apic.cr8 = value
                self._changed()
        return DONE

    # --- model-specific registers --------------------------------------------------------------------------------

    def _read(self, number: int) -> int | None:
        if number == MSR_TSC:
            return self._engine.time_stamp
        if number == MSR_TSC_ADJUST and self._has_tsc_adjust:
            adjust: int = self._env.tsc_adjust
            return adjust
        with self._machine.lock:
            return self._machine.msrs.read(self._index, number)

    def _make_writers(self) -> dict[int, Callable[[int], int]]:
        writers: dict[int, Callable[[int], int]] = dict.fromkeys(MSRS, lambda value: ORIGINAL)
        writers |= dict.fromkeys(_LINEAR_ADDRESSES, _linear_address)
        writers |= dict.fromkeys(_VARIABLE_MTRRS[::2], _mtrr_base)
        writers |= dict.fromkeys(_VARIABLE_MTRRS[1::2], _mtrr_mask)
        writers |= dict.fromkeys(_FIXED_MTRRS, _mtrr_fixed)
        writers |= dict.fromkeys(_MACHINE_CHECK_BANKS[::4], _machine_check_control)
        writers |= dict.fromkeys(_MACHINE_CHECK_BANKS[1::4], _machine_check_status)
        writers |= {
            MSR_TSC: self._write_tsc,
            MSR_EFER: self._write_efer,
            _MCG_CTL: lambda value: ORIGINAL if value in (0, _MASK64) else FAULT,
            _MSR_MTRR_CAP: lambda value: FAULT,
            _MTRR_DEFAULT: _mtrr_default,
            _PAT: _page_attributes,
            _SYSENTER_ESP: self._write_sysenter_esp,
            _SYSENTER_EIP: self._write_sysenter_eip,
            _TSC_AUX: lambda value: FAULT if value >> 32 else ORIGINAL,
        }
        if self._has_tsc_adjust:
            writers[MSR_TSC_ADJUST] = self._write_tsc_adjust
        return writers

    def _write_tsc(self, value: int) -> int:
        change = value - self._engine.time_stamp
        self._env.tsc_offset = self._env.tsc_offset + change & _MASK64
        self._env.tsc_adjust = self._env.tsc_adjust + change & _MASK64
        return DONE

    def _write_tsc_adjust(self, value: int) -> int:
        self._env.tsc_offset = self._env.tsc_offset + value - self._env.tsc_adjust & _MASK64
        self._env.tsc_adjust = value
        return DONE

    def _write_efer(self, value: int) -> int:
        env = self._env
        changes = value ^ env.efer
        if value & ~self._efer or (changes & _EFER_LME and env.cr[0] & _CR0_PG):
            return FAULT
        if changes & _EFER_NXE:
            self._engine.flush_tlb()
        return ORIGINAL

    def _write_sysenter_esp(self, value: int) -> int:
        self._env.sysenter_esp = _canonical(value)
        return DONE

    def _write_sysenter_eip(self, value: int) -> int:
        self._env.sysenter_eip = _canonical(value)
        return DONE


def _canonical(value: int) -> int:
    """`value` with bits 63 to 48 as bit 47."""
    return (value & (1 << 48) - 1 ^ 1 << 47) - (1 << 47) & _MASK64


def _linear_address(value: int) -> int:
    return ORIGINAL if value == _canonical(value) else FAULT


def _page_attributes(value: int) -> int:
    return ORIGINAL if all(entry in _MEMORY_TYPES or entry == 7 for entry in value.to_bytes(8, "little")) else FAULT


def _mtrr_base(value: int) -> int:
    return ORIGINAL if value & 0xFF in _MEMORY_TYPES and not value >> PHYSICAL_BITS and not value & 0xF00 else FAULT


def _mtrr_mask(value: int) -> int:
    return ORIGINAL if not value >> PHYSICAL_BITS and not value & 0x7FF else FAULT


def _mtrr_fixed(value: int) -> int:
    return ORIGINAL if _MEMORY_TYPES.issuperset(value.to_bytes(8, "little")) else FAULT


def _mtrr_default(value: int) -> int:
    return ORIGINAL if value & 0xFF in _MEMORY_TYPES and not value & ~0xCFF else FAULT


def _machine_check_control(value: int) -> int:
    """All or nothing; but Linux switches off the tenth source on AMD's family 0Fh, which is ignored."""
    return ORIGINAL if value in (0, _MASK64, _MASK64 & ~(1 << 10)) else FAULT


def _machine_check_status(value: int) -> int:
    return FAULT if value else ORIGINAL
