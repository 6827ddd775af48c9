"""The accelerator: guest memory without a guest."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, ClassVar

from southbridge.accelerator import Accelerator, Availability, ExitReason, Vcpu
from southbridge.hookspecs import hookimpl
from southbridge.memory.guest import FlatGuestMemory
from southbridge.memory.ram import PAGE_SIZE
from southbridge.memory.regions import Ram
from southbridge.x86 import X86State

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt
    from southbridge.machine import Machine


class QtestAccelerator(Accelerator):
    """No CPU runs, and time moves only when a test says so: it starts at 0."""

    automatic: ClassVar[bool] = False
    drives_time: ClassVar[bool] = True

    @classmethod
    def availability(cls) -> Availability:
        """See Accelerator."""
        return Availability(True, "no CPU runs: a test drives the buses")

    def attach(self, machine: Machine) -> None:
        """See Accelerator."""
        memory = FlatGuestMemory(machine.memory)
        self.memory_read = memory.memory_read
        self.memory_write = memory.memory_write
        self.memory_write_several = memory.memory_write_several
        self.memory_map = memory.memory_map
        self.memory_unmap = memory.memory_unmap

    def detach(self) -> None:
        """See Accelerator."""

    def create_vcpu(self, index: int) -> Vcpu:
        """See Accelerator."""
        return IdleVcpu(index)

    @hookimpl
    def dirty_log_start(self, region: Ram) -> bool:
        """See hookspecs."""
        return True

    @hookimpl
    def dirty_log_stop(self, region: Ram) -> bool:
        """See hookspecs."""
        return True

    @hookimpl
    def dirty_log_sync(self, region: Ram) -> npt.NDArray[np.bool_]:
        """See hookspecs: no CPU stored anything."""
        import numpy as np

        return np.zeros(-(-region.size // PAGE_SIZE), np.bool_)


class IdleVcpu(Vcpu):
    """Executes nothing, and keeps its state for an accelerator that takes over."""

    def __init__(self, index: int) -> None:
        self.index = index
        self._state = X86State()
        self._kicked = threading.Event()

    def run(self) -> ExitReason:
        """See Vcpu. It doesn't halt: a halted CPU's thread would be woken by every interrupt."""
        self._kicked.wait()
        self._kicked.clear()
        return ExitReason.KICKED

    def kick(self) -> None:
        """See Vcpu."""
        self._kicked.set()

    def interrupt_changed(self) -> None:
        """See Vcpu."""

    def request_nmi(self) -> None:
        """See Vcpu."""

    def wakes(self) -> bool:
        """See Vcpu."""
        return False

    def save(self) -> X86State:
        """See Vcpu."""
        return self._state

    def load(self, state: X86State) -> None:
        """See Vcpu."""
        self._state = state

    def close(self) -> None:
        """See Vcpu."""
