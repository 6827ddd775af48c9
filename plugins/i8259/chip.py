"""One 8259A (Intel datasheet 231468): requests come in on IR0 to IR7; at most one of them goes on.

The request latches are transparent (datasheet, figure 9): a request that goes away before it was acknowledged is gone.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from southbridge.banks import PortBank
from southbridge.component import Component, State
from southbridge.registers import RO, WO, bit, bits

if TYPE_CHECKING:
    from .device import I8259

CASCADE = 2
"""The master's input that the slave's output is wired to."""


class Chip(Component):
    """One interrupt controller."""

    device: I8259
    is_master = False
    level_lines = 0
    """Inputs that the chipset makes level-triggered (ELCR), a bit each."""

    ports = PortBank(2, doc="A0 = 0 and A0 = 1.")
    COMMAND = ports.register(0, access=WO, doc="ICW1, OCW2 or OCW3, as bits 4 and 3 say.")
    POLL_WORD = ports.register(
        0,
        access=RO,
        when=lambda chip: chip.polled,
        fields={"W": bits(0, 2, RO, doc="The level acknowledged."), "I": bit(7, RO, doc="There was a request.")},
        doc="After OCW3 with P: acknowledges like INTA.",
    )
    POLL_WORD_A1 = ports.register(1, access=RO, when=lambda chip: chip.polled, doc="The same, read with A0 = 1.")
    ISR = ports.register(0, access=RO, when=lambda chip: chip.reads_isr, doc="Levels in service.")
    IRR = ports.register(0, access=RO, doc="Levels that request.")
    ICW = ports.register(1, access=WO, when=lambda chip: chip.next_icw, doc="ICW2 to ICW4, after ICW1.")
    IMR = ports.register(1, doc="OCW1: levels that are masked.")

    lines: int = State(0, keep=True, ge=0, le=0xFF, doc="Inputs that are high.")
    edges: int = State(0, ge=0, le=0xFF, doc="Edge sense latches: inputs that rose and weren't acknowledged since.")
    next_icw: int = State(0, ge=0, le=4, doc="The initialization command word that is expected; 0: none.")
    ready: bool = State(False, doc="It was initialized, and accepts requests.")
    needs_icw4: bool = State(False, doc="IC4 of ICW1.")
    single: bool = State(False, doc="SNGL of ICW1: no ICW3 follows.")
    level_mode: bool = State(False, doc="LTIM of ICW1: every input is level-triggered.")
    base: int = State(0, ge=0, le=0xF8, multiple_of=8, doc="ICW2: the vector of IR0.")
    special_nested: bool = State(False, doc="SFNM of ICW4.")
    auto_eoi: bool = State(False, doc="AEOI of ICW4.")
    special_mask: bool = State(False, doc="Special mask mode.")
    rotates: bool = State(False, doc="An automatic EOI rotates.")
    lowest: int = State(7, ge=0, le=7, doc="The level of lowest priority; the next one has the highest.")
    polled: bool = State(False, doc="The next read is a poll.")
    reads_isr: bool = State(False, doc="Reads with A0 = 0 give ISR instead of IRR.")

    # --- inputs --------------------------------------------------------------------------------------------------

    def drive(self, mask: int, level: bool) -> None:
        """The input whose bit is `mask` has a new level."""
        if not level:
            self.lines &= ~mask
            self.edges &= ~mask
        elif not self.lines & mask:
            self.lines |= mask
            self.edges |= mask

    def holds(self, mask: int) -> bool:
        """Whether that input's request is latched and on: another edge adds nothing."""
        return bool(self.lines & self.edges & mask)

    def requests(self) -> int:
        """The interrupt request register."""
        return self.lines if self.level_mode else self.lines & (self.edges | self.level_lines)

    # --- priorities ----------------------------------------------------------------------------------------------

    def rank(self, levels: int) -> int:
        """How far below the highest priority the foremost of `levels` is, of which there is at least one."""
        rotated = (levels | levels << 8) >> (self.lowest + 1)
        return (rotated & -rotated).bit_length() - 1

    def level(self, rank: int) -> int:
        """The level that has priority `rank` now."""
        return (rank + self.lowest + 1) & 7

    def serving(self) -> int:
        """Levels in service that hold others back."""
        return self.ISR.value & ~self.IMR.value if self.special_mask else self.ISR.value

    def requested(self) -> int | None:
        """The level that INTA would acknowledge now, or None while INT is low."""
        if not self.lines or not self.ready:
            return None
        requests = self.requests() & ~self.IMR.value
        if not requests:
            return None
        rank = self.rank(requests)
        level = self.level(rank)
        serving = self.serving()
        if serving:
            limit = self.rank(serving)
            if rank > limit:
                return None
            if rank == limit and not (self.special_nested and self.is_master and level == CASCADE):
                return None
        return level

    # --- acknowledging -------------------------------------------------------------------------------------------

    def acknowledge(self, level: int) -> None:
        """INTA: `level` goes into service."""
        self.edges &= ~(1 << level)
        self.device.taken(self, level)
        if not self.auto_eoi:
            self.ISR.value |= 1 << level
        elif self.rotates:
            self.lowest = level

    @POLL_WORD.read
    @POLL_WORD_A1.read
    def poll(self) -> int:
        """The level that requests, which goes into service by this."""
        self.polled = False
        level = self.requested()
        if level is None:
            return 0
        self.acknowledge(level)
        self.device.acknowledged(self)
        return 0x80 | level

    @IRR.read
    def read_requests(self) -> int:
        """IRR."""
        return self.requests()

    # --- commands ------------------------------------------------------------------------------------------------

    @COMMAND.write
    def command(self, value: int) -> None:
        """ICW1, OCW2 or OCW3."""
        if value & 0x10:
            self.initialize(value)
        elif value & 0x08:
            self.set_modes(value)
        else:
            self.end_of_interrupt(value >> 5, value & 7)
        self.device.refresh()

    def initialize(self, value: int) -> None:
        """ICW1. What it clears: datasheet, "Initialization command words"; inputs must rise anew to request."""
        self.edges = self.IMR.value = self.ISR.value = 0
        self.device.attend()
        self.lowest = 7
        self.special_mask = self.reads_isr = self.polled = self.rotates = False
        self.special_nested = self.auto_eoi = self.ready = False
        self.needs_icw4 = bool(value & 0x01)
        self.single = bool(value & 0x02)
        self.level_mode = bool(value & 0x08)
        self.next_icw = 2
        if not self.needs_icw4:
            self.guest_error("ICW1 without IC4 selects an MCS-80/85 processor")

    @ICW.write
    def initialize_further(self, value: int) -> None:
        """ICW2, ICW3 (left out for a single chip) or ICW4 (left out unless ICW1 announced it)."""
        following = 0
        if self.next_icw == 2:
            self.base = value & 0xF8
            following = 4 if self.single else 3
        elif self.next_icw == 3:
            wired = 1 << CASCADE if self.is_master else CASCADE
            if value != wired:
                self.guest_error(f"ICW3 is {value:#x}; the chips are wired for {wired:#x}")
            following = 4
        else:
            self.special_nested = bool(value & 0x10)
            self.auto_eoi = bool(value & 0x02)
            if not value & 0x01:
                self.guest_error("ICW4 selects an MCS-80/85 processor")
        self.next_icw = 0 if following == 4 and not self.needs_icw4 else following
        self.ready = not self.next_icw
        self.device.refresh()

    @IMR.written
    def mask_changed(self, value: int) -> None:
        """OCW1."""
        self.device.refresh()

    def end_of_interrupt(self, command: int, level: int) -> None:
        """OCW2: `command` is R, SL and EOI."""
        rotate, specific, end = command & 4, command & 2, command & 1
        if not end:
            if specific:
                if rotate:
                    self.lowest = level
            else:
                self.rotates = bool(rotate)
            return
        if not specific:
            serving = self.serving()
            if not serving:
                return
            level = self.level(self.rank(serving))
        self.ISR.value &= ~(1 << level)
        if rotate:
            self.lowest = level

    def set_modes(self, value: int) -> None:
        """OCW3."""
        if value & 0x40:
            self.special_mask = bool(value & 0x20)
        if value & 0x04:
            self.polled = True
        elif value & 0x02:
            self.reads_isr = bool(value & 0x01)
