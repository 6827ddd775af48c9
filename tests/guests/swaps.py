"""A guest in this process whose accelerator is exchanged at moments that a seed gives.

A moment is relative to what the guest does: after so many of its port accesses, and then so many nanoseconds of the
machine's clock; or after a longer time of that clock, where the guest makes no accesses that we see. Nothing here waits
by the host's clock, but for the watchdog that ends a guest that hangs.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from random import Random

from southbridge import Machine
from southbridge.accelerator import Accelerator
from southbridge.builder import accelerator_named, build
from southbridge.clock import Timer
from southbridge.description import load
from southbridge.life import Outcome, RunState, ShutdownReason
from southbridge.memory.regions import Io

from tests.guests.expect import TICKS_MARK
from tests.guests.southbridge import describe

ATA_COMMAND = 0x1F7
ATA_READS = (0x20, 0xC4, 0xC8, 0x25, 0x29)
"""READ SECTORS, READ MULTIPLE, READ DMA, and the 48-bit forms of two."""
PATIENCE_S = 240.0

Make = Callable[[Machine], Accelerator]
"""Makes an accelerator that isn't attached yet."""


def named(name: str) -> Make:
    """The accelerator of that name, as the description has it."""
    return lambda machine: accelerator_named(machine, name)


UNICORN = named("unicorn")


@dataclass(frozen=True)
class Plan:
    """`swaps` exchanges; accelerators are taken from `to` in turn.

    `accesses` and `clock_ns` say how far apart the moments are on average, whichever comes first; `delay_ns` is the
    most that passes after the accesses.
    """

    seed: int
    swaps: int
    to: Sequence[Make] = (UNICORN,)
    accesses: int = 100
    clock_ns: int = 20_000_000
    delay_ns: int = 500_000
    fallback: Make | None = UNICORN
    """Takes over each time when an accelerator can't go on."""
    firmware: bool = True
    """Whether the moments begin with the firmware; else with the first sector that it reads from the disk."""
    patience_s: float = PATIENCE_S
    """Only a guest that hangs meets this."""


@dataclass
class Ran:
    """How a guest ended that was disturbed so."""

    output: bytes
    outcome: Outcome
    swaps: list[str] = field(default_factory=list)
    """What each exchange led to."""
    pauses: list[float] = field(default_factory=list)
    """How long each one took, in seconds, from asking the CPU to leave the guest until it may go on."""
    accesses: int = 0
    """Port accesses that we saw."""
    failures: int = 0
    """Exchanges that the accelerator's own failure brought about, or that the machine ended of."""
    clock_ns: int = 0


class Swapper:
    """Carries out a plan on a machine that doesn't run yet."""

    def __init__(self, machine: Machine, plan: Plan) -> None:
        self.machine = machine
        self.plan = plan
        self.accesses = 0
        self.swaps: list[str] = []
        self.pauses: list[float] = []
        self._random = Random(plan.seed)
        self._left = 0
        self._due = False
        self._timer = Timer(machine.clock, self._time_has_come)
        self._watch_ports()
        self._provide_fallback()
        self._waits = bool(plan.swaps)
        if plan.firmware:
            self._begin()

    def _begin(self) -> None:
        if self._waits:
            self._waits = False
            self.machine.post(self._arm)

    def _provide_fallback(self) -> None:
        make = self.plan.fallback
        self.machine.fallbacks = [] if make is None else [partial(make, self.machine)]

    def _watch_ports(self) -> None:
        ports = self.machine.ports
        read, write = ports.read, ports.write

        def watched_read(address: int, size: int) -> int:
            self._accessed()
            return read(address, size)

        def watched_write(address: int, size: int, value: int) -> None:
            self._accessed()
            write(address, size, value)
            if address == ATA_COMMAND and value in ATA_READS:
                self._begin()

        ports.read = watched_read  # type: ignore[method-assign]
        ports.write = watched_write  # type: ignore[method-assign]

    def _accessed(self) -> None:
        """The guest accesses a port; the lock is held."""
        self.accesses += 1
        if self._left:
            self._left -= 1
            if not self._left:
                self._timer.after(ns=self._random.randrange(self.plan.delay_ns + 1))

    def _arm(self) -> None:
        with self.machine.lock:
            self._due = False
            self._left = self._random.randint(1, 2 * self.plan.accesses)
            self._timer.after(ns=self._random.randint(1, 2 * self.plan.clock_ns))

    def _time_has_come(self) -> None:
        """The clock's timer; the lock is held."""
        self._left = 0
        if not self._due:
            self._due = True
            self.machine.post(self._swap)

    def _swap(self) -> None:
        if self.machine.state is not RunState.RUNNING:
            return
        accelerator = self.plan.to[len(self.swaps) % len(self.plan.to)](self.machine)
        self._provide_fallback()
        begin = time.perf_counter()
        self.machine.swap_accelerator(accelerator)
        self.pauses.append(time.perf_counter() - begin)
        self.swaps.append(accelerator.name)
        if len(self.swaps) < self.plan.swaps:
            self._arm()


