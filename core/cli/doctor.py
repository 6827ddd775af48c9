"""`southbridge doctor`: what of this host can be used, and the command that gets what is missing."""

from __future__ import annotations

import fcntl
import os
import platform
import sys
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from importlib import metadata
from pathlib import Path
from typing import cast

from ..accelerator import Accelerator
from ..builder import availability
from ..discovery import load, names
from ..errors import PluginError
from .listing import print_columns, print_json

KVM_DEVICE = Path("/dev/kvm")
KVM_GET_API_VERSION = 0xAE00
KVM_API_VERSION = 12

XEN_CAPABILITIES = Path("/proc/xen/capabilities")
HYPERVISOR_TYPE = Path("/sys/hypervisor/type")

FIRMWARE_FOLDERS = (Path("/usr/share/seabios"), Path("/usr/share/qemu"))
FIRMWARE = ("bios-256k.bin", "bios.bin")


@dataclass(frozen=True)
class Finding:
    """One thing that was looked for. `remedy` is a command, or what else to do, if it isn't usable."""

    name: str
    usable: bool
    detail: str
    remedy: str = ""


def report(as_json: bool) -> None:
    """Prints what was found."""
    found = list(findings())
    if as_json:
        print_json([asdict(finding) for finding in found])
        return
    print_columns([("ok" if finding.usable else "--", finding.name, finding.detail) for finding in found])
    remedies = [(finding.name, finding.remedy) for finding in found if finding.remedy]
    if remedies:
        print("\nTo get the rest:")
        print_columns(remedies, "  ")


def findings() -> Iterator[Finding]:
    """Looks at the host."""
    yield from (_accelerator(name) for name in names("accelerators"))
    yield kvm(KVM_DEVICE)
    yield _xen()
    yield _unicorn()
    yield from (firmware(image) for image in FIRMWARE)
    yield _terminal()


def _accelerator(name: str) -> Finding:
    called = f"accelerator {name}"
    try:
        found = availability(cast(type[Accelerator], load("accelerators", name)))
    except PluginError as error:
        return Finding(called, False, str(error))
    return Finding(called, found.usable, found.reason)


def kvm(device: Path) -> Finding:
    """Whether `device` is KVM's, and lets us in."""
    try:
        descriptor = os.open(device, os.O_RDWR | os.O_CLOEXEC)
    except PermissionError:
        return Finding("KVM", False, f"{device}: permission denied", 'sudo usermod -aG kvm "$USER", and log in again')
    except OSError as error:
        return Finding("KVM", False, f"{device}: {error.strerror}", _kvm_remedy())
    try:
        version = fcntl.ioctl(descriptor, KVM_GET_API_VERSION)
    except OSError as error:
        return Finding("KVM", False, f"{device} isn't KVM: {error.strerror}", _kvm_remedy())
    finally:
        os.close(descriptor)
    if version != KVM_API_VERSION:
        return Finding("KVM", False, f"API version {version}, not {KVM_API_VERSION}", "a Linux kernel since 2.6.22")
    return Finding("KVM", True, f"{device}, API version {version}")


def _kvm_remedy() -> str:
    """What brings KVM's device here."""
    if platform.machine() != "x86_64":
        return "an x86-64 host: KVM runs guests of the host's own architecture"
    flags = _cpu_flags()
    for flag, module in (("vmx", "kvm_intel"), ("svm", "kvm_amd")):
        if flag in flags:
            return f"sudo modprobe {module}"
    return "virtualization, enabled in the host's firmware; in a virtual machine: nested virtualization"


def _cpu_flags() -> set[str]:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return set()
    return next((set(line.split()) for line in lines if line.startswith("flags")), set())


def _xen() -> Finding:
    if not HYPERVISOR_TYPE.exists() or HYPERVISOR_TYPE.read_text().strip() != "xen":
        return Finding(
            "Xen", False, "this kernel doesn't run on Xen", "sudo apt-get install xen-system-amd64, and boot it"
        )
    if not XEN_CAPABILITIES.exists() or "control_d" not in XEN_CAPABILITIES.read_text():
        return Finding("Xen", False, "this is a guest of Xen, not its control domain", "run it in domain 0")
    return Finding("Xen", True, "this is Xen's control domain")


def _unicorn() -> Finding:
    try:
        version = metadata.version("unicorn")
    except metadata.PackageNotFoundError:
        return Finding("Unicorn", False, "not installed", f"{sys.executable} -m pip install unicorn")
    return Finding("Unicorn", True, f"{version}; its core is under the GPL, version 2")


def firmware(image: str) -> Finding:
    """Whether `image` is where distributions put it."""
    paths = [folder / image for folder in FIRMWARE_FOLDERS]
    found = next((path for path in paths if os.access(path, os.R_OK)), None)
    if found is None:
        folders = " or ".join(str(folder) for folder in FIRMWARE_FOLDERS)
        return Finding(f"firmware {image}", False, f"not in {folders}", "sudo apt-get install seabios")
    return Finding(f"firmware {image}", True, str(found))


def _terminal() -> Finding:
    if sys.stdin.isatty():
        return Finding("terminal", True, "standard input is one: Ctrl-A X leaves a machine")
    return Finding("terminal", False, "standard input is none: Ctrl-C ends a machine", "run it in a terminal")
