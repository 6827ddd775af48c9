"""An accelerator whose guest is a Python generator: what the core does with vCPUs, without a CPU."""

from __future__ import annotations

import threading
from collections.abc import Callable, Generator

from southbridge import Accelerator, Availability, ExitReason, Machine, Vcpu, X86State

HLT, SHUTDOWN = ExitReason.HALTED, ExitReason.SHUTDOWN
SPIN = ExitReason.KICKED
"""The guest computes for ever, until something takes it out."""

Guest = Callable[["FakeVcpu"], Generator[ExitReason, None, None]]
"""Does what a guest does by calls of the vCPU's methods, and yields HLT, SHUTDOWN or SPIN. At its end it spins."""


class FakeVcpu(Vcpu):
    """Runs `guest`, from its beginning after each reset."""

    def __init__(self, machine: Machine, guest: Guest, index: int = 0) -> None:
        self.index = index
        self.machine = machine
        self.inside = False
        """Whether `run` is under way."""
        self.closed = False
        self.loads: list[X86State] = []
        self.counter: int | None = None
        """Its time-stamp counter, which moves when the test says so."""
        self.vectors: list[int] = []
        """The interrupts that it took."""
        self.waits = threading.Event()
        """The core asked whether the halted CPU wakes: it waits, or is about to, with the lock held."""
        self._guest = guest
        self._halted = False
        self._kicked = threading.Event()

    # --- for the guest -------------------------------------------------------------------------------------------

    def read_port(self, port: int) -> int:
        """IN of a byte."""
        with self.machine.lock:
            return self.machine.ports.read(port, 1)

    def write_port(self, port: int, value: int) -> None:
        """OUT of a byte."""
        with self.machine.lock:
            self.machine.ports.write(port, 1, value)

    # --- for the core --------------------------------------------------------------------------------------------

    def run(self) -> ExitReason:
        self.inside = True
        try:
            return self._run()
        finally:
            self.inside = False

    def _run(self) -> ExitReason:
        while not self._kicked.is_set():
            if self._halted and not self._interrupted():
                return HLT
            step = next(self._program, SPIN)
            if step is HLT:
                self._halted = True
            elif step is SHUTDOWN:
                return SHUTDOWN
            else:
                self._kicked.wait()
        self._kicked.clear()
        return ExitReason.KICKED

    def _interrupted(self) -> bool:
        with self.machine.lock:
            controller = self.machine.interrupt_controller
            vector = controller.pending_vector() if controller else None
            if controller is None or vector is None:
                return False
            controller.acknowledge(vector)
        self.vectors.append(vector)
        self._halted = False
        return True

    def kick(self) -> None:
        self._kicked.set()

    def interrupt_changed(self) -> None: ...

    def request_nmi(self) -> None: ...

    def wakes(self) -> bool:
        self.waits.set()
        controller = self.machine.interrupt_controller
        return controller is not None and controller.pending_vector() is not None

    def tsc(self) -> int | None:
        return self.counter

    def set_tsc(self, value: int) -> None:
        self.counter = value

    def save(self) -> X86State:
        return self.loads[-1]

    def load(self, state: X86State) -> None:
        assert not self.inside, "the core changes a CPU that is in the guest"
        self.loads.append(state)
        self._halted = state.halted
        self._program = self._guest(self)

    def close(self) -> None:
        self.closed = True


class FakeAccelerator(Accelerator):
    """Runs one `guest`."""

    def __init__(self, guest: Guest) -> None:
        super().__init__()
        self.guest = guest
        self.machine: Machine | None = None
        self.vcpu: FakeVcpu | None = None
        """The first CPU."""

    @classmethod
    def availability(cls) -> Availability:
        return Availability(True, "for tests")

    def attach(self, machine: Machine) -> None:
        self.machine = machine
        machine.tsc_hz = 0  # the test moves it

    def detach(self) -> None:
        self.machine = None

    def create_vcpu(self, index: int) -> Vcpu:
        assert self.machine is not None
        vcpu = FakeVcpu(self.machine, self.guest, index)
        if index == 0:
            self.vcpu = vcpu
        return vcpu
