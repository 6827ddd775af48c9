"""Model-specific registers: those that KVM holds for the guest, and those that the machine answers.

Which a guest sees is the machine's choice, whatever the accelerator. KVM keeps the architectural ones, below; any
other access leaves the guest and is answered by `machine.msrs` (KVM_CAP_X86_USER_SPACE_MSR, KVM_X86_SET_MSR_FILTER).
Where KVM can't do that (before Linux 5.10), it answers by itself.
"""

from __future__ import annotations

import ctypes
import struct
from collections.abc import Iterable

from southbridge.x86 import MSR_EFER, MSR_TSC

from . import ioctls as k
from .structures import MsrFilter, MsrFilterRange
from .vm import Vm

MSR_APIC_BASE = 0x1B
MSR_TSC_DEADLINE = 0x6E0
MSR_PAT = 0x277

_LOCAL_APIC = (MSR_APIC_BASE, MSR_TSC_DEADLINE)
"""Whoever plays the local APIC answers these."""

_BASE = (
    MSR_TSC,
    *(0x174, 0x175, 0x176),  # SYSENTER
    *(0x17A, 0x17B),  # machine check
    0x1A0,  # IA32_MISC_ENABLE
    0xFE,  # IA32_MTRRCAP
    *range(0x200, 0x210),  # MTRRs
    *(0x250, 0x258, 0x259),
    *range(0x268, 0x270),
    MSR_PAT,
    0x2FF,
    *range(0x400, 0x428),  # machine check banks
    *range(MSR_EFER, 0xC000_0085),  # EFER, SYSCALL
    *range(0xC000_0100, 0xC000_0104),  # bases of FS and GS, KERNEL_GS_BASE, TSC_AUX
)
"""Every CPU's."""

_BY_FEATURE: dict[str, tuple[int, ...]] = {
    "tsc-adjust": (0x3B,),
    "spec-ctrl": (0x48, 0x49),
    "amd-stibp": (0x48, 0x49),
    "ibpb": (0x49,),
    "arch-capabilities": (0x10A,),
    "xsaves": (0xDA0,),
    "virt-ssbd": (0xC001_011F,),
    "waitpkg": (0xE1,),
}
"""What comes with a feature of the CPU model."""

PARAVIRTUAL = (0x11, 0x12, *range(0x4B56_4D00, 0x4B56_4D08))
"""KVM's own: its clock, asynchronous page faults, stolen time, end of interrupt."""

NOT_SAVED = (0xFE, 0x49, 0x10A, 0xC000_0100, 0xC000_0101)
"""What is fixed, write-only, or a part of the segments."""

_ENTRY = struct.Struct("<IIQ")


def held(features: frozenset[str], paravirtual: bool) -> list[int]:
    """The registers that KVM holds for a CPU with these features, but for the local APIC's."""
    more = (number for feature, numbers in _BY_FEATURE.items() if feature in features for number in numbers)
    return sorted({*_BASE, *more, *(PARAVIRTUAL if paravirtual else ())})


def filter_to(vm: Vm, numbers: Iterable[int], local_apic: bool) -> bool:
    """Has every access to a register that isn't among `numbers` leave the guest. False: this KVM can't.

    `local_apic`: KVM plays it, with its registers.
    """
    if not (vm.check(k.CAP_X86_USER_SPACE_MSR) and vm.check(k.CAP_X86_MSR_FILTER)):
        return False
    wanted = {*numbers, *(_LOCAL_APIC if local_apic else ())}
    table = MsrFilter(flags=k.MSR_FILTER_DEFAULT_DENY)
    bitmaps = []
    for index, (first, bits) in enumerate(_runs(sorted(wanted))):
        size = bits.bit_length()
        bitmap = ctypes.create_string_buffer(bits.to_bytes(-(-size // 64) * 8, "little"))
        bitmaps.append(bitmap)
        both = k.MSR_FILTER_READ | k.MSR_FILTER_WRITE
        table.ranges[index] = MsrFilterRange(both, len(bitmap) // 8 * 64, first, ctypes.addressof(bitmap))
    reasons = k.MSR_EXIT_INVALID | k.MSR_EXIT_UNKNOWN | k.MSR_EXIT_FILTER
    if not vm.enable(k.CAP_X86_USER_SPACE_MSR, reasons):
        return False
    vm.set(k.KVM_X86_SET_MSR_FILTER, table)
    return True


def _runs(numbers: list[int]) -> Iterable[tuple[int, int]]:
    """Few ranges that hold the sorted `numbers`: first one, and a bit for each."""
    first, bits = numbers[0], 0
    for number in numbers:
        if number - first >= 0x600 * 8:
            yield first, bits
            first, bits = number, 0
        bits |= 1 << number - first
    yield first, bits


def read(descriptor: int, numbers: Iterable[int]) -> dict[int, int]:
    """A vCPU's registers among `numbers` that it has."""
    waiting = list(numbers)
    found = {}
    while waiting:
        table = bytearray(struct.pack("<II", len(waiting), 0))
        for number in waiting:
            table += _ENTRY.pack(number, 0, 0)
        done = k.ioctl(descriptor, k.KVM_GET_MSRS, table)
        for at in range(done):
            number, _, value = _ENTRY.unpack_from(table, 8 + at * _ENTRY.size)
            found[number] = value
        waiting = waiting[done + 1 :]
    return found


def write(descriptor: int, values: dict[int, int]) -> None:
    """Sets a vCPU's registers. Raises ValueError, naming it, for one that it refuses."""
    table = bytearray(struct.pack("<II", len(values), 0))
    for number, value in values.items():
        table += _ENTRY.pack(number, 0, value)
    done = k.ioctl(descriptor, k.KVM_SET_MSRS, table)
    if done < len(values):
        number, value = list(values.items())[done]
        raise ValueError(f"KVM refuses {value:#x} for the model-specific register {number:#x}")
