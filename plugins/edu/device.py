"""A PCI card that computes factorials, and copies memory to a buffer of its own and back (QEMU's docs/specs/edu).

The example of docs/writing-a-device.md, which goes through this file from top to bottom.
"""

from __future__ import annotations

import math

from southbridge import RO, WO, GuestMemoryError, KiB, MiB, MmioBar, Msi, PciDevice, PciIds, Property, State, bit, timer

BUFFER, BUFFER_SIZE = 0x4_0000, 4 * KiB
"""The address of the buffer in the card's own address space, which only its DMA engine knows."""
FACTORIAL_DONE, DMA_DONE = 0x001, 0x100
"""The card's own reasons for an interrupt. Any others are the guest's."""
ALL_ZEROS = 34
"""From here on, a factorial's low 32 bits are 0: it has 32 factors of two."""
MASK_32 = 0xFFFF_FFFF


class Edu(PciDevice):
    """A card to learn from: registers, an interrupt, DMA."""

    ids = PciIds(vendor=0x1234, device=0x11E8, class_code=0xFF0000, revision=0x10)
    interrupt_pin = "INTA"
    msi = Msi(offset=0x40)

    dma_mask: int = Property((1 << 28) - 1, ge=0xFFF, lt=1 << 64, doc="The address bits that its DMA engine has.")

    bar0 = MmioBar(1 * MiB, doc="Registers.")
    IDENTIFICATION = bar0.register(0x00, 4, reset=0x0100_00ED, access=RO, doc="Version 1.0, and what it is.")
    LIVENESS = bar0.register(0x04, 4, doc="Reads as the inverse of what was written.")
    FACTORIAL = bar0.register(0x08, 4, doc="Write n; once COMPUTING is clear, read n!, modulo 2^32.")
    STATUS = bar0.register(
        0x20, 4, fields={"COMPUTING": bit(0, RO), "INTERRUPT": bit(7)}, doc="Of the factorial; interrupt at its end?"
    )
    INTERRUPT_STATUS = bar0.register(0x24, 4, access=RO, doc="The reasons for the interrupt.")
    INTERRUPT_RAISE = bar0.register(0x60, 4, access=WO, doc="Adds reasons.")
    INTERRUPT_ACKNOWLEDGE = bar0.register(0x64, 4, access=WO, doc="Takes reasons away.")
    DMA_SOURCE = bar0.register(0x80, 8, widths=(4, 8), doc="Where from: in memory, or in the buffer, at 40000h.")
    DMA_DESTINATION = bar0.register(0x88, 8, widths=(4, 8), doc="Where to.")
    DMA_COUNT = bar0.register(0x90, 8, widths=(4, 8), doc="How many bytes.")
    DMA_COMMAND = bar0.register(
        0x98,
        8,
        widths=(4, 8),
        fields={
            "RUN": bit(0, doc="Begins; clear again at the end."),
            "TO_MEMORY": bit(1, doc="From the buffer to memory; else the other way."),
            "INTERRUPT": bit(2, doc="Interrupt at the end, for reason 100h."),
        },
        doc="Starts a transfer.",
    )

    buffer: bytes = State(bytes(BUFFER_SIZE), min_length=BUFFER_SIZE, max_length=BUFFER_SIZE, doc="What DMA brought.")

    @LIVENESS.write
    def invert(self, value: int) -> None:
        """Shows that the card is there, and that registers are written and read."""
        self.LIVENESS.value = ~value & MASK_32

    # --- the factorial -------------------------------------------------------------------------------------------

    @FACTORIAL.write
    def start_factorial(self, n: int) -> None:
        """A multiplication takes a microsecond; the card stops at the first that gives nothing but zeros."""
        if self.STATUS.COMPUTING:
            self.guest_error("FACTORIAL written while COMPUTING")
            return
        self.FACTORIAL.value = n
        self.STATUS.COMPUTING = 1
        self.finish_factorial.after(us=1 + min(n, ALL_ZEROS))

    @timer
    def finish_factorial(self) -> None:
        """The result is there."""
        self.FACTORIAL.value = math.factorial(min(self.FACTORIAL.value, ALL_ZEROS)) & MASK_32
        self.STATUS.COMPUTING = 0
        if self.STATUS.INTERRUPT:
            self.raise_interrupt(FACTORIAL_DONE)

    # --- the interrupt -------------------------------------------------------------------------------------------

    @INTERRUPT_RAISE.write
    def raise_interrupt(self, reasons: int) -> None:
        """INTA# is asserted while there are reasons. By messages each is told, even if the last is not dealt with."""
        told = self.interrupt.asserted and self.msi_enabled
        self.INTERRUPT_STATUS.value |= reasons
        self.interrupt.set(self.INTERRUPT_STATUS.value)
        if told:
            self.send_msi()

    @INTERRUPT_ACKNOWLEDGE.write
    def acknowledge_interrupt(self, reasons: int) -> None:
        """The guest has dealt with these."""
        self.INTERRUPT_STATUS.value &= ~reasons
        self.interrupt.set(self.INTERRUPT_STATUS.value)

    # --- DMA -----------------------------------------------------------------------------------------------------

    @DMA_SOURCE.write
    def set_source(self, value: int) -> None:
        """Refused while a transfer runs, like its other parameters."""
        self._set("DMA_SOURCE", value)

    @DMA_DESTINATION.write
    def set_destination(self, value: int) -> None:
        """The same."""
        self._set("DMA_DESTINATION", value)

    @DMA_COUNT.write
    def set_count(self, value: int) -> None:
        """The same."""
        self._set("DMA_COUNT", value)

    @DMA_COMMAND.write
    def command(self, value: int) -> None:
        """Only RUN makes it one."""
        if value & 1 and self._set("DMA_COMMAND", value & 7):
            self.finish_dma.after(us=100)

    def _set(self, name: str, value: int) -> bool:
        if self.DMA_COMMAND.RUN:
            self.guest_error(f"{name} written while a transfer runs")
            return False
        getattr(self, name).value = value
        return True

    @timer
    def finish_dma(self) -> None:
        """All of the transfer happens at its end. One that leaves the buffer, or memory, doesn't happen."""
        try:
            self._copy(self.DMA_SOURCE.value, self.DMA_DESTINATION.value, self.DMA_COUNT.value)
        except GuestMemoryError:
            self.PCI_STATUS.RECEIVED_MASTER_ABORT = 1
        self.DMA_COMMAND.RUN = 0
        if self.DMA_COMMAND.INTERRUPT:
            self.raise_interrupt(DMA_DONE)

    def _copy(self, source: int, destination: int, count: int) -> None:
        to_memory = self.DMA_COMMAND.TO_MEMORY
        start = (source if to_memory else destination) - BUFFER
        end = start + count
        if start < 0 or end > BUFFER_SIZE:
            self.guest_error(f"DMA of {count:#x} bytes at {start:#x} of a buffer of {BUFFER_SIZE:#x}")
        elif to_memory:
            self.dma.write(destination & self.dma_mask, self.buffer[start:end])
        else:
            data = self.dma.read(source & self.dma_mask, count)
            self.buffer = self.buffer[:start] + data + self.buffer[end:]
