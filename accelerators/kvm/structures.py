"""KVM's structures, as Linux's `include/uapi/linux/kvm.h` and `arch/x86/include/uapi/asm/kvm.h` have them."""

from __future__ import annotations

from ctypes import (
    Structure,
    c_int32,
    c_int64,
    c_uint8,
    c_uint16,
    c_uint32,
    c_uint64,
    c_void_p,
)


class UserspaceMemoryRegion(Structure):
    """struct kvm_userspace_memory_region"""

    _fields_ = [
        ("slot", c_uint32),
        ("flags", c_uint32),
        ("guest_address", c_uint64),
        ("size", c_uint64),
        ("host_address", c_uint64),
    ]


class DirtyLog(Structure):
    """struct kvm_dirty_log"""

    _fields_ = [("slot", c_uint32), ("padding", c_uint32), ("bitmap", c_uint64)]


class ClearDirtyLog(Structure):
    """struct kvm_clear_dirty_log"""

    _fields_ = [("slot", c_uint32), ("pages", c_uint32), ("first_page", c_uint64), ("bitmap", c_uint64)]


class EnableCap(Structure):
    """struct kvm_enable_cap"""

    _fields_ = [("cap", c_uint32), ("flags", c_uint32), ("args", c_uint64 * 4), ("padding", c_uint8 * 64)]


# --- registers -------------------------------------------------------------------------------------------------------

REGISTERS = (
    *("rax", "rbx", "rcx", "rdx", "rsi", "rdi", "rsp", "rbp"),
    *("r8", "r9", "r10", "r11", "r12", "r13", "r14", "r15"),
)
"""In the order of struct kvm_regs."""


class Regs(Structure):
    """struct kvm_regs"""

    _fields_ = [(name, c_uint64) for name in (*REGISTERS, "rip", "rflags")]


class SegmentRegister(Structure):
    """struct kvm_segment"""

    _fields_ = [
        ("base", c_uint64),
        ("limit", c_uint32),
        ("selector", c_uint16),
        *((name, c_uint8) for name in ("type", "present", "dpl", "db", "s", "l", "g", "avl", "unusable", "padding")),
    ]


class TableRegister(Structure):
    """struct kvm_dtable"""

    _fields_ = [("base", c_uint64), ("limit", c_uint16), ("padding", c_uint16 * 3)]


class Sregs(Structure):
    """struct kvm_sregs"""

    _fields_ = [
        *((name, SegmentRegister) for name in ("cs", "ds", "es", "fs", "gs", "ss", "tr", "ldt")),
        *((name, TableRegister) for name in ("gdt", "idt")),
        *((name, c_uint64) for name in ("cr0", "cr2", "cr3", "cr4", "cr8", "efer", "apic_base")),
        ("interrupt_bitmap", c_uint64 * 4),
    ]


class Translation(Structure):
    """struct kvm_translation"""

    _fields_ = [
        ("linear_address", c_uint64),
        ("physical_address", c_uint64),
        ("valid", c_uint8),
        ("writeable", c_uint8),
        ("usermode", c_uint8),
        ("padding", c_uint8 * 5),
    ]


class MsrEntry(Structure):
    """struct kvm_msr_entry"""

    _fields_ = [("index", c_uint32), ("reserved", c_uint32), ("data", c_uint64)]


class MsrFilterRange(Structure):
    """struct kvm_msr_filter_range"""

    _fields_ = [("flags", c_uint32), ("count", c_uint32), ("base", c_uint32), ("bitmap", c_void_p)]


class MsrFilter(Structure):
    """struct kvm_msr_filter"""

    _fields_ = [("flags", c_uint32), ("ranges", MsrFilterRange * 16)]


class CpuidEntry2(Structure):
    """struct kvm_cpuid_entry2"""

    _fields_ = [
        *((name, c_uint32) for name in ("function", "index", "flags", "eax", "ebx", "ecx", "edx")),
        ("padding", c_uint32 * 3),
    ]


class MpState(Structure):
    """struct kvm_mp_state"""

    _fields_ = [("state", c_uint32)]


class ExceptionEvent(Structure):
    """kvm_vcpu_events.exception"""

    _fields_ = [
        *((name, c_uint8) for name in ("injected", "vector", "has_error_code", "pending")),
        ("error_code", c_uint32),
    ]


class InterruptEvent(Structure):
    """kvm_vcpu_events.interrupt"""

    _fields_ = [(name, c_uint8) for name in ("injected", "vector", "soft", "shadow")]


class NmiEvent(Structure):
    """kvm_vcpu_events.nmi"""

    _fields_ = [(name, c_uint8) for name in ("injected", "pending", "masked", "padding")]


class SmiEvent(Structure):
    """kvm_vcpu_events.smi"""

    _fields_ = [(name, c_uint8) for name in ("smm", "pending", "smm_inside_nmi", "latched_init")]


