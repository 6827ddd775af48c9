"""The blitter: starts what its registers say, and keeps what the CPU still has to give, or to take."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from southbridge.component import Component, State
from southbridge.memory.ram import RamBlock

from .blit import FROM_SYSTEM, PATTERN, REGISTERS, TO_SYSTEM, Blit
from .registers import CirrusRegisters

LONGEST_ROW = 8192 + 4
LARGEST_READ = LONGEST_ROW * 2048


class Blitter(Component):
    """At most one transfer at a time. One from memory to memory is over when the register's write is.

    A transfer is what the registers said when it was started, whatever is written to them later.
    """

    latched: bytes = State(
        b"", max_length=REGISTERS, doc="The registers of a transfer with the CPU; empty: there is none."
    )
    row: int = State(0, ge=0, lt=2048, doc="Which row the CPU gives.")
    given: bytes = State(b"", max_length=LONGEST_ROW, doc="What of it came.")
    to_read: bytes = State(b"", max_length=LARGEST_READ, doc="What the CPU is to take.")
    taken: int = State(0, ge=0, lt=LARGEST_READ, doc="How many bytes of that it took.")

    registers: CirrusRegisters
    block: RamBlock
    changed: Callable[[], None]
    """Whether the CPU is waited for changed."""

    def attach(self, registers: CirrusRegisters, block: RamBlock, changed: Callable[[], None]) -> None:
        """Belongs to a card from now on."""
        self.registers, self.block, self.changed = registers, block, changed
        self._memory = np.frombuffer(block.view, np.uint8)
        self._blit: Blit | None = None
        registers.blit_control_written = self.control_written
        registers.autostart = self.start

    @property
    def takes(self) -> bool:
        """Stores to the memory's windows are data for it."""
        return bool(self.latched) and not self.to_read

    @property
    def gives(self) -> bool:
        """Loads from the memory's windows take its data."""
        return bool(self.to_read)

    # --- control -----------------------------------------------------------------------------------------------------

    def control_written(self, before: int, value: int) -> None:
        """GR31: the falling edge of RESET ends a transfer, the rising one of START begins one."""
        if before & 4 and not value & 4:
            self.stop()
        elif value & 2 and not before & 2:
            self.start()

    def stop(self) -> None:
        """Nothing is under way any more."""
        control = self.registers.GR31
        control.START = control.BUSY = control.FIFO = 0
        waited = bool(self.latched)
        self._forget()
        if waited:
            self.changed()

    def _forget(self) -> None:
        """There is no transfer with the CPU."""
        self.latched, self.given, self.row, self.to_read, self.taken, self._blit = b"", b"", 0, b"", 0, None

    def start(self) -> None:
        """Does a transfer, or begins one with the CPU. One that leaves the memory doesn't happen."""
        self.stop()
        registers = self.registers.blit_registers()
        blit = Blit.of(registers)
        problem = blit.problem(self.block.size)
        if problem:
            self.guest_error(problem)
            return
        if not blit.mode & (FROM_SYSTEM | TO_SYSTEM):
            blit.run(self._memory)
            self._mark(blit, 0, blit.height)
            return
        control = self.registers.GR31
        control.START = control.BUSY = control.FIFO = 1
        self.latched, self._blit = registers, blit
        if blit.mode & TO_SYSTEM:
            self.to_read = blit.to_system(self._memory) if blit.is_copy and not blit.mode & FROM_SYSTEM else b""
            if not self.to_read:
                self.guest_error(f"a blit to the CPU with mode {blit.mode:#x}")
                self.stop()
        self.changed()

    def check_transfer(self) -> None:
        """State was restored: a transfer that couldn't have been started isn't there."""
        blit = Blit.of(self.latched) if len(self.latched) == REGISTERS else None
        if blit is None or blit.problem(self.block.size):
            self._forget()
            return
        gives = bool(blit.mode & TO_SYSTEM) and self.taken < len(self.to_read)
        takes = bool(blit.mode & FROM_SYSTEM) and not self.to_read and self.row < blit.height
        if not gives and not takes:
            self._forget()
            return
        self.given = self.given[: blit.system_row - 1]
        self._blit = blit

    # --- data --------------------------------------------------------------------------------------------------------

    def give(self, size: int, value: int) -> None:
        """The CPU stores `size` bytes."""
        blit = self._blit
        assert blit is not None
        self.given += value.to_bytes(size, "little")
        length = blit.system_row
        while len(self.given) >= length:
            row, self.given = self.given[:length], self.given[length:]
            blit.row_from_system(self._memory, self.row, row)
            whole = bool(blit.mode & PATTERN)
            self._mark(blit, 0 if whole else self.row, blit.height if whole else 1)
            if whole or self.row + 1 == blit.height:
                self.stop()
                return
            self.row += 1

    def take(self, size: int) -> int:
        """The CPU loads `size` bytes."""
        value = int.from_bytes(self.to_read[self.taken : self.taken + size], "little")
        self.taken += size
        if self.taken >= len(self.to_read):
            self.stop()
        return value

    def _mark(self, blit: Blit, first: int, count: int) -> None:
        """Rows of the destination changed."""
        if not self.block.dirty:
            return
        sign = -1 if blit.is_backwards else 1
        start = blit.destination + sign * first * blit.destination_pitch
        if blit.is_backwards:
            start -= blit.width - 1
        self.block.mark_dirty_rows(start, sign * blit.destination_pitch, blit.width, count)
