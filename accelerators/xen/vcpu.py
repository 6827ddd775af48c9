"""A virtual CPU, which the hypervisor runs: all that is left to do here is to let it, and to say when it stops."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

from southbridge.accelerator import ExitReason, Vcpu
from southbridge.x86 import X86State

if TYPE_CHECKING:
    from .accelerator import XenAccelerator
    from .hypervisor import Exchange


class XenVcpu(Vcpu):
    """CPU number `index`. Its requests are served while any CPU is inside `run`.

    Where the hypervisor keeps the CPU's state to itself, `save` gives what was loaded.
    """

    def __init__(self, accelerator: XenAccelerator, index: int, exchange: Exchange | None) -> None:
        self.index = index
        self._accelerator = accelerator
        self._exchange = exchange
        self._called = threading.Event()
        self._shut_down = False
        self._failure: Exception | None = None
        self._state = X86State(waiting_for_sipi=index > 0)

    def run(self) -> ExitReason:
        """See Vcpu."""
        self._accelerator.entered()
        try:
            if self._exchange is not None:
                self._exchange.resume(self.index)
            self._called.wait()
            if self._exchange is not None:
                self._exchange.pause(self.index)
        finally:
            self._accelerator.left()
            self._called.clear()
        if self._failure is not None:
            failure, self._failure = self._failure, None
            raise failure
        if self._shut_down:
            self._shut_down = False
            return ExitReason.SHUTDOWN
        return ExitReason.KICKED

    def kick(self) -> None:
        """See Vcpu."""
        self._called.set()

    def shut_down(self) -> None:
        """The hypervisor says that the CPU did (a triple fault). From any thread."""
        self._shut_down = True
        self._called.set()

    def fail(self, error: Exception) -> None:
        """`run` is to raise `error`. From any thread."""
        self._failure = error
        self._called.set()

    def interrupt_changed(self) -> None:
        """See Vcpu. The hypervisor has the controllers."""

    def request_nmi(self) -> None:
        """See Vcpu. The hypervisor has the controllers."""

    def wakes(self) -> bool:
        """See Vcpu. The hypervisor sees to HLT."""
        return True

    def tsc(self) -> int | None:
        """See Vcpu."""
        return None if self._exchange is None else self._exchange.tsc(self.index)

    def set_tsc(self, value: int) -> None:
        """See Vcpu."""
        assert self._exchange is not None
        self._exchange.set_tsc(self.index, value)

    def save(self) -> X86State:
        """See Vcpu."""
        return self._state if self._exchange is None else self._exchange.save_cpu(self.index)

    def load(self, state: X86State) -> None:
        """See Vcpu."""
        if self._exchange is None:
            self._state = state
        else:
            self._exchange.load_cpu(self.index, state)

    def close(self) -> None:
        """See Vcpu."""
        self._accelerator.forget(self)
