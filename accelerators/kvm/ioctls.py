"""KVM's requests and constants, by their names in Linux: `include/uapi/linux/kvm.h`, `arch/x86/include/uapi/asm/kvm.h`.

What each does: Linux's Documentation/virt/kvm/api.rst, whose section numbers are given where something is remarkable.
"""

from __future__ import annotations

import fcntl
from ctypes import Structure, sizeof

from . import structures as s

API_VERSION = 12

_KVMIO = 0xAE
_WRITE, _READ = 1, 2


def _request(direction: int, number: int, size: int) -> int:
    """As <asm-generic/ioctl.h> codes it."""
    return direction << 30 | size << 16 | _KVMIO << 8 | number


def _io(number: int) -> int:
    return _request(0, number, 0)


def _ior(number: int, kind: type[Structure] | int) -> int:
    return _request(_READ, number, kind if isinstance(kind, int) else sizeof(kind))


def _iow(number: int, kind: type[Structure] | int) -> int:
    return _request(_WRITE, number, kind if isinstance(kind, int) else sizeof(kind))


def _iowr(number: int, kind: type[Structure] | int) -> int:
    return _request(_READ | _WRITE, number, kind if isinstance(kind, int) else sizeof(kind))


# --- of /dev/kvm -----------------------------------------------------------------------------------------------------

KVM_GET_API_VERSION = _io(0x00)
KVM_CREATE_VM = _io(0x01)
KVM_GET_MSR_INDEX_LIST = _iowr(0x02, 4)
KVM_CHECK_EXTENSION = _io(0x03)
KVM_GET_VCPU_MMAP_SIZE = _io(0x04)
KVM_GET_SUPPORTED_CPUID = _iowr(0x05, 8)

# --- of a virtual machine --------------------------------------------------------------------------------------------

KVM_CREATE_VCPU = _io(0x41)
KVM_GET_DIRTY_LOG = _iow(0x42, s.DirtyLog)
KVM_SET_USER_MEMORY_REGION = _iow(0x46, s.UserspaceMemoryRegion)
KVM_SET_TSS_ADDR = _io(0x47)
KVM_SET_IDENTITY_MAP_ADDR = _iow(0x48, 8)
KVM_CREATE_IRQCHIP = _io(0x60)
KVM_IRQ_LINE = _iow(0x61, s.IrqLevel)
KVM_GET_IRQCHIP = _iowr(0x62, s.IrqChip)
KVM_SET_IRQCHIP = _ior(0x63, s.IrqChip)
KVM_REGISTER_COALESCED_MMIO = _iow(0x67, s.CoalescedZone)
KVM_UNREGISTER_COALESCED_MMIO = _iow(0x68, s.CoalescedZone)
KVM_SET_GSI_ROUTING = _iow(0x6A, 8)
KVM_REINJECT_CONTROL = _io(0x71)
KVM_IRQFD = _iow(0x76, s.IrqFd)
KVM_CREATE_PIT2 = _iow(0x77, s.PitConfig)
KVM_IOEVENTFD = _iow(0x79, s.IoEventFd)
KVM_SET_CLOCK = _iow(0x7B, s.ClockData)
KVM_GET_CLOCK = _ior(0x7C, s.ClockData)
KVM_GET_PIT2 = _ior(0x9F, s.PitState2)
KVM_SET_PIT2 = _iow(0xA0, s.PitState2)
KVM_ENABLE_CAP = _iow(0xA3, s.EnableCap)
KVM_SIGNAL_MSI = _iow(0xA5, s.Msi)
KVM_CLEAR_DIRTY_LOG = _iowr(0xC0, s.ClearDirtyLog)
KVM_X86_SET_MSR_FILTER = _iow(0xC6, s.MsrFilter)

# --- of a vCPU -------------------------------------------------------------------------------------------------------

KVM_RUN = _io(0x80)
KVM_GET_REGS = _ior(0x81, s.Regs)
KVM_SET_REGS = _iow(0x82, s.Regs)
KVM_GET_SREGS = _ior(0x83, s.Sregs)
KVM_SET_SREGS = _iow(0x84, s.Sregs)
KVM_TRANSLATE = _iowr(0x85, s.Translation)
KVM_INTERRUPT = _iow(0x86, 4)
KVM_GET_MSRS = _iowr(0x88, 8)
KVM_SET_MSRS = _iow(0x89, 8)
KVM_SET_SIGNAL_MASK = _iow(0x8B, 4)
KVM_GET_LAPIC = _ior(0x8E, s.LapicState)
KVM_SET_LAPIC = _iow(0x8F, s.LapicState)
KVM_SET_CPUID2 = _iow(0x90, 8)
KVM_GET_CPUID2 = _iowr(0x91, 8)
KVM_GET_MP_STATE = _ior(0x98, s.MpState)
KVM_SET_MP_STATE = _iow(0x99, s.MpState)
KVM_NMI = _io(0x9A)
KVM_X86_SETUP_MCE = _iow(0x9C, 8)
KVM_X86_GET_MCE_CAP_SUPPORTED = _ior(0x9D, 8)
KVM_GET_VCPU_EVENTS = _ior(0x9F, s.VcpuEvents)
KVM_SET_VCPU_EVENTS = _iow(0xA0, s.VcpuEvents)
KVM_GET_DEBUGREGS = _ior(0xA1, s.DebugRegs)
KVM_SET_DEBUGREGS = _iow(0xA2, s.DebugRegs)
KVM_GET_TSC_KHZ = _io(0xA3)
KVM_GET_XSAVE = _ior(0xA4, 4096)
KVM_SET_XSAVE = _iow(0xA5, 4096)
KVM_GET_XCRS = _ior(0xA6, s.Xcrs)
KVM_SET_XCRS = _iow(0xA7, s.Xcrs)
KVM_KVMCLOCK_CTRL = _io(0xAD)

