"""A local APIC's timer (SDM volume 3A, 11.5.4): one-shot, periodic, or at a value of the time-stamp counter.

The current count follows from the machine clock when somebody reads it. An event of the clock is set only where an
interrupt would come of it: a period that ends while the last one's interrupt still waits in the IRR changes nothing, so
that the shortest period costs no more than the guest's own interrupt handler.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from southbridge.clock import SECOND
from southbridge.component import Component, State, timer

if TYPE_CHECKING:
    from .apic import Apic
    from .device import Lapic

PERIODIC, TSC_DEADLINE, RESERVED_MODE = 1, 2, 3
"""Timer modes; 0 is one-shot."""
FAR = 1 << 60
"""Nanoseconds; whatever is farther away is looked at again then."""


class ApicTimer(Component):
    """The counter behind the timer's registers. It counts with 1 GHz, divided."""

    device: Lapic
    apic: Apic
    """Whose it is; set by the device."""

    count: int = State(0, ge=0, le=0xFFFF_FFFF, doc="The current count at `since`; 0: it stands still.")
    since: int = State(0, ge=0, lt=1 << 62, doc="In ns of the machine clock.")
    tsc_deadline: int = State(0, ge=0, lt=1 << 64, doc="IA32_TSC_DEADLINE; 0: not armed.")

    @property
    def divider(self) -> int:
        """Nanoseconds that a count lasts."""
        code = self.apic.DIVIDE.LOW | self.apic.DIVIDE.HIGH << 2
        return 1 if code == 7 else 2 << code

    @property
    def mode(self) -> int:
        """LVT's timer mode."""
        return self.apic.LVT_TIMER.MODE

    # --- counting ------------------------------------------------------------------------------------------------

    def current(self, now: int) -> int:
        """The current count."""
        elapsed = max(now - self.since, 0) // self.divider
        if elapsed < self.count:
            return self.count - elapsed
        initial = self.apic.INITIAL_COUNT.value
        if self.mode == PERIODIC and self.count and initial:
            return initial - (elapsed - self.count) % initial
        return 0

    def settle(self) -> None:
        """Before a register changes: what is due happens first, as the host may be late; the count is that of now."""
        now = self.clock.now()
        if self.expire.deadline is not None and self.expire.deadline <= now:
            self.expire.fire()
        count = self.current(now)
        self.since = now - max(now - self.since, 0) % self.divider
        self.count = count

    def start(self) -> None:
        """The initial count was written."""
        self.count, self.since = self.apic.INITIAL_COUNT.value, self.clock.now()
        self.schedule()

    def stop(self) -> None:
        """It neither counts nor waits for a deadline."""
        self.count = self.tsc_deadline = 0
        self.expire.cancel()

    def arm(self, deadline: int) -> None:
        """IA32_TSC_DEADLINE was written."""
        self.tsc_deadline = deadline
        self.schedule()

    # --- the interrupt -------------------------------------------------------------------------------------------

    def schedule(self) -> None:
        """Sets the event to when the next interrupt is due, if one would come."""
        deadline = self._next_event()
        if deadline is None:
            self.expire.cancel()
        else:
            self.expire.at(deadline)

    def _next_event(self) -> int | None:
        lvt = self.apic.LVT_TIMER
        if lvt.MASK:
            return None
        if self.mode == TSC_DEADLINE:
            return self._deadline_time() if self.tsc_deadline else None
        if not self.count:
            return None
        divider = self.divider
        end = self.since + self.count * divider
        if self.mode != PERIODIC:
            return end
        initial = self.apic.INITIAL_COUNT.value
        if not initial or self.apic.is_deaf_to(lvt.VECTOR):
            return None
        late = self.clock.now() - end
        return end if late < 0 else end + (late // (initial * divider) + 1) * initial * divider

    def _deadline_time(self) -> int:
        machine = self.device.machine
        ticks = self.tsc_deadline - machine.cpus.tsc(self.apic.index)
        return self.clock.now() + min(max(-(-ticks * SECOND // machine.tsc_hz), 0), FAR)

    @timer
    def expire(self) -> None:
        """The count reached 0, or the time-stamp counter its deadline."""
        if self.mode == TSC_DEADLINE:
            if self._deadline_time() > self.clock.now():  # the counter was set, or runs slower than it says
                self.schedule()
                return
            self.tsc_deadline = 0
        elif self.mode != PERIODIC:
            self.count = 0
        self.apic.local_interrupt(self.apic.LVT_TIMER)
        self.schedule()
