"""The machine of the software CPU's tests, on KVM."""

from __future__ import annotations

from typing import Any

import pytest
from southbridge.accelerator import Vcpu
from southbridge.accelerators.kvm import KvmAccelerator
from southbridge.cpu_models import CpuModel
from southbridge.memory.regions import Section

from tests.accelerators.unicorn.guest import MEMORY, FakeMachine


def need_kvm() -> None:
    """Skips a test where KVM can't be used."""
    found = KvmAccelerator.availability()
    if not found.usable:
        pytest.skip(f"needs /dev/kvm: {found.reason}")


class KvmMachine(FakeMachine):
    """As FakeMachine, with the interrupt controllers in user space."""

    def __init__(self, memory: int = MEMORY, cpu: CpuModel | None = None) -> None:
        need_kvm()
        super().__init__(memory, cpu, KvmAccelerator(kernel_irqchip="off"))

    def new_vcpu(self) -> Vcpu:
        """A virtual machine has one CPU of a number, ever: a fresh one needs a fresh virtual machine."""
        if self.vcpu is not None:
            self.vcpu.close()
            self.accelerator.detach()
            machine: Any = self
            self.accelerator.attach(machine)
        vcpu: Vcpu = self.accelerator.create_vcpu(0)
        self.vcpu = vcpu
        return vcpu

    def region_added(self, section: Section) -> None:
        self.accelerator.memory_region_added(section)

    def close(self) -> None:
        super().close()
        self.accelerator.detach()
