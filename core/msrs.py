"""Model-specific registers that the machine answers rather than the accelerator: a local APIC's, and the CPU model's.

What RDMSR and WRMSR show is the machine's, so that a guest sees one CPU whichever accelerator runs it. An accelerator
holds the architectural registers of the CPU itself; it asks here for any other. One that nobody has raises #GP.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from .errors import RealizeError

Reader = Callable[[int], int]
"""(index of the CPU) -> value"""
Writer = Callable[[int, int], bool]
"""(index of the CPU, value) -> False for #GP"""


class Msr(NamedTuple):
    """Who answers a register."""

    read: Reader
    write: Writer


class Msrs:
    """The registers by number. Callers hold the machine's lock."""

    def __init__(self) -> None:
        self._registers: dict[int, Msr] = {}

    def claim(self, number: int, read: Reader, write: Writer) -> None:
        """Register `number` is answered by these from now on. Raises RealizeError if somebody has it."""
        if number in self._registers:
            raise RealizeError(f"two devices claim the model-specific register {number:#x}")
        self._registers[number] = Msr(read, write)

    def release(self, number: int) -> None:
        """Nobody has it any more."""
        self._registers.pop(number, None)

    def __contains__(self, number: int) -> bool:
        return number in self._registers

    def read(self, cpu: int, number: int) -> int | None:
        """RDMSR on CPU `cpu`; None: #GP."""
        register = self._registers.get(number)
        return None if register is None else register.read(cpu)

    def write(self, cpu: int, number: int, value: int) -> bool:
        """WRMSR on CPU `cpu`; False: #GP."""
        register = self._registers.get(number)
        return register is not None and register.write(cpu, value)
