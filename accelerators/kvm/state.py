"""The CPU's state, between KVM's structures and `X86State`, exact in both directions.

KVM keeps a CPU's state in several structures (api.rst: KVM_SET_REGS, _SREGS, _XSAVE, _XCRS, _DEBUGREGS,
_VCPU_EVENTS, _MP_STATE, _MSRS); what it doesn't know (A20, SMBASE) the vCPU remembers.
"""

from __future__ import annotations

from ctypes import Structure
from dataclasses import dataclass, field

from southbridge.x86 import (
    GENERAL_REGISTERS,
    MSR_EFER,
    MSR_TSC,
    SEGMENT_REGISTERS,
    DescriptorTable,
    PendingEvent,
    Segment,
    X86State,
)

from . import ioctls as k
from . import msrs, xsave
from .structures import (
    DebugRegs,
    MpState,
    Regs,
    SegmentRegister,
    Sregs,
    TableRegister,
    VcpuEvents,
    Xcrs,
)

_INTERRUPTS_ENABLED = 1 << 9
_VIRTUAL_8086 = 1 << 17
_SEGMENTS = (*SEGMENT_REGISTERS, "tr")
_WAITING = (k.MP_STATE_UNINITIALIZED, k.MP_STATE_INIT_RECEIVED)


@dataclass
class Registers:
    """Which parts of the state a vCPU of KVM's has."""

    descriptor: int
    msr_numbers: list[int]
    """Those that are saved."""
    layout: xsave.Layout
    local_apic: bool
    """KVM plays the local APIC: it knows of HLT, INIT and startup IPIs."""
    power_on: dict[int, int] = field(default_factory=dict)
    """The MSRs after power-on."""

    def get(self, request: int, structure: Structure) -> None:
        """Fills in `structure`."""
        k.ioctl(self.descriptor, request, structure)

    set = get
    """Passes `structure`. Raises OSError."""


def save(vcpu: Registers) -> X86State:
    """The state of a vCPU that isn't running. `halted` is only known where KVM plays the local APIC."""
    regs, sregs, debug, events = Regs(), Sregs(), DebugRegs(), VcpuEvents()
    vcpu.get(k.KVM_GET_REGS, regs)
    vcpu.get(k.KVM_GET_SREGS, sregs)
    vcpu.get(k.KVM_GET_DEBUGREGS, debug)
    vcpu.get(k.KVM_GET_VCPU_EVENTS, events)
    state = X86State(
        registers=[getattr(regs, name) for name in GENERAL_REGISTERS],
        rip=regs.rip,
        rflags=regs.rflags,
        ldtr=_segment(sregs.ldt),
        gdtr=DescriptorTable(sregs.gdt.base, sregs.gdt.limit),
        idtr=DescriptorTable(sregs.idt.base, sregs.idt.limit),
        cr0=sregs.cr0,
        cr2=sregs.cr2,
        cr3=sregs.cr3,
        cr4=sregs.cr4,
        cr8=sregs.cr8,
        xcr0=_xcr0(vcpu),
        debug=[*debug.db, debug.dr6, debug.dr7],
        msrs=msrs.read(vcpu.descriptor, vcpu.msr_numbers),
    )
    for name in _SEGMENTS:
        setattr(state, name, _segment(getattr(sregs, name)))
    state.msrs[MSR_EFER] = sregs.efer
    state.msrs[msrs.MSR_APIC_BASE] = sregs.apic_base
    area = bytearray(xsave.SIZE)
    k.ioctl(vcpu.descriptor, k.KVM_GET_XSAVE, area)
    xsave.save(area, vcpu.layout, state)
    _save_events(events, state)
    if vcpu.local_apic:
        mp_state = MpState()
        vcpu.get(k.KVM_GET_MP_STATE, mp_state)
        state.halted = mp_state.state == k.MP_STATE_HALTED
        state.waiting_for_sipi = mp_state.state in _WAITING
    return state


def nmi_masked(vcpu: Registers) -> bool:
    """Whether an NMI is being handled."""
    events = VcpuEvents()
    vcpu.get(k.KVM_GET_VCPU_EVENTS, events)
    return bool(events.nmi.masked)


def load(vcpu: Registers, state: X86State) -> None:
    """Makes `state` that of a vCPU that isn't running. Raises ValueError, naming what it can't represent."""
    if state.in_smm:
        raise ValueError("the CPU is in system management mode, which the accelerator kvm doesn't enter")
    # Control registers come first: what the others may hold depends on them. MSRs come before TSC deadlines.
    _refused("the control registers and segments", lambda: vcpu.set(k.KVM_SET_SREGS, _sregs(state)))
    vcpu.set(k.KVM_SET_REGS, _regs(state))
    if state.rflags & _VIRTUAL_8086:
        _check_flags(vcpu, state)
    _load_xcr0(vcpu, state.xcr0)
    area = bytearray(xsave.SIZE)
    xsave.load(area, vcpu.layout, state)
    _refused("the FPU's and vector registers", lambda: k.ioctl(vcpu.descriptor, k.KVM_SET_XSAVE, area))
    debug = DebugRegs(dr6=state.debug[4], dr7=state.debug[5])
    debug.db[:] = state.debug[:4]
    _refused("the debug registers", lambda: vcpu.set(k.KVM_SET_DEBUGREGS, debug))
    _load_msrs(vcpu, state)
    if vcpu.local_apic:
        mp_state = k.MP_STATE_RUNNABLE
        if state.waiting_for_sipi:
            mp_state = k.MP_STATE_INIT_RECEIVED
        elif state.halted:
            mp_state = k.MP_STATE_HALTED
        vcpu.set(k.KVM_SET_MP_STATE, MpState(mp_state))
    vcpu.set(k.KVM_SET_VCPU_EVENTS, _events(state))


