"""CPUID: a CPU model's entries given to KVM, and KVM's own as the model `host`."""

from __future__ import annotations

from ctypes import sizeof

from southbridge.cpu_models import CpuidEntry, CpuModel
from southbridge.errors import SouthbridgeError

from . import ioctls as k
from .structures import CpuidEntry2
from .system import System

_HYPERVISOR_LEAVES = range(0x4000_0000, 0x4000_0100)
PARAVIRTUAL_LEAF = 0x4000_0001
_SIGNATURE = b"KVMKVMKVM\0\0\0"

_EMULATED = frozenset({"x2apic", "tsc-deadline", "hypervisor", "ht", "cmp-legacy", "topoext"})
"""Features that KVM_GET_SUPPORTED_CPUID leaves out, or that aren't the CPU's own (api.rst, 4.46)."""


def set_cpuid(descriptor: int, model: CpuModel, index: int, cpus: int) -> None:
    """CPU `index` of `cpus` shows `model` from now on. Raises SouthbridgeError if KVM refuses."""
    entries = model.cpuid(index, cpus)
    table = bytearray(len(entries).to_bytes(8, "little"))
    for e in entries:
        flags = 0 if e.subleaf is None else k.CPUID_SIGNIFICANT_INDEX
        table += bytes(CpuidEntry2(e.leaf, e.subleaf or 0, flags, e.eax, e.ebx, e.ecx, e.edx))
    try:
        k.ioctl(descriptor, k.KVM_SET_CPUID2, table)
    except OSError as error:
        raise SouthbridgeError(f"KVM refuses the CPU model {model.name}: {error.strerror}") from error


def host_model(system: System) -> CpuModel:
    """The model `host`: everything that KVM offers on this host, its clock among it."""
    return CpuModel.from_cpuid("host", [_entry(entry) for entry in system.supported_cpuid()])


def check(system: System, model: CpuModel) -> None:
    """Raises SouthbridgeError, naming the features, if KVM can't show `model` here."""
    if model.name == "host":
        return
    missing = sorted(model.features - host_model(system).features - _EMULATED)
    if missing:
        raise SouthbridgeError(f"KVM on this host can't show the CPU model {model.name}: it lacks {', '.join(missing)}")


def is_paravirtual(model: CpuModel) -> bool:
    """Whether the guest sees KVM's own features, and with them their registers."""
    return any(entry.leaf == PARAVIRTUAL_LEAF and entry.eax for entry in model.entries)


def xsave_layout(descriptor: int) -> dict[int, tuple[int, int]]:
    """Where XSAVE's components beyond x87 and SSE lie for this vCPU: offset and size, as its CPUID says."""
    number = 256
    table = bytearray(8 + number * sizeof(CpuidEntry2))
    table[:4] = number.to_bytes(4, "little")
    k.ioctl(descriptor, k.KVM_GET_CPUID2, table)
    found = {}
    supported = 0
    for n in range(int.from_bytes(table[:4], "little")):
        entry = CpuidEntry2.from_buffer_copy(table, 8 + n * sizeof(CpuidEntry2))
        if entry.function != 0xD:
            continue
        if entry.index == 0:
            supported = entry.eax | entry.edx << 32
        elif entry.index > 1 and entry.eax and not entry.ecx & 1:
            found[entry.index] = (entry.ebx, entry.eax)
    return {component: place for component, place in found.items() if supported >> component & 1}


def _entry(entry: CpuidEntry2) -> CpuidEntry:
    subleaf = entry.index if entry.flags & k.CPUID_SIGNIFICANT_INDEX else None
    return CpuidEntry(entry.function, subleaf, entry.eax, entry.ebx, entry.ecx, entry.edx)
