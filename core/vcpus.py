"""A thread that runs one virtual CPU: until it is told to pause, halts, or shuts down."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

from .accelerator import ExitReason, Vcpu
from .errors import SouthbridgeError

if TYPE_CHECKING:
    from .machine import Machine

PATIENCE = 10.0
"""Seconds that a vCPU has to leave the guest."""


class VcpuThread:
    """Runs `vcpu` on a thread of its own; paused at first.

    Its condition shares the machine's lock, so that no wake-up gets lost between looking at an interrupt controller
    and waiting.
    """

    def __init__(self, machine: Machine, vcpu: Vcpu) -> None:
        self.vcpu = vcpu
        self._machine = machine
        self._changed = threading.Condition(machine.lock)
        self._paused = True
        self._parked = False
        self._stopping = False
        self._halted = False
        self._thread = threading.Thread(target=self._main, name=f"vcpu{vcpu.index}", daemon=True)
        self._thread.start()

    def interrupt_changed(self) -> None:
        """See Vcpu. Called with the lock held."""
        self.vcpu.interrupt_changed()
        if self._halted:
            self._changed.notify_all()

    def resume(self) -> None:
        """Goes on executing."""
        with self._changed:
            self._paused = False
            self._changed.notify_all()

    def request_pause(self) -> None:
        """Asks it to leave the guest; `wait_parked` waits for that."""
        with self._changed:
            self._paused = True
            self._changed.notify_all()
        self.vcpu.kick()

    def wait_parked(self) -> None:
        """Returns when the CPU is outside the guest. Raises SouthbridgeError if that takes too long."""
        with self._changed:
            if not self._changed.wait_for(lambda: self._parked, PATIENCE):
                raise SouthbridgeError(f"vCPU {self.vcpu.index} didn't leave the guest within {PATIENCE:.0f} s")

    def stop(self) -> None:
        """Ends the thread. The CPU's state stays."""
        with self._changed:
            self._stopping = True
            self._changed.notify_all()
        self.vcpu.kick()
        self._thread.join(PATIENCE)
        if self._thread.is_alive():
            raise SouthbridgeError(f"vCPU {self.vcpu.index} didn't stop within {PATIENCE:.0f} s")

    def _main(self) -> None:
        try:
            while self._may_run():
                reason = self.vcpu.run()
                if reason is ExitReason.HALTED:
                    self._wait_halted()
                elif reason is ExitReason.SHUTDOWN:
                    self._shut_down()
        except Exception as error:  # reported by the machine
            self._machine.vcpu_failed(self.vcpu, error)
        finally:
            with self._changed:
                self._parked = True
                self._changed.notify_all()

    def _may_run(self) -> bool:
        """Waits while paused. False: the thread is to end."""
        with self._changed:
            while self._paused and not self._stopping:
                self._parked = True
                self._changed.notify_all()
                self._changed.wait()
            self._parked = False
            return not self._stopping

    def _wait_halted(self) -> None:
        with self._changed:
            self._halted = True
            while not (self._paused or self._stopping or self.vcpu.wakes()):
                self._changed.wait()
            self._halted = False

    def _shut_down(self) -> None:
        """A triple fault: the machine resets, or ends; until then this CPU does nothing."""
        from .machine import ResetReason

        with self._changed:
            self._paused = True
            self._machine.request_reset(ResetReason.TRIPLE_FAULT)
