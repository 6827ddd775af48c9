"""The watchdog timer of Intel's 6300ESB I/O controller hub (its datasheet, order number 300641, chapter 16).

Two stages: when the first one ends it interrupts, when the second one ends as well it pulls WDT_TOUT#, which a board
leads to its reset. Registers in memory take a write only after 80h and 86h were written to RELOAD.
"""

from __future__ import annotations

from southbridge.clock import SECOND
from southbridge.component import State, timer
from southbridge.pci import MmioBar, PciDevice, PciIds
from southbridge.properties import Property
from southbridge.registers import W1C, WO, bit, bits
from southbridge.watchdog import ACTION_DOC, WatchdogAction, watchdog_expired

PCI_HZ = 33_000_000
MILLISECONDS, MICROSECONDS = 15, 5
"""The prescaler: a count of the preload registers is 2 to the power of this many PCI clocks."""
LONGEST = 0xF_FFFF
"""Of the counts."""
UNLOCK_1, UNLOCK_2 = 0x80, 0x86


class I6300Esb(PciDevice):
    """A watchdog that a guest must pet, or the machine is reset."""

    ids = PciIds(vendor=0x8086, device=0x25AB, class_code=0x088000)

    action: WatchdogAction = Property("reset", doc=ACTION_DOC, live=True)

    WDT_CONFIG = PciDevice.config.register(
        0x60,
        2,
        fields={
            "WDT_INT_TYPE": bits(0, 1, doc="When the first stage ends: 0 IRQ, 2 SMI, 3 nothing."),
            "WDT_PRE_SEL": bit(2, doc="A count is a microsecond, rather than a millisecond."),
            "WDT_OUTPUT": bit(5, doc="WDT_TOUT# stays as it is."),
        },
        doc="What it does.",
    )
    WDT_LOCK = PciDevice.config.register(
        0x68,
        1,
        fields={
            "LOCK": bit(0, doc="This register can't be written until a reset."),
            "ENABLE": bit(1, doc="It counts."),
            "TOUT_CNF": bit(2, doc="Free-running: only the second stage, again and again."),
        },
        doc="Whether it runs.",
    )

    bar0 = MmioBar(16, doc="Preload values and reload.")
    PRELOAD_1 = bar0.register(0x00, 4, reset=LONGEST, widths=(1, 2, 4), doc="How long the first stage is: 20 bits.")
    PRELOAD_2 = bar0.register(0x04, 4, reset=LONGEST, widths=(1, 2, 4), doc="And the second.")
    GINTSR = bar0.register(
        0x08, 4, widths=(1, 2, 4), fields={"WDT_INT": bit(0, W1C, doc="The first stage has ended.")}, doc="Interrupt."
    )
    RELOAD = bar0.register(
        0x0C,
        2,
        reset=None,
        widths=(1, 2),
        fields={
            "WDT_RELOAD": bit(8, WO, doc="Begins the first stage anew."),
            "WDT_TIMEOUT": bit(9, W1C, doc="It has run out. Outlasts a reset."),
        },
        doc="80h and 86h unlock the registers for one write; then, reload.",
    )

    stage: int = State(1, ge=1, le=2, doc="Which one is counted.")
    unlocked: int = State(0, ge=0, le=2, doc="How much of the unlocking sequence was written.")

    # --- counting ------------------------------------------------------------------------------------------------

    def _begin(self, stage: int) -> None:
        """A stage begins, of at least one count."""
        self.stage = stage
        count = (self.PRELOAD_1 if stage == 1 else self.PRELOAD_2).value
        clocks = max(count, 1) << (MICROSECONDS if self.WDT_CONFIG.WDT_PRE_SEL else MILLISECONDS)
        self.stage_ends.after(ns=clocks * SECOND // PCI_HZ)

    def _start(self) -> None:
        self._begin(2 if self.WDT_LOCK.TOUT_CNF else 1)

    @timer
    def stage_ends(self) -> None:
        """The counter is at zero."""
        if self.stage == 1:
            self.GINTSR.WDT_INT = 1
            self._begin(2)
            return
        self.RELOAD.WDT_TIMEOUT = 1
        if not self.WDT_CONFIG.WDT_OUTPUT:
            watchdog_expired(self, self.action)
        if self.WDT_LOCK.TOUT_CNF:
            self._begin(2)

    # --- configuration -------------------------------------------------------------------------------------------

    @WDT_LOCK.write
    def lock_written(self, value: int) -> None:
        """Enabling begins the first stage, disabling stops the counter."""
        if self.WDT_LOCK.LOCK:
            self.guest_error("WDT_LOCK written while locked")
            return
        before = self.WDT_LOCK.ENABLE
        self.WDT_LOCK.guest_store(value)
        if not self.WDT_LOCK.ENABLE:
            self.stage_ends.cancel()
        elif not before:
            self._start()

    # --- memory --------------------------------------------------------------------------------------------------

    @RELOAD.write
    def reload_written(self, value: int) -> None:
        """The unlocking sequence; what it unlocks may be this register itself."""
        if value == UNLOCK_1:
            self.unlocked = 1
        elif value == UNLOCK_2 and self.unlocked == 1:
            self.unlocked = 2
        elif self._unlock("RELOAD"):
            self.RELOAD.guest_store(value)
            reload, self.RELOAD.WDT_RELOAD = self.RELOAD.WDT_RELOAD, 0
            if reload and self.WDT_LOCK.ENABLE:
                self._start()

    @PRELOAD_1.write
    def preload_1_written(self, value: int) -> None:
        """It holds when the stage begins next."""
        if self._unlock("PRELOAD_1"):
            self.PRELOAD_1.value = value & LONGEST

    @PRELOAD_2.write
    def preload_2_written(self, value: int) -> None:
        """It holds when the stage begins next."""
        if self._unlock("PRELOAD_2"):
            self.PRELOAD_2.value = value & LONGEST

    def _unlock(self, name: str) -> bool:
        """Whether a write may be done. In any case the registers are locked again."""
        unlocked, self.unlocked = self.unlocked == 2, 0
        if not unlocked:
            self.guest_error(f"{name} written without being unlocked")
        return unlocked
