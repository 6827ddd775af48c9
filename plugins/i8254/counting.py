"""An 8254's counting element (Intel datasheet 231164, "Mode definitions"): six modes, any number of pulses at once.

Between two clock pulses a write or the gate can only ask for a load, which the next pulse carries out. Apart from that
nothing but counting happens, which has a closed form. Times are numbers of pulses.
"""

from __future__ import annotations

from southbridge.component import Component, State

TRIGGERED = (1, 2, 3, 5)
"""Modes in which a rising gate loads the count."""
GATED = (0, 2, 3, 4)
"""Modes in which a low gate stops the counting."""
PERIODIC = (2, 3)
LARGEST = 0x1_0001


class CountingElement(Component):
    """CE, the count register, OUT and GATE of a counter."""

    pulse: int = State(0, ge=0, doc="The pulse up to which it has counted.")
    mode: int = State(0, ge=0, le=5)
    decimal: bool = State(False, doc="BCD: it counts in four decimal digits.")
    gate: bool = State(True)
    output: bool = State(False)
    initial: int = State(0x1_0000, ge=1, le=LARGEST, doc="The count register: what is loaded next.")
    count: int = State(0, ge=0, le=LARGEST, doc="What is left; in mode 3 twice the rest of the half cycle.")
    odd: bool = State(False, doc="In mode 3 an odd count was loaded: the high half cycle is one pulse longer.")
    written: bool = State(False, doc="A count was written since the control word.")
    counting: bool = State(False, doc="A count was loaded, and no other one is half written.")
    load_next: bool = State(False, doc="The next pulse loads the count.")
    null_count: bool = State(True, doc="The count that was written last isn't loaded yet.")
    expired: bool = State(False, doc="The count reached zero once; it goes on from the highest one (modes 0, 1, 4, 5).")

    @property
    def modulus(self) -> int:
        """How many values it can have."""
        return 10_000 if self.decimal else 0x1_0000

    # --- what happens between two pulses -------------------------------------------------------------------------

    def program(self, mode: int, decimal: bool) -> None:
        """A control word."""
        self.mode = mode
        self.decimal = decimal
        self.output = mode != 0
        self.count = 0
        self.null_count = True
        self.written = self.counting = self.load_next = self.expired = False

    def half_write(self) -> None:
        """The first of a count's two bytes."""
        if self.mode == 0:
            self.output = self.counting = self.load_next = False

    def write(self, count: int) -> None:
        """A whole count; 0 stands for the largest.

        1 in a periodic mode isn't allowed: it is passed without being noticed, and met again a whole round later.
        """
        self.initial = count or self.modulus
        if count == 1 and self.mode in PERIODIC:
            self.initial += self.modulus
        self.null_count = self.written = True
        if self.mode == 0:
            self.output = False
        if self.mode in (0, 4) or (self.mode in PERIODIC and not self.counting):
            self.load_next = True

    def set_gate(self, level: bool) -> None:
        """GATE has `level` from now on."""
        if level and not self.gate and self.written and self.mode in TRIGGERED:
            self.load_next = True
        self.gate = level
        if not level and self.mode in PERIODIC:
            self.output = True

    # --- pulses --------------------------------------------------------------------------------------------------

    def run_to(self, pulse: int) -> None:
        """Counts to `pulse`."""
        steps = pulse - self.pulse
        if steps <= 0:
            return
        self.pulse = pulse
        if self.load_next:
            self._load()
            steps -= 1
        if not steps:
            return
        if self.mode > 3:
            self.output = True
        if self.counting and (self.gate or self.mode not in GATED):
            if self.mode == 2:
                self._count_rate(steps)
            elif self.mode == 3:
                self._count_square_wave(steps)
            else:
                self._count_once(steps)

    def _load(self) -> None:
        self.load_next = self.null_count = self.expired = False
        self.counting = True
        self.output = self.mode > 1
        self.count = self.initial
        if self.mode == 3:
            self.odd = bool(self.initial & 1)
            self.count &= ~1

    def _count_once(self, steps: int) -> None:
        """Modes 0 and 1: OUT goes high at zero. Modes 4 and 5: it is low for the pulse at zero."""
        if steps >= self.count and not self.expired:
            self.expired = True
            self.output = self.mode < 2 or steps > self.count
        self.count -= steps
        if self.count < 0:
            self.count %= self.modulus

    def _count_rate(self, steps: int) -> None:
        """Mode 2: the pulse after 1 loads again."""
        if steps >= self.count:
            self.null_count = False
            self.count = self.initial - (steps - self.count) % self.initial
        else:
            self.count -= steps
        self.output = self.count != 1

    def _count_square_wave(self, steps: int) -> None:
        """Mode 3: OUT changes, and the count is loaded again, after each half cycle."""
        rest = self.count // 2 + (self.odd and self.output)
        if steps < rest:
            self.count -= 2 * steps
            return
        self.null_count = False
        self.output = not self.output
        period = self.initial
        steps = (steps - rest) % period
        half = (period + self.output) // 2
        if steps >= half:
            steps -= half
            self.output = not self.output
        self.odd = bool(period & 1)
        self.count = period - self.odd - 2 * steps

    # --- the future ----------------------------------------------------------------------------------------------

    def next_rise(self) -> int | None:
        """The pulse with which OUT goes high next if nothing is written and the gate stays; None: never."""
        if self.mode > 3 and not self.output:
            return self.pulse + 1
        if not self.gate and self.mode in GATED:
            return None
        if self.load_next:
            start, count, high_half = self.pulse + 1, self.initial, (self.initial + 1) // 2
        elif self.counting and not self.expired:
            start, count, high_half = self.pulse, self.count, self.count // 2 + (self.odd and self.output)
        else:
            return None
        if self.mode > 3:
            rise = start + count + 1
        elif self.mode != 3:
            rise = start + count
        elif self.output or self.load_next:
            rise = start + high_half + self.initial // 2
        else:
            rise = start + high_half
        return max(rise, self.pulse + 1)
