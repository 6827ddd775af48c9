"""SYSCALL and SYSENTER (AMD64 APM 3, SDM 2B): Unicorn only calls a hook for them. Their returns are its own.

SYSCALL in 64-bit mode, which is what runs often, is machine code (`thunks`) and doesn't come here.

A hook is called in the middle of the instruction: RIP still points at it, and Unicorn adds its length afterwards.
"""

from __future__ import annotations

import ctypes

from . import library as lib
from .engine import Engine
from .flags import CODE_32, CODE_64, DATA, EFER_SCE, FLAG_RF, HIDDEN_CS64, HIDDEN_LMA

_CS, _SS = 1, 2

_FLAG_IF, _FLAG_VM = 1 << 9, 1 << 17
_MASK64 = (1 << 64) - 1

_INVALID_OPCODE, _GENERAL_PROTECTION = 6, 13
_ESCAPE = 0x0F
_INTEL = b"GenuineIntel"
_LONGEST = 15


def system_call(engine: Engine) -> tuple[int, int] | None:
    """Executes SYSCALL. Gives vector and error code instead if it raises an exception, which is left to the caller."""
    env = engine.env
    length = _length(engine)
    if not env.efer & EFER_SCE or (_is_intel(engine) and not env.hflags & HIDDEN_CS64):
        env.eip -= length
        return _INVALID_OPCODE, 0
    selector = env.star >> 32 & 0xFFFC
    flags = _read_flags(engine)
    if env.hflags & HIDDEN_LMA:
        env.regs[1] = env.eip + length & _MASK64
        env.regs[11] = flags & ~FLAG_RF
        _write_flags(engine, flags & ~(env.fmask | FLAG_RF))
        target = env.lstar if env.hflags & HIDDEN_CS64 else env.cstar
        _enter_kernel(engine, selector, CODE_64)
    else:
        env.regs[1] = env.eip + length & 0xFFFF_FFFF
        _write_flags(engine, flags & ~(_FLAG_IF | FLAG_RF | _FLAG_VM))
        target = env.star & 0xFFFF_FFFF
        _enter_kernel(engine, selector, CODE_32)
    env.eip = target - length & _MASK64
    return None


def system_enter(engine: Engine) -> tuple[int, int] | None:
    """Executes SYSENTER; as `system_call`."""
    env = engine.env
    length = _length(engine)
    if env.hflags & HIDDEN_LMA and not _is_intel(engine):
        env.eip -= length
        return _INVALID_OPCODE, 0
    if not env.sysenter_cs & 0xFFFC:
        env.eip -= length
        return _GENERAL_PROTECTION, 0
    _write_flags(engine, _read_flags(engine) & ~(_FLAG_IF | FLAG_RF | _FLAG_VM))
    _enter_kernel(engine, env.sysenter_cs & 0xFFFC, CODE_64 if env.hflags & HIDDEN_LMA else CODE_32)
    env.regs[4] = env.sysenter_esp
    env.eip = env.sysenter_eip - length & _MASK64
    return None


def _is_intel(engine: Engine) -> bool:
    """Intel's CPUs have SYSCALL in 64-bit mode only; AMD's don't have SYSENTER in long mode."""
    return bytes(engine.env.cpuid_vendor) == _INTEL


def _enter_kernel(engine: Engine, selector: int, code: int) -> None:
    for segment, value, flags in ((_CS, selector, code), (_SS, selector + 8, DATA)):
        cache = engine.env.segs[segment]
        cache.selector, cache.base, cache.limit, cache.flags = value, 0, 0xFFFF_FFFF, flags
    engine.library.x86_update_hflags_x86_64(engine.env_address)


def _length(engine: Engine) -> int:
    """Bytes of the instruction at RIP: prefixes, and two bytes of opcode."""
    eip = engine.env.eip
    for prefixes in range(_LONGEST - 2):
        if engine.code_byte(eip + prefixes) in (_ESCAPE, None):
            return prefixes + 2
    return 2


def _read_flags(engine: Engine) -> int:
    flags = ctypes.c_uint64()
    engine.library.uc_reg_read(engine.handle, lib.REG_RFLAGS, ctypes.byref(flags))
    return flags.value


def _write_flags(engine: Engine, value: int) -> None:
    flags = ctypes.c_uint64(value)
    engine.library.uc_reg_write(engine.handle, lib.REG_RFLAGS, ctypes.byref(flags))
