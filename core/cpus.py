"""A machine's CPUs: which there are and may be, the threads that run them, and what is sent to one of them."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import TYPE_CHECKING, NamedTuple

from .clock import SECOND
from .vcpus import VcpuThread

if TYPE_CHECKING:
    from .accelerator import Accelerator
    from .interrupts import InterruptController, LocalApic
    from .machine import Machine


class Place(NamedTuple):
    """A CPU's place among all; or how many there are of each kind."""

    socket: int
    core: int
    thread: int


class Cpus:
    """Of one machine. Each CPU has an index, from 0 on."""

    def __init__(self, machine: Machine, count: int, most: int) -> None:
        self._machine = machine
        self.are_sockets = False
        """Each is called a socket of its own; else all are cores of one."""
        self.max = most
        """How many there may be, those included that aren't plugged in yet."""
        self.plugged = dict.fromkeys(range(count), "")
        """The CPUs that are there, by index, with what whoever plugged one in called it. See Hotplug.plug_cpu."""
        self.threads: list[VcpuThread] = []
        """What runs the CPUs that are there, in the order of their indices. Changed only by being replaced."""
        self.by_thread: dict[int, int] = {}
        """The CPUs' indices by their threads' identifiers."""
        self.local_apics: dict[int, LocalApic] = {}  # by the CPU's index
        self.eoi_listeners: list[Callable[[int], None]] = []
        """Told of each vector of a level-triggered interrupt that a CPU finished: I/O APICs."""

    def place(self, index: int) -> Place:
        """Where CPU number `index` is, by the names that tools have for places."""
        return Place(index, 0, 0) if self.are_sockets else Place(0, index, 0)

    @property
    def topology(self) -> Place:
        """How many sockets there are, cores of each, and threads of each core."""
        return Place(self.max, 1, 1) if self.are_sockets else Place(1, self.max, 1)

    def create(self, accelerator: Accelerator) -> None:
        """`accelerator` has a vCPU for each CPU that is there; they are parked."""
        for index in sorted(self.plugged):
            self.threads.append(VcpuThread(self._machine, accelerator.create_vcpu(index)))

    def park(self) -> None:
        """Returns when no vCPU is in the guest. Called without the lock."""
        self.request_park()
        for thread in self.threads:
            thread.wait_parked()

    def request_park(self) -> None:
        """They leave the guest soon."""
        for thread in self.threads:
            thread.request_pause()

    def release(self) -> None:
        """They go on, unless the machine sleeps."""
        if self._machine.power.suspended:
            return
        for thread in self.threads:
            thread.resume()

    def stop(self) -> None:
        """Ends their threads. Their states stay until `close`."""
        for thread in self.threads:
            thread.stop()

    def close(self) -> None:
        """Gives the vCPUs back to the accelerator."""
        for thread in self.threads:
            thread.vcpu.close()

    def stop_time(self) -> None:
        """They are parked: their time-stamp counters stand still."""
        for thread in self.threads:
            thread.stop_time()

    def start_time(self) -> None:
        """Their time-stamp counters go on."""
        for thread in self.threads:
            thread.start_time()

    def thread_of(self, cpu: int) -> VcpuThread | None:
        """What runs CPU number `cpu`; None while there is no such."""
        return next((thread for thread in self.threads if thread.index == cpu), None)

    @property
    def current(self) -> int:
        """The index of the CPU whose access is served on the calling thread; 0 on other threads."""
        return self.by_thread.get(threading.get_ident(), 0)

    def tsc(self, cpu: int) -> int:
        """The time-stamp counter of CPU number `cpu`, as the guest would read it now."""
        thread = self.thread_of(cpu)
        known = thread.vcpu.tsc() if thread else None
        return self._machine.clock.now() * self._machine.tsc_hz // SECOND if known is None else known

    # --- interrupts ----------------------------------------------------------------------------------------------

    def interrupts_of(self, cpu: int) -> InterruptController | None:
        """What CPU number `cpu` asks for a vector: its local APIC, or the INTR line, which leads to the first CPU."""
        return self.local_apics.get(cpu) or (None if cpu else self._machine.interrupt_controller)

    def interrupt_changed(self) -> None:
        """An interrupt controller's output, or the vector that it would give, changed."""
        for thread in self.threads:
            thread.interrupt_changed()

    def end_of_interrupt(self, vector: int) -> None:
        """A CPU finished a level-triggered interrupt."""
        for listener in self.eoi_listeners:
            listener(vector)

    def send_nmi(self, cpu: int) -> None:
        """A non-maskable interrupt for CPU number `cpu`."""
        if thread := self.thread_of(cpu):
            thread.request_nmi()

    def inject_nmi(self) -> None:
        """A non-maskable interrupt for each of them."""
        for cpu in sorted(self.plugged):
            self.send_nmi(cpu)

    def send_init(self, cpu: int) -> None:
        """INIT for CPU number `cpu`."""
        if thread := self.thread_of(cpu):
            thread.request_init()

    def send_startup(self, cpu: int, vector: int) -> None:
        """A startup IPI for CPU number `cpu`."""
        if thread := self.thread_of(cpu):
            thread.request_startup(vector)