# --- capabilities (KVM_CHECK_EXTENSION, KVM_ENABLE_CAP) --------------------------------------------------------------

CAP_IRQCHIP = 0
CAP_HLT = 1
CAP_USER_MEMORY = 3
CAP_SET_TSS_ADDR = 4
CAP_EXT_CPUID = 7
CAP_NR_VCPUS = 9
CAP_NR_MEMSLOTS = 10
CAP_MP_STATE = 14
CAP_COALESCED_MMIO = 15
CAP_IRQ_ROUTING = 25
CAP_MCE = 31
CAP_IRQFD = 32
CAP_PIT2 = 33
CAP_PIT_STATE2 = 35
CAP_IOEVENTFD = 36
CAP_SET_IDENTITY_MAP_ADDR = 37
CAP_ADJUST_CLOCK = 39
CAP_VCPU_EVENTS = 41
CAP_DEBUGREGS = 50
CAP_XSAVE = 55
CAP_XCRS = 56
CAP_GET_TSC_KHZ = 61
CAP_MAX_VCPUS = 66
CAP_TSC_DEADLINE_TIMER = 72
CAP_KVMCLOCK_CTRL = 76
CAP_SIGNAL_MSI = 77
CAP_READONLY_MEM = 81
CAP_SPLIT_IRQCHIP = 121
CAP_IOEVENTFD_ANY_LENGTH = 122
CAP_IMMEDIATE_EXIT = 136
CAP_COALESCED_PIO = 162
CAP_MANUAL_DIRTY_LOG_PROTECT2 = 168
CAP_X86_USER_SPACE_MSR = 188
CAP_X86_MSR_FILTER = 189
CAP_EXIT_ON_EMULATION_FAILURE = 204

# --- exits (5., "The kvm_run structure") ------------------------------------------------------------------------------

EXIT_UNKNOWN = 0
EXIT_EXCEPTION = 1
EXIT_IO = 2
EXIT_HYPERCALL = 3
EXIT_DEBUG = 4
EXIT_HLT = 5
EXIT_MMIO = 6
EXIT_IRQ_WINDOW_OPEN = 7
EXIT_SHUTDOWN = 8
EXIT_FAIL_ENTRY = 9
EXIT_INTR = 10
EXIT_SET_TPR = 11
EXIT_TPR_ACCESS = 12
EXIT_NMI = 16
EXIT_INTERNAL_ERROR = 17
EXIT_SYSTEM_EVENT = 24
EXIT_IOAPIC_EOI = 26
EXIT_HYPERV = 27
EXIT_X86_RDMSR = 29
EXIT_X86_WRMSR = 30
EXIT_DIRTY_RING_FULL = 31
EXIT_AP_RESET_HOLD = 32
EXIT_X86_BUS_LOCK = 33
EXIT_XEN = 34
EXIT_NOTIFY = 37

EXIT_NAMES = {
    value: name.removeprefix("EXIT_")
    for name, value in list(globals().items())
    if name.startswith("EXIT_") and isinstance(value, int)
}

INTERNAL_ERROR_EMULATION = 1
INTERNAL_ERROR_NAMES = {
    INTERNAL_ERROR_EMULATION: "an instruction that KVM's emulator doesn't have",
    2: "exceptions at the same time",
    3: "an exit during the delivery of an event",
    4: "an exit for an unexpected reason",
}
EMULATION_FAILURE_HAS_BYTES = 1

# --- flags -----------------------------------------------------------------------------------------------------------

MEM_LOG_DIRTY_PAGES = 1
MEM_READONLY = 2

DIRTY_LOG_MANUAL_PROTECT = 1
DIRTY_LOG_INITIALLY_SET = 2

IRQCHIP_PIC_MASTER, IRQCHIP_PIC_SLAVE, IRQCHIP_IOAPIC = 0, 1, 2
IRQ_ROUTING_IRQCHIP, IRQ_ROUTING_MSI = 1, 2

PIT_SPEAKER_DUMMY = 1
"""Port 61h is the kernel's too."""
PIT_FLAGS_HPET_LEGACY, PIT_FLAGS_SPEAKER_DATA_ON = 1, 2

IOEVENTFD_PIO, IOEVENTFD_DEASSIGN = 2, 4
IRQFD_DEASSIGN = 1

MSR_EXIT_INVALID, MSR_EXIT_UNKNOWN, MSR_EXIT_FILTER = 1, 2, 4
MSR_FILTER_DEFAULT_DENY = 1
MSR_FILTER_READ, MSR_FILTER_WRITE = 1, 2

CPUID_SIGNIFICANT_INDEX = 1

MP_STATE_RUNNABLE = 0
MP_STATE_UNINITIALIZED = 1
MP_STATE_INIT_RECEIVED = 2
MP_STATE_HALTED = 3
MP_STATE_SIPI_RECEIVED = 4

EVENT_NMI_PENDING, EVENT_SIPI_VECTOR, EVENT_SHADOW, EVENT_SMM = 1, 2, 4, 8
SHADOW_MOV_SS, SHADOW_STI = 1, 2

ioctl = fcntl.ioctl
