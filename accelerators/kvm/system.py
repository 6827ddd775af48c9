"""/dev/kvm itself: what this host's KVM can do."""

from __future__ import annotations

import os
from ctypes import sizeof
from pathlib import Path

from . import ioctls as k
from .structures import CpuidEntry2

DEVICE = Path("/dev/kvm")
_LARGEST_TABLE = 1024


class System:
    """An open /dev/kvm. Raises OSError where that can't be opened."""

    def __init__(self, device: Path = DEVICE) -> None:
        self.descriptor = os.open(device, os.O_RDWR | os.O_CLOEXEC)

    def close(self) -> None:
        """Closes it; virtual machines made by it live on."""
        os.close(self.descriptor)

    def version(self) -> int:
        """That of the API; 12 since Linux 2.6.22."""
        return k.ioctl(self.descriptor, k.KVM_GET_API_VERSION)

    def check(self, capability: int) -> int:
        """0 if the capability is missing, else its positive value."""
        return k.ioctl(self.descriptor, k.KVM_CHECK_EXTENSION, capability)

    def create_vm(self) -> int:
        """The descriptor of a new virtual machine."""
        while True:
            try:
                return k.ioctl(self.descriptor, k.KVM_CREATE_VM, 0)
            except InterruptedError:
                continue  # KVM gives up on any signal here

    def run_size(self) -> int:
        """How many bytes of a vCPU's descriptor are to be mapped."""
        return k.ioctl(self.descriptor, k.KVM_GET_VCPU_MMAP_SIZE)

    def supported_cpuid(self) -> list[CpuidEntry2]:
        """What CPUID can show here."""
        number = 128
        while number <= _LARGEST_TABLE:
            table = bytearray(8 + number * sizeof(CpuidEntry2))
            table[:4] = number.to_bytes(4, "little")
            try:
                k.ioctl(self.descriptor, k.KVM_GET_SUPPORTED_CPUID, table)
            except OSError:
                number *= 2  # E2BIG
                continue
            found = int.from_bytes(table[:4], "little")
            return [CpuidEntry2.from_buffer_copy(table, 8 + n * sizeof(CpuidEntry2)) for n in range(found)]
        raise OSError("KVM_GET_SUPPORTED_CPUID gives no table")

    def msr_indices(self) -> list[int]:
        """The model-specific registers that KVM saves and restores, besides those that every CPU has."""
        table = bytearray(4 + 4 * _LARGEST_TABLE)
        table[:4] = _LARGEST_TABLE.to_bytes(4, "little")
        k.ioctl(self.descriptor, k.KVM_GET_MSR_INDEX_LIST, table)
        words = memoryview(table).cast("I")
        return list(words[1 : 1 + words[0]])
