"""An 8254 counter as the datasheet describes it, one clock pulse after the other."""

from __future__ import annotations


class NaiveCounter:
    """`ce` is the counting element as the guest would read it, but as a number, not in BCD."""

    def __init__(self) -> None:
        self.gate = True
        self.control(3, 0, False)

    # --- between pulses ------------------------------------------------------------------------------------------

    def control(self, access: int, mode: int, decimal: bool) -> None:
        self.access, self.mode, self.modulus = access, mode & 3 if mode > 5 else mode, 10_000 if decimal else 65_536
        self.mode_bits = mode
        self.out = self.mode != 0
        self.null = True
        self.has_count = self.loaded = self.waiting = self.triggered = False
        self.stopped = False
        self.low: int | None = None
        self.cr = self.ce = 0
        self.done = False

    def write(self, byte: int) -> None:
        if self.access == 1:
            self.count_written(byte)
        elif self.access == 2:
            self.count_written(byte << 8)
        elif self.low is None:
            self.low = byte
            if self.mode == 0:
                self.out, self.stopped, self.waiting = False, True, False
        else:
            low, self.low = self.low, None
            self.count_written(byte << 8 | low)

    def count_written(self, raw: int) -> None:
        self.cr = int(f"{raw:x}") % self.modulus if self.modulus == 10_000 else raw
        self.null = self.has_count = True
        self.stopped = False
        if self.mode == 0:
            self.out = False
        if self.mode in (0, 4) or (self.mode in (2, 3) and not self.loaded):
            self.waiting = True

    def set_gate(self, level: bool) -> None:
        rises = level and not self.gate
        self.gate = level
        if rises and self.has_count and self.mode in (1, 2, 3, 5):
            self.triggered = True
        if not level and self.mode in (2, 3):
            self.out = True

    # --- a pulse -------------------------------------------------------------------------------------------------

    def load(self) -> None:
        self.null = self.done = False
        self.loaded = True
        self.ce = self.cr

    def pulse(self) -> None:
        if self.waiting or self.triggered:
            self.waiting = self.triggered = False
            self.load()
            self.out = self.mode not in (0, 1)
            if self.mode == 3:
                self.even_part()
            return
        if self.mode in (4, 5):
            self.out = True
        enabled = self.gate or self.mode in (1, 5)
        if not self.loaded or not enabled or self.stopped:
            return
        getattr(self, f"count_in_mode_{self.mode}")()

    def decrement(self) -> None:
        self.ce = (self.ce - 1) % self.modulus

    def count_in_mode_0(self) -> None:
        self.decrement()
        if self.ce == 0:
            self.out = True

    count_in_mode_1 = count_in_mode_0

    def count_in_mode_2(self) -> None:
        if self.out:
            self.decrement()
            self.out = self.ce != 1
        else:
            self.load()
            self.out = True

    def even_part(self) -> None:
        self.odd = self.cr % 2
        self.ce -= self.odd

    def count_in_mode_3(self) -> None:
        """By two; when the count expires, in the high half one pulse later if it was odd, OUT changes."""
        last = 0 if self.odd and self.out else 2
        if self.ce == last:
            self.load()
            self.out = not self.out
            self.even_part()
        else:
            self.ce = (self.ce - 2) % self.modulus

    def count_in_mode_4(self) -> None:
        """The strobe comes once."""
        self.decrement()
        if self.ce == 0 and not self.done:
            self.out, self.done = False, True

    count_in_mode_5 = count_in_mode_4

    # --- what the guest sees -------------------------------------------------------------------------------------

    def read_back(self) -> tuple[int, int]:
        """Status and count."""
        status = self.out << 7 | self.null << 6 | self.access << 4 | self.mode_bits << 1 | (self.modulus == 10_000)
        return status, int(str(self.ce), 16) if self.modulus == 10_000 else self.ce
