"""The CPU's state, between the engine's structures and `X86State`, exact in both directions."""

from __future__ import annotations

import ctypes
from typing import TYPE_CHECKING

from southbridge.x86 import MSR_EFER, MSR_TSC, SEGMENT_REGISTERS, DescriptorTable, Segment, X86State

from . import library as lib
from .engine import (
    INTERRUPT_NMI,
    INTERRUPT_VIRTUAL,
    SEGMENT_PRESENT,
    TASK_STATE_BUSY,
    Engine,
)
from .flags import HIDDEN_FLAGS, HIDDEN_GLOBAL_INTERRUPTS, HIDDEN_NMI_MASKED, HIDDEN_SHADOW
from .structures import SegmentCache, X86Msr
from .thunks import NO_EXCEPTION

if TYPE_CHECKING:
    from collections.abc import Iterable

    from southbridge.msrs import Msrs

_MASK64 = (1 << 64) - 1
_ATTRIBUTES = 0xF0FF00
"""What a segment's attributes have: bits 8 to 15 and 20 to 23 of the descriptor's second doubleword."""

_TOP_OF_STACK = 7 << 11
_EFER_LMA = 1 << 10
_FLAGS_ALWAYS = 2

MSRS = (
    *(0x174, 0x175, 0x176),  # SYSENTER
    *(0x17A, 0x17B),  # machine check
    0x1A0,  # IA32_MISC_ENABLE
    *range(0x200, 0x210),  # MTRRs
    *(0x250, 0x258, 0x259),
    *range(0x268, 0x270),
    0x277,  # PAT
    0x2FF,
    *range(0x400, 0x428),  # machine check banks
    *range(0xC000_0081, 0xC000_0085),  # SYSCALL
    *(0xC000_0102, 0xC000_0103),  # KERNEL_GS_BASE, TSC_AUX
)
"""The model-specific registers that Unicorn has, besides EFER, TSC, and the bases of FS and GS."""

MSR_TSC_ADJUST = 0x3B
_MISC_ENABLE = 0x1A0
_FAST_STRINGS = 1

_ELSEWHERE = (0xC000_0100, 0xC000_0101)
"""The bases of FS and GS, which are in the segments."""

_COMPONENTS = {
    3: "MPX's bounds",
    4: "MPX's configuration",
    5: "AVX-512's masks",
    6: "upper halves of ZMM0 to ZMM15",
    7: "ZMM16 to ZMM31",
    9: "PKRU",
    17: "AMX's configuration",
    18: "AMX's tiles",
}
"""XSAVE's, by number (SDM volume 1, 13.1)."""


def save(engine: Engine, halted: bool) -> X86State:
    """The state of `engine`'s CPU, which isn't executing."""
    env, cpu = engine.env, engine.cpu
    top = env.fpstt & 7
    state = X86State(
        registers=list(env.regs),
        rip=env.eip,
        rflags=env.eflags | _FLAGS_ALWAYS,
        ldtr=_segment(env.ldt),
        tr=_task_register(env.tr),
        gdtr=DescriptorTable(env.gdt.base, env.gdt.limit),
        idtr=DescriptorTable(env.idt.base, env.idt.limit),
        cr0=env.cr[0],
        cr2=env.cr[2],
        cr3=env.cr[3],
        cr4=env.cr[4],
        cr8=env.v_tpr,
        xcr0=env.xcr0,
        debug=[env.dr[i] for i in (0, 1, 2, 3, 6, 7)],
        msrs={index: _read_msr(engine, index) for index in MSRS},
        fpu_control=env.fpuc,
        fpu_status=env.fpus & ~_TOP_OF_STACK | top << 11,
        fpu_tag=sum((not empty) << i for i, empty in enumerate(env.fptags)),
        fpu_opcode=env.fpop,
        fpu_ip=env.fpip,
        fpu_dp=env.fpdp,
        fpu_registers=[_fpu_register(env.fpregs[top + i & 7]) for i in range(8)],
        mxcsr=env.mxcsr,
        vector=[register[0] | register[1] << 64 for register in list(env.xmm_regs)[:16]],
        halted=halted,
        interrupt_shadow=bool(env.hflags & HIDDEN_SHADOW),
        nmi_masked=bool(env.hflags2 & HIDDEN_NMI_MASKED),
        nmi_pending=bool(cpu.interrupt_request & INTERRUPT_NMI),
        a20=bool(env.a20_mask & 1 << 20),
        smbase=env.smbase,
    )
    for name, segment in zip(SEGMENT_REGISTERS, env.segs, strict=True):
        setattr(state, name, _segment(segment))
    state.msrs[MSR_EFER] = env.efer
    state.msrs[MSR_TSC] = engine.time_stamp
    if env.tsc_adjust:
        state.msrs[MSR_TSC_ADJUST] = env.tsc_adjust
    return state


