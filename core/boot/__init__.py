"""Booting a kernel that the description names: by the machine itself, without firmware, or through the firmware.

`kernels.py` tells what a file is; `linux.py`, `pvh.py` and `multiboot.py` are the ways to start one; `direct.py` does
what firmware and a boot loader do, at each reset of the machine.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from .settings import FIRMWARE, PROTOCOLS, BootSettings

if TYPE_CHECKING:
    from ..machine import Machine
    from ..x86 import X86State

__all__ = ["FIRMWARE", "PROTOCOLS", "Boot", "BootSettings"]


class Boot(Protocol):
    """What begins instead of the firmware at the reset vector."""

    def start(self, machine: Machine) -> X86State:
        """The devices were just reset: fills memory, and gives the first CPU's state. With the lock held."""
        ...

    def wake(self, machine: Machine) -> X86State:
        """The devices woke: gives the first CPU's state, where the system wants to go on. With the lock held."""
        ...