def _check_flags(vcpu: Registers, state: X86State) -> None:
    """Raises ValueError where KVM has dropped VM, as it does on hosts that run guests in ring 3 (kvm_pvm)."""
    regs = Regs()
    vcpu.get(k.KVM_GET_REGS, regs)
    if not regs.rflags & _VIRTUAL_8086:
        raise ValueError("the CPU is in virtual-8086 mode, which this host's KVM doesn't have")


# --- registers -------------------------------------------------------------------------------------------------------


def _regs(state: X86State) -> Regs:
    named = dict(zip(GENERAL_REGISTERS, state.registers, strict=True))
    return Regs(**named, rip=state.rip, rflags=state.rflags | 2)


def _sregs(state: X86State) -> Sregs:
    sregs = Sregs(cr0=state.cr0, cr2=state.cr2, cr3=state.cr3, cr4=state.cr4, cr8=state.cr8)
    for name in _SEGMENTS:
        setattr(sregs, name, _segment_register(getattr(state, name)))
    sregs.ldt = _segment_register(state.ldtr)
    sregs.gdt = TableRegister(state.gdtr.base, state.gdtr.limit & 0xFFFF)
    sregs.idt = TableRegister(state.idtr.base, state.idtr.limit & 0xFFFF)
    sregs.efer = state.msrs.get(MSR_EFER, 0)
    sregs.apic_base = state.msrs[msrs.MSR_APIC_BASE]
    return sregs


def _segment(register: SegmentRegister) -> Segment:
    """The attributes as bits 8 to 23 of a descriptor's second doubleword."""
    r = register
    attributes = r.type << 8 | r.s << 12 | r.dpl << 13 | r.present << 15 | r.avl << 20 | r.l << 21 | r.db << 22
    return Segment(r.selector, r.base, r.limit, attributes | r.g << 23)


def _segment_register(segment: Segment) -> SegmentRegister:
    a = segment.attributes
    present = a >> 15 & 1
    return SegmentRegister(
        base=segment.base,
        limit=segment.limit,
        selector=segment.selector,
        type=a >> 8 & 15,
        s=a >> 12 & 1,
        dpl=a >> 13 & 3,
        present=present,
        avl=a >> 20 & 1,
        l=a >> 21 & 1,
        db=a >> 22 & 1,
        g=a >> 23 & 1,
        unusable=not present,
    )


def _xcr0(vcpu: Registers) -> int:
    xcrs = Xcrs()
    vcpu.get(k.KVM_GET_XCRS, xcrs)
    values: dict[int, int] = {xcrs.xcrs[n].xcr: xcrs.xcrs[n].value for n in range(xcrs.count)}
    return values.get(0, 1)


def _load_xcr0(vcpu: Registers, value: int) -> None:
    xcrs = Xcrs(count=1)
    xcrs.xcrs[0].value = value
    _refused(f"XCR0, which is {value:#x}", lambda: vcpu.set(k.KVM_SET_XCRS, xcrs))


def _load_msrs(vcpu: Registers, state: X86State) -> None:
    values = {**vcpu.power_on, **{n: value for n, value in state.msrs.items() if n in vcpu.power_on}}
    for number, value in state.msrs.items():
        if value and number not in values and number not in (MSR_EFER, msrs.MSR_APIC_BASE, *msrs.NOT_SAVED):
            raise ValueError(f"the model-specific register {number:#x} is {value:#x}: the CPU doesn't have it")
    values[MSR_TSC] = state.msrs.get(MSR_TSC, 0)
    msrs.write(vcpu.descriptor, values)


def _refused(what: str, call: object) -> None:
    try:
        call()  # type: ignore[operator]
    except OSError:
        raise ValueError(f"KVM refuses {what}") from None


# --- events ----------------------------------------------------------------------------------------------------------


def _save_events(events: VcpuEvents, state: X86State) -> None:
    if events.exception.injected or events.exception.pending:
        code = events.exception.error_code if events.exception.has_error_code else None
        state.event = PendingEvent(events.exception.vector, code)
    elif events.interrupt.injected:
        software = bool(events.interrupt.soft)
        state.event = PendingEvent(events.interrupt.vector, software=software, external=not software)
    state.interrupt_shadow = bool(events.interrupt.shadow)
    # One whose delivery was interrupted begins anew.
    state.nmi_masked = bool(events.nmi.masked) and not events.nmi.injected
    state.nmi_pending = bool(events.nmi.pending or events.nmi.injected)


def _events(state: X86State) -> VcpuEvents:
    events = VcpuEvents(flags=k.EVENT_NMI_PENDING | k.EVENT_SHADOW)
    event = state.event
    if event is not None and event.external:
        if not state.rflags & _INTERRUPTS_ENABLED:
            raise ValueError("an external interrupt is being delivered although IF is clear")
        events.interrupt.injected, events.interrupt.vector = 1, event.vector
    elif event is not None and not event.software:  # INT n is executed again: RIP still points at it
        events.exception.injected, events.exception.vector = 1, event.vector
        events.exception.has_error_code = event.error_code is not None
        events.exception.error_code = event.error_code or 0
    events.interrupt.shadow = k.SHADOW_STI if state.interrupt_shadow else 0
    events.nmi.masked, events.nmi.pending = state.nmi_masked, state.nmi_pending
    return events