def power_on_msrs(engine: Engine) -> dict[int, int]:
    """The model-specific registers of a CPU that didn't run yet, by index."""
    return {index: _read_msr(engine, index) for index in MSRS} | {_MISC_ENABLE: _FAST_STRINGS}


def load(engine: Engine, state: X86State, power_on_msrs: dict[int, int], others: Msrs) -> None:
    """Makes `state` that of `engine`'s CPU, which isn't executing; but for `halted` and `event`. MSRs that `state`
    doesn't have get their values after power-on; those in `others` are somebody else's.

    Raises ValueError, naming what the CPU can't represent, with the CPU as it was.
    """
    _refuse(state, others)
    library, env, cpu = engine.library, engine.env, engine.cpu
    env.regs[:] = [value & _MASK64 for value in state.registers]
    env.eip = state.rip
    env.eflags = state.rflags | _FLAGS_ALWAYS
    for name, segment in zip(SEGMENT_REGISTERS, env.segs, strict=True):
        _load_segment(segment, getattr(state, name))
    _load_segment(env.ldt, state.ldtr)
    _load_segment(env.tr, state.tr)
    env.tr.flags &= ~TASK_STATE_BUSY
    env.gdt.base, env.gdt.limit = state.gdtr.base, state.gdtr.limit
    env.idt.base, env.idt.limit = state.idtr.base, state.idtr.limit
    env.cr[0], env.cr[2], env.cr[3], env.cr[4] = state.cr0, state.cr2, state.cr3, state.cr4
    env.v_tpr = state.cr8
    env.smbase = state.smbase
    _load_msrs(engine, {**power_on_msrs, **state.msrs})
    env.xcr0 = state.xcr0
    library.x86_cpu_set_a20_x86_64(engine.cpu_address, state.a20)
    cpu.interrupt_request &= ~(INTERRUPT_NMI | INTERRUPT_VIRTUAL)
    if state.nmi_pending:
        cpu.interrupt_request |= INTERRUPT_NMI
    env.old_exception = -1
    engine.mailbox.exception = NO_EXCEPTION
    engine.mailbox.software = engine.mailbox.debug = 0
    env.hflags2 = HIDDEN_GLOBAL_INTERRUPTS | (HIDDEN_NMI_MASKED if state.nmi_masked else 0)
    env.hflags = HIDDEN_SHADOW if state.interrupt_shadow else 0
    library.x86_update_hflags_x86_64(engine.env_address)
    env.hflags &= ~HIDDEN_FLAGS
    _load_debug_registers(engine, state.debug)
    _load_fpu(engine, state)
    engine.forget_all_code()


