"""Each reason why KVM can't be used says how to mend it."""

from __future__ import annotations

import errno
from pathlib import Path

import pytest
from southbridge.accelerators.kvm import availability as module
from southbridge.accelerators.kvm.availability import availability
from southbridge.accelerators.kvm.system import System

from tests.accelerators.kvm.guest import need_kvm


def test_no_device(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    device, cpu = tmp_path / "kvm", tmp_path / "cpuinfo"
    monkeypatch.setattr(module, "_CPU", cpu)
    for flags, remedy in (
        ("fpu svm", "sudo modprobe kvm_amd"),
        ("fpu vmx", "sudo modprobe kvm_intel"),
        ("fpu", "enable virtualization in the host's firmware; in a virtual machine: nested virtualization"),
    ):
        cpu.write_text(f"processor : 0\nflags\t\t: {flags}\n")
        found = availability(device)
        assert (found.usable, found.reason) == (False, f"there is no {device}: {remedy}")


def test_no_permission(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(self: System, device: Path) -> None:
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr(System, "__init__", refuse)
    found = availability(tmp_path / "kvm")
    assert not found.usable
    assert found.reason == f'{tmp_path}/kvm: permission denied: sudo usermod -aG kvm "$USER", and log in again'


def test_another_device() -> None:
    found = availability(Path("/dev/null"))
    assert not found.usable
    assert found.reason.startswith("/dev/null isn't KVM: ")


def test_a_missing_capability_and_an_old_interface_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    need_kvm()
    monkeypatch.setattr(System, "check", lambda self, capability: 0)
    assert "lacks KVM_CAP_USER_MEMORY, KVM_CAP_READONLY_MEM" in availability().reason
    assert "use a Linux kernel since 4.11" in availability().reason
    monkeypatch.setattr(System, "version", lambda self: 11)
    assert availability().reason == "/dev/kvm has KVM's API version 11, not 12: use a Linux kernel since 2.6.22"


def test_kvm_without_hardware_is_not_preferred(tmp_path: Path) -> None:
    need_kvm()
    assert availability(modules=tmp_path).preferred
    (tmp_path / "kvm_pvm").mkdir()
    found = availability(modules=tmp_path)
    assert (found.usable, found.preferred) == (True, False)
    assert "slow for firmware and real mode" in found.reason
