"""An abacus on a PCI card: pushes beads one after the other, and says with an interrupt when it is done."""

from __future__ import annotations

from southbridge import RO, W1C, MmioBar, PciDevice, PciIds, Property, bit, timer


class Abacus(PciDevice):
    """Counts beads."""

    ids = PciIds(vendor=0x1AC3, device=0xABAC, class_code=0xFF0000, revision=3)
    interrupt_pin = "INTA"

    beads: int = Property(10, ge=1, le=100, doc="How many beads a wire has.")

    bar0 = MmioBar(4096, doc="The wires.")
    MAGIC = bar0.register(0x00, 4, reset=0xABAC0, access=RO, doc="What it is.")
    PUSH = bar0.register(0x04, 4, doc="Beads to push. Writing starts it.")
    COUNT = bar0.register(0x08, 4, access=RO, doc="Beads pushed since the last carry.")
    STATUS = bar0.register(
        0x0C,
        4,
        fields={
            "BUSY": bit(0, RO, doc="Beads are being pushed."),
            "DONE": bit(1, W1C, doc="They have been: raises INTA# until written with 1."),
            "CARRY": bit(2, W1C, doc="The wire was full and began anew."),
        },
        doc="What it is doing.",
    )

    def reset(self) -> None:
        """Clears the wire and lets go of the interrupt."""
        super().reset()
        self.interrupt.set(False)

    @PUSH.written
    def start(self, beads: int) -> None:
        """A bead takes a millisecond."""
        if self.STATUS.BUSY:
            self.guest_error("PUSH written while BUSY")
            return
        self.STATUS.BUSY = 1
        self.finish.after(ms=min(beads, self.beads))

    @timer
    def finish(self) -> None:
        """The beads are pushed."""
        carry, self.COUNT.value = divmod(self.COUNT.value + self.PUSH.value, self.beads)
        self.STATUS.BUSY = 0
        self.STATUS.DONE = 1
        self.STATUS.CARRY |= min(carry, 1)
        self.interrupt.set(True)

    @STATUS.written
    def acknowledge(self, value: int) -> None:
        """INTA# follows DONE."""
        self.interrupt.set(self.STATUS.DONE)
