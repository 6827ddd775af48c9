"""A thread that runs one virtual CPU: until it is told to pause, halts, or shuts down."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

from .accelerator import AcceleratorFailure, ExitReason, Vcpu
from .clock import SECOND
from .errors import SouthbridgeError
from .life import ResetReason
from .x86 import MSR_TSC, X86State

if TYPE_CHECKING:
    from .machine import Machine

PATIENCE = 10.0
"""Seconds that a vCPU has to leave the guest."""

_CLOSE_NS = 20_000
_TRIES = 8
"""The counter and the clock are looked at one after the other; the host may have something else to do in between."""


class VcpuThread:
    """Runs `vcpu` on a thread of its own; paused at first. Another accelerator's may take its place while it is parked.

    Its condition shares the machine's lock, so that no wake-up gets lost between looking at an interrupt controller
    and waiting.
    """

    def __init__(self, machine: Machine, vcpu: Vcpu) -> None:
        self.vcpu = vcpu
        self.index = vcpu.index
        self._machine = machine
        self._changed = threading.Condition(machine.lock)
        self._paused = True
        self._parked = False
        self._stopping = False
        self._halted = False
        self._waits_for_sipi = False
        self._known_counter: tuple[int, int] | None = None
        """The clock, and the time-stamp counter at that time."""
        self._init = False
        """An INIT came, and wasn't obeyed yet."""
        self._startup: int | None = None
        """The vector of a startup IPI that wasn't obeyed yet."""
        self._thread = threading.Thread(target=self._main, name=f"vcpu{vcpu.index}", daemon=True)
        self._thread.start()

    @property
    def native_id(self) -> int | None:
        """The host's number for the thread."""
        return self._thread.native_id

    # --- the CPU's state, while it is parked ---------------------------------------------------------------------

    def save(self) -> X86State:
        """The CPU's state."""
        state = self.vcpu.save()
        state.waiting_for_sipi |= self._waits_for_sipi
        counter = self._counter()
        if counter is not None:
            state.msrs[MSR_TSC] = counter
        return state

    def load(self, state: X86State) -> None:
        """Goes on from `state`. Raises ValueError, naming what the accelerator can't represent."""
        self.vcpu.load(state)
        counter = self.vcpu.tsc()
        if counter is not None:
            self._known_counter = self._machine.clock.now(), state.msrs.get(MSR_TSC, counter)
        self._init, self._startup = False, None
        # Where the accelerator plays the local APIC, it is the one that waits.
        self._waits_for_sipi = state.waiting_for_sipi and not self._machine.offload.has("lapic")

    def stop_time(self) -> None:
        """The machine's time is about to stand still: so does the time-stamp counter, which goes with it."""
        clock = self._machine.clock
        self._known_counter = None
        closest = None
        for _ in range(_TRIES):
            before = clock.now()
            counter = self.vcpu.tsc()
            apart = clock.now() - before
            if counter is not None and (closest is None or apart < closest):
                closest = apart
                self._known_counter = before + apart // 2, counter
            if counter is None or apart <= _CLOSE_NS:
                break

    def start_time(self) -> None:
        """The machine's time goes on: so does the counter, from where it stood or what was loaded meanwhile."""
        clock = self._machine.clock
        for _ in range(_TRIES):
            before = clock.now()
            counter = self._counter()
            if counter is None or self.vcpu.tsc() is None:
                return
            self.vcpu.set_tsc(counter)
            if clock.now() - before <= _CLOSE_NS:
                return

    def _counter(self) -> int | None:
        """The time-stamp counter at the clock's time, from what was last known of it; None: nothing."""
        if self._known_counter is None:
            return None
        at, counter = self._known_counter
        return counter + (self._machine.clock.now() - at) * self._machine.tsc_hz // SECOND

    # --- what others tell it -------------------------------------------------------------------------------------

    def interrupt_changed(self) -> None:
        """See Vcpu. Called with the lock held."""
        self.vcpu.interrupt_changed()
        if self._halted:
            self._changed.notify_all()

    def request_nmi(self) -> None:
        """See Vcpu. Called with the lock held."""
        self.vcpu.request_nmi()
        if self._halted:
            self._changed.notify_all()

    def request_init(self) -> None:
        """INIT: the CPU is reset, and waits for a startup IPI unless it is the first. Called with the lock held."""
        self._init, self._startup = True, None
        self._changed.notify_all()
        self.vcpu.kick()

    def request_startup(self, vector: int) -> None:
        """A startup IPI, which only a CPU that waits for one obeys. Called with the lock held."""
        if self._waits_for_sipi or self._init:
            self._startup = vector
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
                raise SouthbridgeError(f"vCPU {self.index} didn't leave the guest within {PATIENCE:.0f} s")

    def stop(self) -> None:
        """Ends the thread. The CPU's state stays."""
        with self._changed:
            self._stopping = True
            self._changed.notify_all()
        self.vcpu.kick()
        self._thread.join(PATIENCE)
        if self._thread.is_alive():
            raise SouthbridgeError(f"vCPU {self.index} didn't stop within {PATIENCE:.0f} s")

    def dismiss(self) -> None:
        """Has the thread end, without waiting for that: it is parked. For whoever holds the lock."""
        with self._changed:
            self._stopping = True
            self._changed.notify_all()

    # --- the thread ----------------------------------------------------------------------------------------------

    def _main(self) -> None:
        self._machine.cpus.by_thread[threading.get_ident()] = self.index
        try:
            while self._may_run():
                try:
                    reason = self.vcpu.run()
                except AcceleratorFailure as error:
                    self._give_up(error)
                    continue
                if reason is ExitReason.HALTED:
                    self._wait_halted()
                elif reason is ExitReason.SHUTDOWN:
                    self._shut_down()
        except Exception as error:  # reported by the machine
            self._machine.vcpu_failed(self.vcpu, error)
        finally:
            del self._machine.cpus.by_thread[threading.get_ident()]
            with self._changed:
                self._parked = True
                self._changed.notify_all()

    def _may_run(self) -> bool:
        """Waits while paused, or until started. False: the thread is to end."""
        with self._changed:
            while not self._stopping:
                if not self._paused:
                    self._obey()
                    if not self._waits_for_sipi:
                        self._parked = False
                        return True
                self._parked = True
                self._changed.notify_all()
                self._changed.wait()
            return False

    def _obey(self) -> None:
        """INIT and the startup IPI, in this order."""
        if self._init:
            self._init = False
            state = self.vcpu.save().after_init()
            state.registers[2] = self._machine.cpu.signature
            self.vcpu.load(state)
            self._waits_for_sipi = self.index != 0
        if self._startup is not None:
            vector, self._startup = self._startup, None
            if self._waits_for_sipi:
                state = self.vcpu.save()
                state.start_at(vector)
                self.vcpu.load(state)
                self._waits_for_sipi = False

    def _wait_halted(self) -> None:
        with self._changed:
            self._halted = True
            while not (self._paused or self._stopping or self._init or self.vcpu.wakes()):
                self._changed.wait()
            self._halted = False

    def _shut_down(self) -> None:
        """A triple fault: the machine resets, or ends; until then this CPU does nothing."""
        with self._changed:
            self._paused = True
            self._machine.request_reset(ResetReason.TRIPLE_FAULT)

    def _give_up(self, error: AcceleratorFailure) -> None:
        """The accelerator can't go on: the machine exchanges it, or ends; until then this CPU does nothing."""
        with self._changed:
            self._paused = True
            self._machine.vcpu_failed(self.vcpu, error)
