"""One of an HPET's timers (IA-PC HPET specification 1.0a, section 2.3.4 and following)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from southbridge.banks import MmioBank
from southbridge.clock import MICROSECOND, SECOND
from southbridge.component import Component, State, timer
from southbridge.interrupts import Pin
from southbridge.registers import RO, WO, bit, bits

if TYPE_CHECKING:
    from .device import Hpet

TICK = 10
"""Nanoseconds that a count of the main counter lasts."""
MASK_64, MASK_32 = (1 << 64) - 1, (1 << 32) - 1
FREE_ROUTE = 2
"""The interrupt that a timer can be routed to, besides those of legacy replacement: the I/O APIC's input 2."""
CLOSEST = 100 * MICROSECOND
"""Interrupts of a periodic timer come no closer, as if the host had been late: those in between are one."""
LATENESS = SECOND
"""How long ago the counter may have passed a comparator that is then set, as the host may be late."""
FAR = 1 << 60


class Comparator(Component):
    """A timer: it interrupts when the main counter reaches its comparator."""

    device: Hpet
    index: int
    """The device sets this, and the pins."""
    free: Pin
    """On the line that it can be routed to."""
    replaced: Pin | None
    """On the line that it has under legacy replacement."""

    registers = MmioBank(0x20, doc="At 100h and 20h times its number.")
    CONFIG = registers.register(
        0x00,
        8,
        reset=1 << 32 + FREE_ROUTE | 0x8030,
        widths=(4, 8),
        fields={
            "LEVEL": bit(1, doc="INT_TYPE_CNF: level-triggered."),
            "ENABLE": bit(2, doc="INT_ENB_CNF: interrupts."),
            "PERIODIC": bit(3, doc="TYPE_CNF."),
            "PERIODIC_CAP": bit(4, RO),
            "SIZE_CAP": bit(5, RO, doc="64 bits."),
            "VAL_SET": bit(6, WO, doc="The next comparator that is written is the value, not only the period."),
            "MODE_32": bit(8, doc="32MODE_CNF."),
            "ROUTE": bits(9, 13),
            "FSB": bit(14, doc="FSB_EN_CNF: interrupts are messages."),
            "FSB_CAP": bit(15, RO),
            "ROUTE_CAP": bits(32, 63, RO),
        },
        doc="Configuration and capabilities.",
    )
    COMPARATOR = registers.register(
        0x08, 8, reset=MASK_64, widths=(4, 8), doc="When it interrupts; in periodic mode written, the period."
    )
    FSB_ROUTE = registers.register(
        0x10, 8, widths=(4, 8), fields={"VALUE": bits(0, 31), "ADDRESS": bits(32, 63)}, doc="The message."
    )

    comparator: int = State(MASK_64, ge=0, le=MASK_64, doc="The value that the counter is compared with.")
    period: int = State(0, ge=0, le=MASK_64, doc="Of a periodic timer.")
    high: bool = State(False, doc="An edge was signalled: its line stays up until the next one.")
    handled: int = State(0, ge=0, lt=1 << 62, doc="Until when the counter was looked at, in ns of the machine clock.")

    def drive(self, level: bool) -> None:
        """Sets the line that the timer is routed to; none if interrupts are messages."""
        chosen = self._pin()
        for pin in (self.free, self.replaced):
            if pin is not None:
                pin.set(pin is chosen and level)

    def _pin(self) -> Pin | None:
        if self.CONFIG.FSB:
            return None
        if self.device.GEN_CONF.LEGACY and self.replaced:
            return self.replaced
        return self.free if self.CONFIG.ROUTE == FREE_ROUTE else None

    @property
    def width(self) -> int:
        """The bits that are compared."""
        return MASK_32 if self.CONFIG.MODE_32 else MASK_64

    # --- the future ----------------------------------------------------------------------------------------------

    def settle(self) -> None:
        """Before something changes: what is due happens first. The host may be late."""
        deadline = self.expire.deadline
        if deadline is not None and deadline <= self.clock.now():
            self.expire.fire()

    def schedule(self, *, not_before: int = 0) -> None:
        """Sets the clock to when the counter reaches the comparator, if that matters."""
        device, config = self.device, self.CONFIG
        if not device.GEN_CONF.ENABLE or not config.ENABLE or self.holds:
            self.expire.cancel()
            return
        now = self.clock.now()
        counted, mask = device.counted(now), self.width
        reached = device.MAIN_CNT.value + counted
        passed = reached - self.comparator & mask
        due = device.time_of(reached - passed)
        if passed > min(counted, LATENESS // TICK) or due <= self.handled:
            due = device.time_of(reached - passed + mask + 1)
        self.expire.at(min(max(due, not_before), now + FAR))

    @property
    def holds(self) -> bool:
        """Whether a level-triggered interrupt is asserted: nothing is new until the guest clears it."""
        config = self.CONFIG
        return bool(config.LEVEL and not config.FSB and self.device.GINTR_STA.value >> self.index & 1)

    @property
    def asserts(self) -> bool:
        """Whether its line is up. An edge's stays so, since an 8259 forgets a request that goes before it is taken."""
        return self.holds or self.high

    def catch_up(self) -> None:
        """In periodic mode, moves the comparator on to the period's end that comes next."""
        if not (self.CONFIG.PERIODIC and self.period and self.device.GEN_CONF.ENABLE):
            return
        mask = self.width
        passed = self.device.counter(self.clock.now()) - self.comparator & mask
        if passed <= mask >> 1:
            self.comparator = self.comparator + (passed // self.period + 1) * self.period & mask

    @timer
    def expire(self) -> None:
        """The main counter has reached the comparator; unless it was far away, and is still."""
        now = self.clock.now()
        passed = self.device.counter(now) - self.comparator & self.width
        if passed > self.width >> 1:
            self.schedule()
            return
        self.handled = now
        self.interrupt()
        self.catch_up()
        self.schedule(not_before=now + CLOSEST)

    def interrupt(self) -> None:
        """Signals."""
        device, config = self.device, self.CONFIG
        if config.FSB:
            device.machine.send_msi(device, self.FSB_ROUTE.ADDRESS, self.FSB_ROUTE.VALUE)
        elif config.LEVEL:
            device.GINTR_STA.value |= 1 << self.index
            self.drive(True)
        else:
            self.drive(False)
            self.high = True
            self.drive(True)

    # --- registers -----------------------------------------------------------------------------------------------

    @CONFIG.write
    def config_written(self, value: int) -> None:
        """A route that isn't there can't be chosen. A line that the timer no longer has is let go of."""
        self.settle()
        before = self._pin()
        route = value >> 9 & 0x1F
        self.CONFIG.guest_store(value)
        if route not in (0, FREE_ROUTE):
            self.guest_error(f"interrupt route {route}; there is {FREE_ROUTE}")
            self.CONFIG.ROUTE = 0
        if self.CONFIG.MODE_32:
            self.comparator &= MASK_32
            self.period &= MASK_32
        if self.CONFIG.FSB or not self.CONFIG.LEVEL or not self.CONFIG.ENABLE:
            self.device.GINTR_STA.value &= ~(1 << self.index)
        if self.CONFIG.LEVEL or not self.CONFIG.ENABLE or self._pin() is not before:
            self.high = False
        self.update()

    def update(self) -> None:
        """The line is as the status says, and the clock is set."""
        self.drive(self.asserts)
        self.catch_up()
        self.schedule()

    @COMPARATOR.read
    def read_comparator(self) -> int:
        """In periodic mode the end of the period that is under way."""
        self.settle()
        self.catch_up()
        return self.comparator

    @COMPARATOR.written
    def comparator_written(self, value: int) -> None:
        """In periodic mode only the period, unless VAL_SET, which goes out, says that it is the value too."""
        self.settle()
        value &= self.width
        if self.CONFIG.PERIODIC:
            self.period = value
        if not self.CONFIG.PERIODIC or self.CONFIG.VAL_SET:
            self.comparator = value
        self.CONFIG.VAL_SET = 0
        self.handled = 0
        self.schedule()
