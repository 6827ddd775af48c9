"""Whether KVM can be used here, and what to do if not."""

from __future__ import annotations

import errno
import platform
from pathlib import Path

from southbridge.accelerator import Availability

from . import ioctls as k
from .system import DEVICE, System

_NEEDED = {
    k.CAP_USER_MEMORY: "KVM_CAP_USER_MEMORY",
    k.CAP_READONLY_MEM: "KVM_CAP_READONLY_MEM",
    k.CAP_IMMEDIATE_EXIT: "KVM_CAP_IMMEDIATE_EXIT",
    k.CAP_EXT_CPUID: "KVM_CAP_EXT_CPUID",
    k.CAP_MP_STATE: "KVM_CAP_MP_STATE",
    k.CAP_VCPU_EVENTS: "KVM_CAP_VCPU_EVENTS",
    k.CAP_DEBUGREGS: "KVM_CAP_DEBUGREGS",
    k.CAP_XSAVE: "KVM_CAP_XSAVE",
    k.CAP_XCRS: "KVM_CAP_XCRS",
}
"""All of them since Linux 4.11."""

_MODULES = Path("/sys/module")
_PVM = "kvm_pvm"
_CPU = Path("/proc/cpuinfo")


def availability(device: Path = DEVICE, modules: Path = _MODULES) -> Availability:
    """Looks at `device`."""
    if platform.machine() != "x86_64":
        return Availability(False, f"KVM runs x86 guests on x86-64 hosts only; this one is {platform.machine()}")
    try:
        system = System(device)
    except OSError as error:
        return Availability(False, _cannot_open(device, error))
    try:
        return _look(system, device, modules)
    finally:
        system.close()


def _look(system: System, device: Path, modules: Path) -> Availability:
    try:
        version = system.version()
    except OSError as error:
        return Availability(False, f"{device} isn't KVM: {error.strerror}; {_how_to_get_it()}")
    if version != k.API_VERSION:
        return Availability(
            False, f"{device} has KVM's API version {version}, not {k.API_VERSION}: use a Linux kernel since 2.6.22"
        )
    missing = [name for capability, name in _NEEDED.items() if not system.check(capability)]
    if missing:
        return Availability(False, f"{device} lacks {', '.join(missing)}: use a Linux kernel since 4.11")
    if (modules / _PVM).exists():
        slow = "kvm_pvm emulates the guest's kernel mode: slow for firmware and real mode, and with gaps"
        return Availability(True, f"{device}; {slow}", preferred=False)
    return Availability(True, f"{device}, API version {version}")


def _cannot_open(device: Path, error: OSError) -> str:
    if error.errno in (errno.EACCES, errno.EPERM):
        return f'{device}: permission denied: sudo usermod -aG kvm "$USER", and log in again'
    if error.errno in (errno.ENOENT, errno.ENODEV, errno.ENXIO):
        return f"there is no {device}: {_how_to_get_it()}"
    return f"{device}: {error.strerror}"


def _how_to_get_it() -> str:
    """What brings KVM's device here."""
    try:
        lines = _CPU.read_text().splitlines()
    except OSError:
        lines = []
    flags = next((set(line.split()) for line in lines if line.startswith("flags")), set())
    for flag, module in (("vmx", "kvm_intel"), ("svm", "kvm_amd")):
        if flag in flags:
            return f"sudo modprobe {module}"
    return "enable virtualization in the host's firmware; in a virtual machine: nested virtualization"
