"""What the core's own hot paths cost, in this process: no guest, nothing of QEMU's to compare with."""

from __future__ import annotations

import timeit
from collections.abc import Callable

from southbridge import Device, MiB, MmioBank, timer
from southbridge.memory.dirty import DirtyPages
from southbridge.testing import Bench

BASE = 0xE000_0000
NUMBER = 50_000


class Plain(Device):
    """A register, and a timer."""

    bank = MmioBank(4096)
    VALUE = bank.register(0, 4)

    def realize(self) -> None:
        """Answers at BASE."""
        self.claim_memory(self.bank, BASE)

    @timer
    def expire(self) -> None:
        """Does nothing."""


def costs() -> dict[str, float]:
    """Microseconds by name."""
    bench = Bench(memory=16 * MiB)
    device = bench.plug(Plain)
    space, hooks = bench.machine.memory, bench.machine.hooks
    log = DirtyPages(bench.machine.ram)
    page = bytes(4096)

    def expire() -> None:
        device.expire.after(ns=1)
        bench.clock.advance(ns=1)

    return {
        "register read through the address space": microseconds(lambda: space.read(BASE, 4)),
        "register write through the address space": microseconds(lambda: space.write(BASE, 4, 1)),
        "DMA read of 16 bytes": microseconds(lambda: hooks.memory_read(0x1000, 16)),
        "DMA read of 4 KiB": microseconds(lambda: hooks.memory_read(0x1000, 4096)),
        "DMA write of 16 bytes": microseconds(lambda: hooks.memory_write(0x1000, page[:16])),
        "DMA write of 4 KiB": microseconds(lambda: hooks.memory_write(0x1000, page)),
        "timer set and run": microseconds(expire),
        "dirty bitmap of 16 MiB taken": microseconds(log.take),
    }


def microseconds(call: Callable[[], object]) -> float:
    """What `call` takes: the best of three series."""
    return min(timeit.repeat(call, number=NUMBER, repeat=3)) / NUMBER * 1e6