class VcpuEvents(Structure):
    """struct kvm_vcpu_events"""

    _fields_ = [
        ("exception", ExceptionEvent),
        ("interrupt", InterruptEvent),
        ("nmi", NmiEvent),
        ("sipi_vector", c_uint32),
        ("flags", c_uint32),
        ("smi", SmiEvent),
        ("triple_fault", c_uint8),
        ("reserved", c_uint8 * 26),
        ("exception_has_payload", c_uint8),
        ("exception_payload", c_uint64),
    ]


class DebugRegs(Structure):
    """struct kvm_debugregs"""

    _fields_ = [
        ("db", c_uint64 * 4),
        ("dr6", c_uint64),
        ("dr7", c_uint64),
        ("flags", c_uint64),
        ("reserved", c_uint64 * 9),
    ]


class Xcr(Structure):
    """struct kvm_xcr"""

    _fields_ = [("xcr", c_uint32), ("reserved", c_uint32), ("value", c_uint64)]


class Xcrs(Structure):
    """struct kvm_xcrs"""

    _fields_ = [("count", c_uint32), ("flags", c_uint32), ("xcrs", Xcr * 16), ("padding", c_uint64 * 16)]


# --- interrupts ------------------------------------------------------------------------------------------------------


class IrqLevel(Structure):
    """struct kvm_irq_level"""

    _fields_ = [("irq", c_uint32), ("level", c_uint32)]


class Msi(Structure):
    """struct kvm_msi"""

    _fields_ = [
        *((name, c_uint32) for name in ("address_low", "address_high", "data", "flags", "device_id")),
        ("padding", c_uint8 * 12),
    ]


class IrqFd(Structure):
    """struct kvm_irqfd"""

    _fields_ = [
        *((name, c_uint32) for name in ("descriptor", "gsi", "flags", "resample_descriptor")),
        ("padding", c_uint8 * 16),
    ]


class RoutingEntry(Structure):
    """struct kvm_irq_routing_entry; `fields` are an interrupt controller and its pin, or a message."""

    _fields_ = [
        *((name, c_uint32) for name in ("gsi", "kind", "flags", "padding")),
        ("fields", c_uint32 * 8),
    ]


class IrqChip(Structure):
    """struct kvm_irqchip"""

    _fields_ = [("chip", c_uint32), ("padding", c_uint32), ("data", c_uint8 * 512)]


class PicState(Structure):
    """struct kvm_pic_state"""

    _fields_ = [
        (name, c_uint8)
        for name in (
            *("last_irr", "irr", "imr", "isr", "priority_add", "irq_base", "read_reg_select", "poll"),
            *("special_mask", "init_state", "auto_eoi", "rotate_on_auto_eoi", "special_fully_nested_mode"),
            *("init4", "elcr", "elcr_mask"),
        )
    ]


class IoApicState(Structure):
    """struct kvm_ioapic_state"""

    _fields_ = [
        ("base_address", c_uint64),
        *((name, c_uint32) for name in ("ioregsel", "id", "irr", "padding")),
        ("redirection", c_uint64 * 24),
    ]


class LapicState(Structure):
    """struct kvm_lapic_state: the APIC's registers, at the offsets of its memory page."""

    _fields_ = [("registers", c_uint8 * 1024)]


class PitConfig(Structure):
    """struct kvm_pit_config"""

    _fields_ = [("flags", c_uint32), ("padding", c_uint32 * 15)]


class PitChannel(Structure):
    """struct kvm_pit_channel_state"""

    _fields_ = [
        ("count", c_uint32),
        ("latched_count", c_uint16),
        *((name, c_uint8) for name in ("count_latched", "status_latched", "status", "read_state", "write_state")),
        *((name, c_uint8) for name in ("write_latch", "rw_mode", "mode", "bcd", "gate")),
        ("count_load_time", c_int64),
    ]


class PitState2(Structure):
    """struct kvm_pit_state2"""

    _fields_ = [("channels", PitChannel * 3), ("flags", c_uint32), ("reserved", c_uint32 * 9)]


class ReinjectControl(Structure):
    """struct kvm_reinject_control"""

    _fields_ = [("reinject", c_uint8), ("reserved", c_uint8 * 31)]


# --- time, doorbells -------------------------------------------------------------------------------------------------


class ClockData(Structure):
    """struct kvm_clock_data"""

    _fields_ = [
        ("clock", c_uint64),
        ("flags", c_uint32),
        ("padding0", c_uint32),
        ("realtime", c_uint64),
        ("host_tsc", c_uint64),
        ("padding", c_uint32 * 4),
    ]


class IoEventFd(Structure):
    """struct kvm_ioeventfd"""

    _fields_ = [
        ("datamatch", c_uint64),
        ("address", c_uint64),
        ("length", c_uint32),
        ("descriptor", c_int32),
        ("flags", c_uint32),
        ("padding", c_uint8 * 36),
    ]


class CoalescedZone(Structure):
    """struct kvm_coalesced_mmio_zone"""

    _fields_ = [("address", c_uint64), ("size", c_uint32), ("pio", c_uint32)]
