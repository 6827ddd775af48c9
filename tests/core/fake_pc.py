"""A small PC for tests of the machine itself: a port that ends it, one that calls the test, an interrupt controller."""

from __future__ import annotations

import threading
from collections.abc import Callable, Generator
from typing import Any

from southbridge import (
    Device,
    ExitReason,
    Machine,
    MiB,
    PortBank,
    Property,
    ShutdownReason,
    hookimpl,
    timer,
)
from southbridge.life import Outcome
from southbridge.memory.regions import Ram

from tests.core.fake_cpu import HLT, SPIN, FakeAccelerator, FakeVcpu, Guest

Steps = Generator[ExitReason, None, None]

EXIT, CALL, IRQ = 0x501, 0x600, 5
WATCHDOG_S = 60.0
"""Only a machine that hangs meets this."""


class ExitPort(Device):
    """Ends the machine with the status that the guest writes."""

    ports = PortBank(1)
    STATUS = ports.register(0)

    def realize(self) -> None:
        self.claim_ports(self.ports, EXIT)

    @STATUS.write
    def written(self, value: int) -> None:
        self.machine.request_shutdown(ShutdownReason.GUEST_SHUTDOWN, value)


class CallPort(Device):
    """Calls one of the test's functions when the guest writes its number: with the lock held, on the vCPU's thread."""

    ports = PortBank(1)
    NUMBER = ports.register(0)
    resets = 0

    def realize(self) -> None:
        self.functions: list[Callable[[], Any]] = []
        self.claim_ports(self.ports, CALL)

    def reset(self) -> None:
        super().reset()
        self.resets += 1

    @NUMBER.write
    def written(self, value: int) -> None:
        self.functions[value]()


class Pic(Device):
    """An interrupt controller with one line."""

    def realize(self) -> None:
        self.taken: list[int] = []
        self.pin = self.claim_irq(IRQ)
        self.machine.isa.wires[IRQ].connect(lambda level: self.machine.cpus.interrupt_changed())
        self.machine.interrupt_controller = self

    def pending_vector(self) -> int | None:
        return 0x20 + IRQ if self.pin.asserted else None

    def acknowledge(self, vector: int) -> None:
        self.taken.append(vector)
        self.pin.set(False)


class Timekeeper(Device):
    """Raises the interrupt after a while."""

    delay: int = Property(1000, doc="In ns.")

    @timer
    def expire(self) -> None:
        pic = self.machine.devices["Pic"]
        assert isinstance(pic, Pic)
        pic.pin.set(True)

    def reset(self) -> None:
        super().reset()
        self.expire.after(ns=self.delay)


class Recorder:
    """Writes down the life of a machine."""

    def __init__(self, machine: Machine) -> None:
        self.events: list[Any] = []
        self.machine = machine
        self.thread: int | None = None

    def note(self, *what: Any) -> None:
        self.events.append(what[0] if len(what) == 1 else what)
        self.thread = threading.get_ident()

    @hookimpl
    def machine_created(self) -> None:
        self.note("created", self.machine.state)

    @hookimpl
    def machine_reset(self) -> None:
        self.note("reset")

    @hookimpl
    def machine_paused(self) -> None:
        self.note("paused")

    @hookimpl
    def machine_resumed(self) -> None:
        self.note("resumed")

    @hookimpl
    def machine_stopped(self, reason: ShutdownReason) -> None:
        self.note("stopped", reason)

    @hookimpl
    def a20_changed(self, enabled: bool) -> None:
        self.note("a20", enabled)


class Pc:
    """A machine with the devices above, and a guest."""

    def __init__(self, guest: Guest, *, strict: bool = False, cpus: int = 1) -> None:
        self.machine = Machine(name="pc", memory=1 * MiB, strict=strict, cpus=cpus)
        self.machine.memory.root.add(0, Ram("ram", self.machine.ram))
        self.accelerator = FakeAccelerator(guest)
        self.recorder = Recorder(self.machine)
        self.machine.hooks.register(self.recorder, "recorder")
        self.call: CallPort = self.plug(CallPort)
        self.pic: Pic = self.plug(Pic)
        self.plug(ExitPort)
        self.machine.set_accelerator(self.accelerator)
        self.machine.created()
        self.recorder.events.clear()

    def plug(self, kind: type[Device], **properties: Any) -> Any:
        device = kind(kind.__name__, **properties)
        self.machine.plug(device)
        return device

    @property
    def events(self) -> list[Any]:
        return self.recorder.events

    @property
    def vcpu(self) -> FakeVcpu:
        assert self.accelerator.vcpu is not None
        return self.accelerator.vcpu

    def run(self) -> Outcome:
        """Runs the machine to its end, or fails if it has none."""

        def give_up() -> None:
            raise TimeoutError(f"the machine doesn't end; {self.events}")

        watchdog = threading.Timer(WATCHDOG_S, self.machine.post, [give_up])
        watchdog.daemon = True
        watchdog.start()
        try:
            return self.machine.run()
        finally:
            watchdog.cancel()


def exits(vcpu: FakeVcpu) -> Steps:
    """A guest that ends the machine at once."""
    vcpu.write_port(EXIT, 0)
    yield SPIN


def spins(vcpu: FakeVcpu) -> Steps:
    """A guest that does nothing."""
    yield SPIN


def halts(vcpu: FakeVcpu) -> Steps:
    """A guest that waits for interrupts, and ends the machine after the first."""
    yield HLT
    vcpu.write_port(EXIT, 0)


def calls(*numbers: int) -> Guest:
    """A guest that calls the test's functions, spinning after each until it is taken out, and ends the machine."""

    def guest(vcpu: FakeVcpu) -> Steps:
        for number in numbers:
            vcpu.write_port(CALL, number)
            yield SPIN
        vcpu.write_port(EXIT, 0)
        yield SPIN

    return guest


def wait_until_halted(pc: Pc) -> None:
    """Returns when the CPU has executed HLT; for requests."""
    assert pc.vcpu.waits.wait(WATCHDOG_S), "the CPU doesn't halt"


def cpu_threads() -> list[threading.Thread]:
    """The CPUs' threads that run."""
    return [thread for thread in threading.enumerate() if thread.name.startswith("vcpu")]


def other_thread(function: Callable[[], Any]) -> None:
    thread = threading.Thread(target=function)
    thread.start()
    thread.join()
