"""Local APICs on a bench: registers by CPU, messages, and a record of what the machine was told."""

from __future__ import annotations

import threading
from functools import partial
from typing import Any

from southbridge.cpu_models.definition import INTEL, Definition
from southbridge.testing import Bench

BASE = 0xFEE0_0000
ID, VERSION, TPR, APR, PPR, EOI, RRD, LDR, DFR, SVR = 0x20, 0x30, 0x80, 0x90, 0xA0, 0xB0, 0xC0, 0xD0, 0xE0, 0xF0
ISR, TMR, IRR, ESR, ICR_LOW, ICR_HIGH = 0x100, 0x180, 0x200, 0x280, 0x300, 0x310
LVT_TIMER, LVT_THERMAL, LVT_PERFORMANCE, LVT_LINT0, LVT_LINT1, LVT_ERROR = range(0x320, 0x380, 0x10)
INITIAL, CURRENT, DIVIDE = 0x380, 0x390, 0x3E0
MASKED, PERIODIC, TSC_DEADLINE = 1 << 16, 1 << 17, 2 << 17
FIXED, LOWEST, SMI, NMI, INIT, STARTUP, EXTINT = (mode << 8 for mode in (0, 1, 2, 4, 5, 6, 7))
LOGICAL, ASSERT, LEVEL = 1 << 11, 1 << 14, 1 << 15
SELF, ALL, OTHERS = (shorthand << 18 for shorthand in (1, 2, 3))
MSR_BASE, MSR_DEADLINE = 0x1B, 0x6E0

DEADLINE_CPU = Definition("test", INTEL, 6, 42, 1, 0xD, "fpu tsc msr apic tsc-deadline lm", "A CPU").build()


class Apics:
    """The device on a bench with `cpus` CPUs, each APIC software-enabled unless told."""

    def __init__(self, bench: Bench, cpus: int = 1, *, enable: bool = True, deadline: bool = False) -> None:
        self.bench = bench
        self.machine: Any = bench.machine
        self.machine.cpus.max = cpus
        self.machine.cpus.plugged = dict.fromkeys(range(cpus), "")
        if deadline:
            self.machine.cpu = DEADLINE_CPU
        self.changes = 0
        self.ended: list[int] = []
        self.signals: list[tuple[Any, ...]] = []
        """NMI, INIT and startup: what, to whom, the vector."""
        self.machine.cpus.eoi_listeners.append(self.ended.append)
        recorders: dict[str, Any] = {
            "interrupt_changed": self._changed,
            "send_nmi": partial(self._signal, "nmi"),
            "send_init": partial(self._signal, "init"),
            "send_startup": partial(self._signal, "startup"),
        }
        vars(self.machine.cpus).update(recorders)
        self.device: Any = bench.plug("lapic")
        for cpu in range(cpus if enable else 0):
            self.write(SVR, 0x1FF, cpu)
        self.changes = 0

    def _signal(self, *what: Any) -> None:
        self.signals.append(what)

    def _changed(self) -> None:
        self.changes += 1

    def be(self, cpu: int) -> None:
        """The bench's accesses are that CPU's from now on."""
        self.machine.cpus.by_thread[threading.get_ident()] = cpu

    def read(self, register: int, cpu: int = 0) -> int:
        self.be(cpu)
        return self.bench.read_mmio(BASE + register)

    def write(self, register: int, value: int, cpu: int = 0) -> None:
        self.be(cpu)
        self.bench.write_mmio(BASE + register, value)

    def apic(self, cpu: int = 0) -> Any:
        return self.machine.cpus.interrupts_of(cpu)

    def pending(self, cpu: int = 0) -> int | None:
        vector: int | None = self.apic(cpu).pending_vector()
        return vector

    def take(self, cpu: int = 0) -> int:
        vector = self.pending(cpu)
        assert vector is not None, "no interrupt is pending"
        self.apic(cpu).acknowledge(vector)
        return vector

    def vectors(self, register: int, cpu: int = 0) -> list[int]:
        """The vectors whose bits are set in ISR, TMR or IRR."""
        words = [self.read(register + 16 * n, cpu) for n in range(8)]
        return [32 * n + bit for n, word in enumerate(words) for bit in range(32) if word >> bit & 1]

    def ipi(self, low: int, destination: int = 0, cpu: int = 0) -> None:
        self.write(ICR_HIGH, destination << 24, cpu)
        self.write(ICR_LOW, low, cpu)

    def msi(self, data: int, destination: int = 0, *, logical: bool = False, hint: bool = False) -> Any:
        return self.machine.hooks.msi_send(BASE | destination << 12 | hint << 3 | logical << 2, data)

    def waiting(self) -> list[list[int]]:
        """What waits in each CPU's IRR."""
        return [self.vectors(IRR, cpu) for cpu in range(self.machine.cpus.max)]
