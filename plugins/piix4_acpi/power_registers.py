"""The power management registers at PMBASE (82371AB datasheet 290562, section 7.2; ACPI specification 6.4, 4.8).

The timer counts 3.579545 MHz. Each change of its highest bit sets TMROF.
"""

from __future__ import annotations

from collections.abc import Callable

from southbridge.banks import PortBank
from southbridge.clock import SECOND
from southbridge.component import Component, State, timer
from southbridge.registers import RO, W1C, WO, bit, bits

TIMER_HZ = 3_579_545
TIMER_BITS = 24
HALF = 1 << TIMER_BITS - 1
"""Counts between two changes of the timer's highest bit."""


def counts(now: int) -> int:
    """How far the timer has counted at `now`, in ns of the machine clock."""
    return now * TIMER_HZ // SECOND


def time_of(count: int) -> int:
    """The first nanosecond at which it has counted that far."""
    return -(-count * SECOND // TIMER_HZ)


class PowerRegisters(Component):
    """Events, sleep control and the timer. What they cause is told to whom `connect` names."""

    registers = PortBank(64, doc="At PMBASE.")
    PMSTS = registers.register(
        0x00,
        2,
        reset=None,
        widths=(1, 2),
        fields={
            "TMROF": bit(0, W1C, doc="The timer's highest bit changed."),
            "BM": bit(4, W1C, doc="A bus master asked for the bus. Never."),
            "GBL": bit(5, W1C, doc="Firmware released the global lock."),
            "PWRBTN": bit(8, W1C, doc="The power button was pressed."),
            "RTC": bit(10, W1C, doc="The real-time clock's alarm."),
            "PWRBTNOR": bit(11, W1C, doc="The button was held for four seconds. Never."),
            "RSM": bit(15, W1C, doc="The machine woke."),
        },
        doc="PM1 status.",
    )
    PMEN = registers.register(
        0x02,
        2,
        reset=None,
        widths=(1, 2),
        fields={"TMROF": bit(0), "GBL": bit(5), "PWRBTN": bit(8), "RTC": bit(10)},
        doc="Which of PMSTS interrupt, or wake the machine.",
    )
    PMCNTRL = registers.register(
        0x04,
        2,
        widths=(1, 2),
        fields={
            "SCI_EN": bit(0, doc="Events interrupt by SCI (ACPI), not by SMI."),
            "BRLD_EN_BM": bit(1, doc="Bus masters end C3; stored."),
            "GBL_RLS": bit(2, WO, doc="The system released the global lock: firmware is told."),
            "SUS_TYP": bits(10, 12, doc="How to sleep."),
            "SUS_EN": bit(13, WO, doc="Sleep."),
        },
        doc="PM1 control.",
    )
    PMTMR = registers.register(0x08, 4, access=RO, widths=(1, 2, 4), doc="The timer, 24 bits.")
    GPSTS = registers.register(
        0x0C,
        2,
        widths=(1, 2),
        fields={"THRM": bit(0, W1C), "USB": bit(8, W1C), "RI": bit(10, W1C), "LID": bit(11, W1C)},
        doc="The chip's own general purpose events: none happens. ACPI's are elsewhere.",
    )
    GPEN = registers.register(
        0x0E,
        2,
        widths=(1, 2),
        fields={"THRM": bit(0), "USB": bit(8), "RI": bit(10), "LID": bit(11)},
        doc="Which of GPSTS would interrupt.",
    )
    PCNTRL = registers.register(0x10, 4, widths=(1, 2, 4), doc="Clock throttling; stored.")
    PLVL2 = registers.register(0x14, access=RO, doc="Would enter C2.")
    PLVL3 = registers.register(0x15, access=RO, doc="Would enter C3.")
    GLBSTS = registers.register(
        0x18, 2, widths=(1, 2), fields={"BIOS": bit(0, W1C, doc="The system released the global lock.")}, doc="Status."
    )
    DEVSTS = registers.register(0x1C, 4, access=RO, widths=(1, 2, 4), doc="No device is watched.")
    GLBEN = registers.register(0x20, 2, widths=(1, 2), doc="What causes SMIs; stored.")
    GLBCTL = registers.register(
        0x28,
        4,
        widths=(1, 2, 4),
        fields={
            "SMI_EN": bit(0, doc="Stored: there is no system management mode."),
            "BIOS_RLS": bit(1, WO, doc="Firmware releases the global lock: the system is told."),
            "COUNTS": bits(2, 31, doc="Stored."),
        },
        doc="Global control.",
    )
    DEVCTL = registers.register(0x2C, 4, widths=(1, 2, 4), doc="What is watched; stored.")
    GPIREG = registers.register(0x30, 3, access=RO, widths=(1, 2), doc="General purpose inputs: all low.")
    GPOREG = registers.register(0x34, 4, reset=0x7FFF_BFFF, widths=(1, 2, 4), doc="Outputs; stored.")

    looked: int = State(0, ge=0, doc="Up to which count PMSTS shows the timer's overflows.")

    def connect(self, changed: Callable[[], None], sleep: Callable[[int], None]) -> None:
        """`changed` is called when `interrupting` may have changed, `sleep` with SUS_TYP."""
        self._changed = changed
        self._sleep = sleep

    @property
    def interrupting(self) -> bool:
        """Whether an enabled event's status is set."""
        return bool(self.PMSTS.value & self.PMEN.value)

    def forget(self) -> None:
        """Power came on: no event is enabled, none has happened."""
        self.PMSTS.value = self.PMEN.value = 0

    def begin(self) -> None:
        """The machine was reset, or woke: overflows count from now on."""
        self.looked = counts(self.clock.now())
        self.follow()

    def follow(self) -> None:
        """Overflows until now are shown, the next one is waited for if it matters, and others are told."""
        count = counts(self.clock.now())
        if count // HALF != self.looked // HALF:
            self.PMSTS.TMROF = 1
        self.looked = count
        if self.PMEN.TMROF and not self.PMSTS.TMROF:
            self.overflow.at(time_of((count // HALF + 1) * HALF))
        else:
            self.overflow.cancel()
        self._changed()

    @timer
    def overflow(self) -> None:
        """The timer's highest bit changes."""
        self.follow()

    @PMSTS.read
    def _read_status(self) -> int:
        self.follow()
        return self.PMSTS.value

    @PMSTS.write
    def _write_status(self, value: int) -> None:
        self.follow()
        self.PMSTS.guest_store(value)
        self.follow()

    @PMEN.written
    def _enable_written(self, value: int) -> None:
        self.follow()

    @PMCNTRL.written
    def _control_written(self, value: int) -> None:
        control = self.PMCNTRL
        sleep, release = control.SUS_EN, control.GBL_RLS
        control.SUS_EN = control.GBL_RLS = 0
        if release:
            self.GLBSTS.BIOS = 1
        self.follow()
        if sleep:
            self._sleep(control.SUS_TYP)

    @PMTMR.read
    def _read_timer(self) -> int:
        return counts(self.clock.now()) & (1 << TIMER_BITS) - 1

    @GLBCTL.written
    def _global_control_written(self, value: int) -> None:
        if self.GLBCTL.BIOS_RLS:
            self.GLBCTL.BIOS_RLS = 0
            self.PMSTS.GBL = 1
            self.follow()