@dataclass(frozen=True)
class Marked:
    """What the machine saw of one phase of the ticks guest."""

    rtc: int
    """How often the RTC asserted IRQ8."""
    irq0: int
    """How often the 8254 asserted IRQ0; an accelerator that plays it doesn't show that."""
    seconds: float
    """By the machine's clock."""


class Marks:
    """A device at the port to which the ticks guest says where a phase begins and ends."""

    def __init__(self, machine: Machine) -> None:
        self.machine = machine
        self.phases: list[Marked] = []
        self._counts = {0: 0, 8: 0}
        self._start = 0
        for line in self._counts:
            machine.isa.wires[line].connect(partial(self._line_changed, line))
        machine.ports.root.add(TICKS_MARK, Io("marks", 1, lambda offset, size: 0xFF, self._marked, widths=(1,)))

    def _line_changed(self, line: int, level: bool) -> None:
        self._counts[line] += level

    def _marked(self, offset: int, size: int, begins: int) -> None:
        now = self.machine.clock.now()
        if begins:
            self._start = now
            self._counts = dict.fromkeys(self._counts, 0)
        else:
            self.phases.append(Marked(self._counts[8], self._counts[0], (now - self._start) / 1e9))


def machine_for(folder: Path, image: Path, more: str = "", *, accelerator: str = "unicorn") -> tuple[Machine, Path]:
    """A machine with `image` as its disk, and the file that its serial port writes to."""
    description = describe(folder, image=image, more=more)
    serial = folder / "serial.out"
    with description.open("a") as file:
        file.write(f"accelerator: {accelerator}\nchardevs:\n  serial0: {{type: file, path: '{serial}'}}\n")
    return build(load(str(description))), serial


def run_machine(machine: Machine, serial: Path, plan: Plan) -> Ran:
    """Runs it until the guest ends it. Raises what the machine raises, and AssertionError if the guest hangs."""
    swapper = Swapper(machine, plan)
    failures = []
    fail_over = machine.vcpu_failed
    machine.vcpu_failed = lambda vcpu, error: (failures.append(error), fail_over(vcpu, error))[1]  # type: ignore[method-assign,func-returns-value]
    watchdog = threading.Timer(plan.patience_s, machine.request_shutdown, [ShutdownReason.HOST_QUIT])
    watchdog.start()
    try:
        outcome = machine.run()
    finally:
        watchdog.cancel()
        clock_ns = machine.clock.now()
        machine.close()
    ran = Ran(serial.read_bytes(), outcome, swapper.swaps, swapper.pauses, swapper.accesses, len(failures), clock_ns)
    hung = (
        f"the guest hangs after {len(ran.swaps)} swaps; its last words:\n{ran.output[-600:].decode(errors='replace')}"
    )
    assert outcome.reason is not ShutdownReason.HOST_QUIT, hung
    return ran
