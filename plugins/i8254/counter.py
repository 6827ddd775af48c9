"""One of an 8254's counters (Intel datasheet 231164): the bytes of its count, and what the commands latch of it.

It is brought up to the present when somebody looks.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from southbridge.banks import PortBank
from southbridge.component import Component, Part, State

from .counting import CountingElement

if TYPE_CHECKING:
    from .device import I8254

LSB, MSB, WORD = 1, 2, 3
"""RW of the control word: which bytes of a count are read and written."""

PULSES, NANOSECONDS = 105, 88_000
"""The PC's timer clock: 14.31818 MHz (315/22, exactly) divided by 12: 105 pulses in 88 microseconds."""


def pulses(now: int) -> int:
    """How many clock pulses there were by `now` nanoseconds."""
    return now * PULSES // NANOSECONDS


def pulse_time(pulse: int) -> int:
    """The first nanosecond by which there were `pulse` of them."""
    return -(-pulse * NANOSECONDS // PULSES)


def from_bcd(value: int) -> int:
    """Four decimal digits as a number. A digit above 9 counts for what it is worth."""
    return sum((value >> 4 * digit & 0xF) * 10**digit for digit in range(4))


def to_bcd(value: int) -> int:
    """The last four decimal digits of a number."""
    return sum(value // 10**digit % 10 << 4 * digit for digit in range(4))


class Counter(Component):
    """A counter, as the guest sees it."""

    device: I8254

    ports = PortBank(1)
    COUNT = ports.register(0, doc="The count, in the bytes that RW of the control word chooses.")

    element: CountingElement = Part(CountingElement)
    access: int = State(WORD, ge=1, le=3, doc="RW of the control word.")
    mode_bits: int = State(0, ge=0, le=7, doc="M2 to M0 of the control word.")
    first_byte: int | None = State(None, ge=0, le=0xFF, doc="LSB of a count whose MSB is still to be written.")
    msb_next: bool = State(False, doc="With RW 3: the next read gives the MSB.")
    latched_count: int | None = State(None, ge=0, le=0xFFFF, doc="Kept until it is read.")
    latched_status: int | None = State(None, ge=0, le=0xFF, doc="Kept until it is read.")

    def catch_up(self) -> None:
        """Counts up to the present."""
        self.device.tick_if_due()
        self.element.run_to(pulses(self.clock.now()))

    def control(self, access: int, mode_bits: int, decimal: bool) -> None:
        """A control word."""
        self.catch_up()
        self.access = access
        self.mode_bits = mode_bits
        self.first_byte = self.latched_count = self.latched_status = None
        self.msb_next = False
        was_low = not self.element.output
        self.element.program(mode_bits if mode_bits < 6 else mode_bits - 4, decimal)
        self.device.output_changed(self, rises=was_low and self.element.output)

    # --- reading -------------------------------------------------------------------------------------------------

    def present_count(self) -> int:
        """The counting element's value, as the guest reads it."""
        self.catch_up()
        element = self.element
        return to_bcd(element.count) if element.decimal else element.count & 0xFFFF

    def latch_count(self) -> None:
        """Keeps the count until it is read. Does nothing while one is kept."""
        if self.latched_count is None:
            self.latched_count = self.present_count()

    def latch_status(self) -> None:
        """Keeps the status until it is read. Does nothing while one is kept."""
        self.catch_up()
        element = self.element
        if self.latched_status is None:
            lines = element.output << 7 | element.null_count << 6
            self.latched_status = lines | self.access << 4 | self.mode_bits << 1 | element.decimal

    @COUNT.read
    def read_byte(self) -> int:
        """The latched status; else a byte of the latched count; else one of the count as it goes."""
        if self.latched_status is not None:
            status, self.latched_status = self.latched_status, None
            return status
        count = self.present_count() if self.latched_count is None else self.latched_count
        msb = self.access == MSB or self.msb_next
        self.msb_next = self.access == WORD and not msb
        if not self.msb_next:
            self.latched_count = None
        return count >> 8 if msb else count & 0xFF

    # --- writing -------------------------------------------------------------------------------------------------

    @COUNT.write
    def write_byte(self, value: int) -> None:
        """A byte of a new count. The one that isn't written is 0."""
        self.catch_up()
        if self.access == WORD and self.first_byte is None:
            self.first_byte = value
            self.element.half_write()
        elif self.access == LSB:
            self._write_count(value)
        else:
            self._write_count(value << 8 | (self.first_byte or 0))
            self.first_byte = None
        self.device.output_changed(self)

    def _write_count(self, value: int) -> None:
        count = from_bcd(value) if self.element.decimal else value
        if count == 1 and self.element.mode in (2, 3):
            self.guest_error(f"a count of 1 is not allowed in mode {self.element.mode}")
        self.element.write(count)