def _refuse(state: X86State, others: Msrs) -> None:
    if state.in_smm:
        raise ValueError("the CPU is in system management mode, which the accelerator unicorn doesn't have")
    if state.tr.attributes & SEGMENT_PRESENT and state.tr.attributes & 0x1500 != 0x100:
        raise ValueError(f"TR's attributes are {state.tr.attributes:#x}: that is no task state segment")
    if state.xcr0 & ~3:
        raise ValueError(f"XCR0 is {state.xcr0:#x}: the accelerator unicorn's CPU has no AVX state")
    if any(value >> 128 for value in state.vector):
        raise ValueError("upper halves of YMM registers are in use: the accelerator unicorn's CPU has no AVX")
    for number, data in state.extended.items():
        if any(data):
            name = _COMPONENTS.get(number, f"component {number} of XSAVE's area")
            raise ValueError(f"{name}: in use, but the accelerator unicorn's CPU doesn't have that")
    known = {*MSRS, *_ELSEWHERE, MSR_EFER, MSR_TSC, MSR_TSC_ADJUST}
    for index, value in state.msrs.items():
        if value and index not in known and index not in others:
            raise ValueError(f"MSR {index:#x} is {value:#x}: the accelerator unicorn's CPU doesn't have that register")


def _segment(cache: SegmentCache) -> Segment:
    return Segment(cache.selector, cache.base, cache.limit, cache.flags & _ATTRIBUTES)


def _task_register(cache: SegmentCache) -> Segment:
    """TR: the architecture has it busy, QEMU hasn't."""
    segment = _segment(cache)
    if segment.attributes & SEGMENT_PRESENT:
        segment.attributes |= TASK_STATE_BUSY
    return segment


def _load_segment(cache: SegmentCache, segment: Segment) -> None:
    cache.selector, cache.base, cache.limit, cache.flags = (
        segment.selector,
        segment.base,
        segment.limit,
        segment.attributes,
    )


def _fpu_register(register: object) -> int:
    return register.mantissa | register.exponent << 64  # type: ignore[attr-defined, no-any-return]


def _load_fpu(engine: Engine, state: X86State) -> None:
    env = engine.env
    top = env.fpstt = state.fpu_status >> 11 & 7
    env.fpus = state.fpu_status & ~_TOP_OF_STACK
    env.fpuc = state.fpu_control
    env.fpop, env.fpip, env.fpdp = state.fpu_opcode, state.fpu_ip, state.fpu_dp
    env.fptags[:] = [not state.fpu_tag >> i & 1 for i in range(8)]
    for i, value in enumerate(state.fpu_registers):
        register = env.fpregs[top + i & 7]
        register.mantissa, register.exponent = value & _MASK64, value >> 64
    engine.library.update_fp_status_x86_64(engine.env_address)
    mxcsr = ctypes.c_uint64(state.mxcsr)
    engine.library.uc_reg_write(engine.handle, lib.REG_MXCSR, ctypes.byref(mxcsr))
    for i, value in enumerate(state.vector):
        env.xmm_regs[i][0], env.xmm_regs[i][1] = value & _MASK64, value >> 64


def _load_debug_registers(engine: Engine, values: Iterable[int]) -> None:
    env, library = engine.env, engine.library
    library.cpu_x86_update_dr7_x86_64(engine.env_address, 0x400)  # takes the old breakpoints away
    *addresses, status, control = values
    env.dr[:4] = addresses
    env.dr[6] = status
    library.cpu_x86_update_dr7_x86_64(engine.env_address, control)


def _read_msr(engine: Engine, index: int) -> int:
    msr = X86Msr(index, 0)
    engine.library.uc_reg_read(engine.handle, lib.REG_MSR, ctypes.byref(msr))
    value: int = msr.value
    return value


def _load_msrs(engine: Engine, values: dict[int, int]) -> None:
    env = engine.env
    for index in MSRS:
        msr = X86Msr(index, values[index])
        engine.library.uc_reg_write(engine.handle, lib.REG_MSR, ctypes.byref(msr))
    env.efer = values.get(MSR_EFER, 0)
    engine.time_stamp = values.get(MSR_TSC, 0)
    env.tsc_adjust = values.get(MSR_TSC_ADJUST, 0)
