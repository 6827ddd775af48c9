"""The pvpanic device on PCI (QEMU's docs/specs/pvpanic)."""

from __future__ import annotations

from southbridge.pci import MmioBar, PciDevice, PciIds
from southbridge.properties import Property

from .events import ACTION_DOC, EVENTS_DOC, USUAL, PanicAction, happened


class PvpanicPci(PciDevice):
    """A byte of memory by which a guest says that it has panicked."""

    ids = PciIds(vendor=0x1B36, device=0x0011, class_code=0x088000, revision=1)

    events: int = Property(USUAL, ge=0, le=7, doc=EVENTS_DOC)
    on_panic: PanicAction = Property("shutdown", doc=ACTION_DOC, live=True)

    bar0 = MmioBar(16, doc="Its first byte is the register.")
    EVENTS = bar0.register(0, doc="Reads as what may be written; written, it has happened.")

    @EVENTS.read
    def capabilities(self) -> int:
        """What the guest may say."""
        return self.events

    @EVENTS.write
    def said(self, value: int) -> None:
        """It says it; bits that it may not say are ignored."""
        happened(self, value & self.events, self.on_panic)
