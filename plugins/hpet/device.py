"""High-precision event timer (IA-PC HPET specification 1.0a): a 64-bit counter of 100 MHz, and three timers.

Timers 0 and 1 may take IRQ 0 and IRQ 8 from the 8254 and the real-time clock (legacy replacement).
"""

from __future__ import annotations

import struct
from typing import ClassVar

from southbridge.acpi import AcpiTables, eisa_id
from southbridge.acpi.resources import memory32_fixed, resource_template
from southbridge.acpi.tables import hpet
from southbridge.acpi.terms import device, name
from southbridge.banks import MmioBank
from southbridge.component import Parts, State
from southbridge.device import Device
from southbridge.registers import RO, W1C, bit, bits

from .comparator import FREE_ROUTE, TICK, Comparator

BASE, SIZE = 0xFED0_0000, 0x400
TIMERS = 3
REPLACED = (0, 8, None)
"""The timers' ISA lines under legacy replacement."""
FEMTOSECONDS = 1_000_000
"""In a nanosecond."""
CAPABILITIES = TICK * FEMTOSECONDS << 32 | 0x8086 << 16 | 1 << 15 | 1 << 13 | TIMERS - 1 << 8 | 0x01
FIRMWARE_ITEM = 0x8004
"""fw_cfg's item that describes HPETs."""
LEAST_TICKS = 100
"""Of a period."""
MASK_64 = (1 << 64) - 1


def firmware_item() -> bytes:
    """What firmware is told: one HPET; block identifier, address, least number of ticks of a period, page protection.

    There is room for eight (QEMU's fw_cfg).
    """
    return (b"\x01" + struct.pack("<IQHB", CAPABILITIES & 0xFFFF_FFFF, BASE, LEAST_TICKS, 0)).ljust(1 + 8 * 15, b"\0")


class Hpet(Device):
    """The counter, its timers, and their interrupts."""

    platform: ClassVar[str] = "hpet"

    registers = MmioBank(0x100, doc="At FED00000h; the timers follow.")
    GCAP_ID = registers.register(
        0x000,
        8,
        reset=CAPABILITIES,
        access=RO,
        widths=(4, 8),
        fields={
            "REVISION": bits(0, 7, RO),
            "LAST_TIMER": bits(8, 12, RO),
            "SIZE_64": bit(13, RO),
            "LEGACY": bit(15, RO),
            "VENDOR": bits(16, 31, RO),
            "PERIOD": bits(32, 63, RO, doc="Femtoseconds that a count lasts."),
        },
        doc="Capabilities.",
    )
    GEN_CONF = registers.register(
        0x010,
        8,
        widths=(4, 8),
        fields={"ENABLE": bit(0, doc="The counter runs, timers interrupt."), "LEGACY": bit(1, doc="Replacement.")},
        doc="General configuration.",
    )
    GINTR_STA = registers.register(
        0x020, 8, widths=(4, 8), fields={"ACTIVE": bits(0, TIMERS - 1, W1C)}, doc="Level-triggered interrupts."
    )
    MAIN_CNT = registers.register(0x0F0, 8, widths=(4, 8), doc="The main counter: as stopped, or when it was started.")

    timers: list[Comparator] = Parts(Comparator, TIMERS)

    started: int = State(0, ge=0, lt=1 << 62, doc="When the counter had MAIN_CNT's value, in ns of the machine clock.")

    # --- life ----------------------------------------------------------------------------------------------------

    def realize(self) -> None:
        """Takes its place, and a pin on each of its lines."""
        self.claim_memory(self.registers, BASE)
        isa = self.machine.isa
        for index, (comparator, line) in enumerate(zip(self.timers, REPLACED, strict=True)):
            self.claim_memory(comparator.registers, BASE + 0x100 + 0x20 * index)
            comparator.index = index
            comparator.free = isa.share(FREE_ROUTE, self)
            comparator.replaced = None if line is None else isa.share(line, self)
        self.machine.firmware_config.add_item(FIRMWARE_ITEM, firmware_item())

    def unrealize(self) -> None:
        """Gives the lines back."""
        super().unrealize()
        if self.machine.devices.get(self.id) is self:
            self.machine.firmware_config.items.pop(FIRMWARE_ITEM, None)

    def acpi(self, tables: AcpiTables) -> None:
        """A table of its own, and a device with the addresses."""
        resources = [memory32_fixed(BASE, SIZE)]
        tables.add(hpet(CAPABILITIES & 0xFFFF_FFFF, BASE, LEAST_TICKS))
        tables.system(device("HPET", name("_HID", eisa_id("PNP0103")), name("_CRS", resource_template(*resources))))

    def reset(self) -> None:
        """The counter stands at 0, and every line is the others'."""
        super().reset()
        self._route()

    def loaded(self) -> None:
        """Lines and timers follow from the state."""
        self._route()
        for comparator in self.timers:
            if not comparator.expire.pending:
                comparator.schedule()

    # --- the counter ---------------------------------------------------------------------------------------------

    def counted(self, now: int) -> int:
        """How far it got since it was started or set."""
        return max(now - self.started, 0) // TICK if self.GEN_CONF.ENABLE else 0

    def counter(self, now: int) -> int:
        """The main counter."""
        return self.MAIN_CNT.value + self.counted(now) & MASK_64

    def time_of(self, count: int) -> int:
        """When the running counter has `count`, which is given without wrapping it."""
        return self.started + (count - self.MAIN_CNT.value) * TICK

    # --- interrupts ----------------------------------------------------------------------------------------------

    def _route(self) -> None:
        """Under legacy replacement, IRQ 0 and 8 are the timers' alone."""
        for comparator, line in zip(self.timers, REPLACED, strict=True):
            if line is not None:
                self.machine.isa.wires[line].lend(comparator.replaced if self.GEN_CONF.LEGACY else None)
            comparator.drive(comparator.asserts)

    # --- registers -----------------------------------------------------------------------------------------------

    def _settle(self) -> None:
        for comparator in self.timers:
            comparator.settle()
            comparator.catch_up()

    @GEN_CONF.write
    def configuration_written(self, value: int) -> None:
        """Starts or stops the counter; replaces the legacy interrupts, or not."""
        self._settle()
        now = self.clock.now()
        rest = max(now - self.started, 0) % TICK if self.GEN_CONF.ENABLE else 0
        count = self.counter(now)
        if value >> 1 & 1 != self.GEN_CONF.LEGACY:  # no edge comes of that on another line
            for comparator in self.timers:
                comparator.high = False
                comparator.drive(False)
        self.GEN_CONF.guest_store(value)
        self.MAIN_CNT.value, self.started = count, now - rest
        self._route()
        for comparator in self.timers:
            comparator.schedule()

    @GINTR_STA.written
    def status_written(self, value: int) -> None:
        """Lines whose interrupt was cleared go down."""
        for comparator in self.timers:
            comparator.update()

    @MAIN_CNT.read
    def read_counter(self) -> int:
        """The count now. Interrupts that are due come first."""
        self._settle()
        return self.counter(self.clock.now())

    @MAIN_CNT.write
    def counter_written(self, value: int) -> None:
        """Sets it; the guest stops it before."""
        if self.GEN_CONF.ENABLE:
            self.guest_error("the main counter written while it runs")
        self._settle()
        self.MAIN_CNT.value, self.started = value, self.clock.now()
        for comparator in self.timers:
            comparator.schedule()
