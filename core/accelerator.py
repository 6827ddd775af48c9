"""Accelerators: what runs a machine's CPUs and owns its memory.

An accelerator implements the memory, dirty-log, interrupt, offload and passthrough hooks (`southbridge.hookspecs`),
follows the memory topology, and creates vCPUs. The core runs each vCPU on a thread of its own
(`southbridge.vcpus`); everything else about a machine goes on without knowing which accelerator it is.
"""

from __future__ import annotations

import enum
from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, ClassVar, NamedTuple

from .properties import Configurable
from .x86 import X86State

if TYPE_CHECKING:
    from .cpu_models import CpuModel
    from .machine import Machine


class ExitReason(enum.Enum):
    """Why `Vcpu.run` returned."""

    KICKED = "kicked"
    HALTED = "halted"
    """The guest executed HLT; run it again when an interrupt is pending."""
    SHUTDOWN = "shutdown"
    """A triple fault: the processor's shutdown state, which a PC's chipset answers with a reset."""


class Availability(NamedTuple):
    """Whether an accelerator can be used here. `reason` says why, or why not and how to change that.

    `auto` takes one that isn't `preferred` only where nothing else is usable.
    """

    usable: bool
    reason: str
    preferred: bool = True


class AcceleratorFailure(Exception):
    """The accelerator can't go on executing the guest: a state or instruction that it doesn't implement.

    The CPU stands before that instruction: another accelerator may go on there.
    """


class Vcpu(ABC):
    """One virtual CPU.

    All methods but `kick` and `interrupt_changed` belong to the vCPU's own thread, or to any thread while that one is
    parked outside `run`.
    """

    index: int

    @abstractmethod
    def run(self) -> ExitReason:
        """Executes guest code on the calling thread, which doesn't hold the machine's lock, until the caller is needed.

        A guest's port and MMIO accesses are served inside, with the lock taken around each.

        Raises AcceleratorFailure, or whatever a device's code raised under `--strict`.
        """

    @abstractmethod
    def kick(self) -> None:
        """Makes `run` return soon, from any thread; if it isn't running, the next `run` returns at once."""

    @abstractmethod
    def interrupt_changed(self) -> None:
        """The interrupt controller's request, or the vector that it would give, changed.

        Called with the lock held, from any thread. A halted CPU is woken by the core; a running one takes the interrupt
        when the guest allows it.
        """

    @abstractmethod
    def request_nmi(self) -> None:
        """A non-maskable interrupt. Called with the lock held, from any thread, as `interrupt_changed` is."""

    @abstractmethod
    def wakes(self) -> bool:
        """Whether a halted CPU would leave HLT now: an interrupt waits that it may take.

        Called with the lock held, on the vCPU's thread: after HALTED the core calls `run` again once this holds, or
        after a kick.
        """

    def tsc(self) -> int | None:
        """The time-stamp counter as the guest would read it now, which runs with `Machine.tsc_hz`; None: unknown.

        Called with the lock held, from any thread.
        """
        return None

    def set_tsc(self, value: int) -> None:
        """The time-stamp counter is `value` now. Called only where `tsc` knows it, while the CPU is parked."""
        raise AssertionError

    @abstractmethod
    def save(self) -> X86State:
        """The CPU's state between two instructions: one that waits for a port or register is completed first.

        An interrupt that the CPU already took has been acknowledged at its controller.
        """

    @abstractmethod
    def load(self, state: X86State) -> None:
        """The inverse of `save`: execution goes on from `state`. Raises ValueError, naming what it can't represent."""

    @abstractmethod
    def close(self) -> None:
        """Frees what the CPU holds."""


class Accelerator(Configurable, ABC):
    """What runs CPUs. One object serves one machine, from `attach` to `detach`."""

    name: str = ""
    """What users call it: its entry point's name."""

    offloads: frozenset[str] = frozenset()
    """The platform devices that it emulates itself, by `Device.platform`; fixed once it is constructed."""

    resets: bool = True
    """False: a reset ends the machine (GUEST_RESET), for somebody else to make it anew."""

    drives_time: ClassVar[bool] = False
    """The machine's time moves only when somebody says so, by `Clock.advance`."""

    cpus_are_sockets: ClassVar[bool] = False
    """Tools call each CPU of such a machine a socket; of others, a core of one socket, which is what CPUID says."""
    automatic: ClassVar[bool] = True
    """Whether `auto` may pick it. Not what serves a guest that somebody else made."""

    preference: ClassVar[int] = 0
    """`auto` picks the usable accelerator with the highest."""

    @classmethod
    @abstractmethod
    def availability(cls) -> Availability:
        """Whether it works on this host. Cheap; raises nothing."""

    def check_cpu(self, model: CpuModel) -> None:
        """Raises SouthbridgeError, naming what is missing, unless its CPUs can be `model`. Cheap, before `attach`."""

    def host_cpu(self) -> CpuModel | None:
        """The model `host`: all that the host's CPU offers through this accelerator; None if it has no such model."""
        return None

    @abstractmethod
    def attach(self, machine: Machine) -> None:
        """Begins to serve `machine`: called before its hooks are registered, and before any section is announced.

        Raises SouthbridgeError if it can't. The machine may still run on another accelerator.
        """

    @abstractmethod
    def detach(self) -> None:
        """Ends it; RAM stays as it is. Its vCPUs are closed already. It may be attached again."""

    @abstractmethod
    def create_vcpu(self, index: int) -> Vcpu:
        """A new CPU in the state after power-on, of the machine's model. Called on the main loop's thread.

        Raises SouthbridgeError if there can't be that many.
        """
