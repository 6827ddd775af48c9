"""A hypervisor within this process; not there yet."""

from __future__ import annotations

from typing import TYPE_CHECKING

from southbridge.errors import SouthbridgeError

from ..hypervisor import Hypervisor

if TYPE_CHECKING:
    from southbridge.machine import Machine

OFFLOADS: frozenset[str] = frozenset()


def open_domain(machine: Machine, cpu: str) -> Hypervisor:
    """A domain for `machine`."""
    raise SouthbridgeError("there is no simulated hypervisor")
