"""A hypervisor within this process, for development and tests: it implements hypervisor.py's protocols.

An inner machine has the guest's CPUs, run by another accelerator, its RAM, and the platform devices that a hypervisor
emulates. What none of them answers becomes a request to the device model.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..hypervisor import Hypervisor

if TYPE_CHECKING:
    from southbridge.machine import Machine

OFFLOADS = frozenset({"i8259", "ioapic", "lapic", "i8254", "hpet", "pci-interrupts"})
"""What it emulates: what Xen does."""


def open_domain(machine: Machine, cpu: str) -> Hypervisor:
    """A domain for `machine`, whose CPUs the accelerator `cpu` runs. Raises SouthbridgeError."""
    from .domain import Domain

    return Domain(machine, cpu)
