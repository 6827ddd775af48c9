"""Interrupts: causes, the mask, and timers that hold them back (manual, sections 3.2.7, 3.4.3, 13.4.17 to 13.4.21)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from southbridge.component import Component, timer

from .registers import CAUSES, RXT0, TXDW

if TYPE_CHECKING:
    from .device import E1000

ALL = sum(field.mask for field in CAUSES.values())
TICK = 1024
"""Nanoseconds that TIDV, TADV, RDTR and RADV count."""
THROTTLE = 256
"""Nanoseconds that ITR counts."""


class Interrupts(Component):
    """What becomes of a cause."""

    device: E1000

    _next = 0
    """When the next one may be, by the clock: ITR keeps it back until then."""

    # --- causes --------------------------------------------------------------------------------------------------

    def cause(self, causes: int) -> None:
        """There are reasons for an interrupt."""
        card = self.device
        card.ICR.value |= causes & ALL
        if card.ICR.value & card.IMS.value:
            self.update()

    def update(self) -> None:
        """The interrupt follows causes and mask; ITR keeps it back for a while after the last one."""
        card = self.device
        wanted = card.ICR.value & card.IMS.value
        if not wanted:
            card.interrupt.set(False)
        elif not card.interrupt.asserted and not self.throttled.pending:
            now, interval = self.clock.now(), card.ITR.value * THROTTLE
            if now < self._next <= now + interval:
                self.throttled.at(self._next)
            else:
                card.interrupt.set(True)
                self._next = now + interval

    @timer
    def throttled(self) -> None:
        """ITR's interval is over."""
        self.update()

    # --- delays --------------------------------------------------------------------------------------------------

    def transmitted(self, delay: bool) -> None:
        """Descriptors were written back; `delay`: all of them may wait for TIDV (IDE).

        Where the host would wake us later than that anyway, it is over at once.
        """
        card = self.device
        wait = card.TIDV.value * TICK
        if not delay or wait <= self.clock.grain:
            self.transmit_now()
            return
        self.transmit_delay.after(ns=wait)
        if card.TADV.value and not self.transmit_absolute.pending:
            self.transmit_absolute.after(ns=card.TADV.value * TICK)

    def transmit_now(self) -> None:
        """TXDW, now."""
        self.transmit_delay.cancel()
        self.transmit_absolute.cancel()
        self.cause(TXDW)

    @timer
    def transmit_delay(self) -> None:
        """TIDV: so long nothing more was sent."""
        self.transmit_now()

    @timer
    def transmit_absolute(self) -> None:
        """TADV: the first of those that wait has waited so long."""
        self.transmit_now()

    def received(self) -> None:
        """A packet is in memory."""
        card = self.device
        wait = card.RDTR.value * TICK
        if wait <= self.clock.grain:
            self.receive_now()
            return
        self.receive_delay.after(ns=wait)
        if card.RADV.value and not self.receive_absolute.pending:
            self.receive_absolute.after(ns=card.RADV.value * TICK)

    def receive_now(self) -> None:
        """RXT0, now."""
        self.receive_delay.cancel()
        self.receive_absolute.cancel()
        self.cause(RXT0)

    def flush(self) -> None:
        """RDTR.FPD: what waits waits no longer."""
        if self.receive_delay.pending:
            self.receive_now()

    @timer
    def receive_delay(self) -> None:
        """RDTR: so long nothing more came."""
        self.receive_now()

    @timer
    def receive_absolute(self) -> None:
        """RADV: the first of those that wait has waited so long."""
        self.receive_now()
