"""PIIX4 function 3: power management (82371AB datasheet 290562, chapter 7), with the SCI on IRQ 9.

A PIIX3 has no such function; PCs of QEMU's kind put the PIIX4's beside it, and so does this one.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import ClassVar

from southbridge.acpi import AcpiTables, Published
from southbridge.banks import BankRegion, PortBank
from southbridge.component import Part
from southbridge.errors import RealizeError
from southbridge.hookspecs import hookimpl
from southbridge.interrupts import Pin
from southbridge.life import ShutdownReason, WakeReason
from southbridge.pci import CONFIG, PciDevice, PciIds
from southbridge.pci.config import STATUS_FIELDS
from southbridge.registers import RO, bit, bits
from southbridge.smbus import SmbusBus

from . import acpi, general_events, processors, slots
from .general_events import GeneralEvents
from .power_registers import PowerRegisters
from .processors import Processors
from .slots import Slots
from .smbus import SmbusHost

SCI = 9
"""The interrupt line of ACPI's events: the chip has it soldered to this one."""
PM_BASE, SMBUS_BASE = 0x600, 0x700
"""Where PCs' firmware puts the registers, and the tables say that they are."""
SMI_PORTS = 0xB2
ACPI_ENABLE, ACPI_DISABLE = 0xF1, 0xF0
"""Commands at B2h: events interrupt by SCI, or not (QEMU's and SeaBIOS's)."""
SOFT_OFF, SUSPEND_TO_RAM, SUSPEND_TO_DISK = 0, 1, 2
"""Sleep types. The datasheet has no other for the last than the first one's: this is QEMU's."""

SMBUS = "smbus.0"
SMBUS_BY_SCI = 4
"""SMB_INTRSEL: the SMBus interrupts by the SCI's line."""

STORED = "Device activity and resources; stored."


class Piix4Acpi(PciDevice):
    """Power management: ACPI's events, timer, sleep and power button; SMBus."""

    ids: ClassVar[PciIds] = PciIds(0x8086, 0x7113, class_code=0x068000, revision=3)
    interrupt_pin: ClassVar[str | None] = "INTA"
    hotpluggable: ClassVar[bool] = False

    PCI_COMMAND = CONFIG.register(
        0x04,
        2,
        fields={
            "IO": bit(0, doc="IOSE: SMBus registers are decoded."),
            "MEMORY": bit(1, RO),
            "MASTER": bit(2, RO),
            "INTX_DISABLE": bit(10, RO),
        },
    )
    PCI_STATUS = CONFIG.register(0x06, 2, reset=0x0280, fields=STATUS_FIELDS)
    PCI_CACHE_LINE_SIZE = CONFIG.register(0x0C, 1, access=RO)
    PCI_LATENCY_TIMER = CONFIG.register(0x0D, 1, access=RO)
    PMBA = CONFIG.register(
        0x40, 4, reset=1, fields={"IO": bit(0, RO), "BASE": bits(6, 15)}, doc="Ports of the power management registers."
    )
    CNTA = CONFIG.register(0x44, 4, doc=STORED)
    CNTB = CONFIG.register(0x48, 4, doc=STORED)
    GPICTL = CONFIG.register(0x4C, 4, doc=STORED)
    DEVRESD = CONFIG.register(0x50, 4, doc=STORED)
    DEVACTA = CONFIG.register(0x54, 4, doc=STORED)
    DEVACTB = CONFIG.register(
        0x58,
        4,
        reset=1 << 25,
        fields={
            "ENABLE": bits(0, 24, doc=STORED),
            "APMC_EN": bit(25, doc="B2h causes SMIs. Set from the start: firmware then has nothing to set up."),
        },
        doc=STORED,
    )
    DEVRESA = CONFIG.register(0x5C, 4, doc=STORED)
    DEVRESB = CONFIG.register(0x60, 4, doc=STORED)
    DEVRESC = CONFIG.register(0x64, 4, doc=STORED)
    DEVRESE = CONFIG.register(0x68, 4, doc=STORED)
    DEVRESF = CONFIG.register(0x6C, 4, doc=STORED)
    DEVRESG = CONFIG.register(0x70, 4, doc=STORED)
    DEVRESH = CONFIG.register(0x74, 4, doc=STORED)
    DEVRESI = CONFIG.register(0x78, 4, doc=STORED)
    DEVRESJ = CONFIG.register(0x7C, 4, doc=STORED)
    PMREGMISC = CONFIG.register(0x80, fields={"PMIOSE": bit(0, doc="PMBA is decoded.")}, doc="Enables PMBA.")
    SMBBA = CONFIG.register(
        0x90, 4, reset=1, fields={"IO": bit(0, RO), "BASE": bits(4, 15)}, doc="Ports of the SMBus registers."
    )
    SMBHSTCFG = CONFIG.register(
        0xD2,
        fields={"SMB_HST_EN": bit(0, doc="SMBBA is decoded."), "SMB_INTRSEL": bits(1, 3, doc="0: SMI; 4: IRQ 9.")},
        doc="SMBus host configuration.",
    )
    SMBSLVC = CONFIG.register(0xD3, doc="The SMBus' slave command; stored.")
    SMBSHDW1 = CONFIG.register(0xD4, doc="An address of its slave half; stored.")
    SMBSHDW2 = CONFIG.register(0xD5, doc="Another one; stored.")
    SMBREV = CONFIG.register(0xD6, access=RO, doc="The SMBus controller's revision.")

    smi = PortBank(2, doc="At B2h.")
    APMC = smi.register(0, doc="Command.")
    APMS = smi.register(1, doc="Status; stored.")

    power: PowerRegisters = Part(PowerRegisters)
    general: GeneralEvents = Part(GeneralEvents)
    slots: Slots = Part(Slots)
    processors: Processors = Part(Processors)
    smbus: SmbusHost = Part(SmbusHost)

    # --- life ----------------------------------------------------------------------------------------------------

    def realize(self) -> None:
        """Takes its ports and the SCI, watches over the bus, hears the clock's alarm, and offers the tables."""
        self._shown: dict[BankRegion, int] = {}
        self._undo: list[Callable[[], None]] = []
        self.power.connect(self.follow, self._sleep)
        bus = SmbusBus(SMBUS)
        self.smbus.connect(bus, self.follow)
        self.general.connect(self.follow)
        self.sci: Pin = self.claim_irq(SCI)
        super().realize()
        self.machine.add_bus(SMBUS, bus)
        self._undo.append(lambda: self.machine.buses.pop(SMBUS))
        # The ISA bridge has B2h and B3h too, and only stores.
        self.claim_ports(self.smi, SMI_PORTS, priority=1)
        self.claim_ports(self.general.registers, general_events.BASE)
        self.claim_ports(self.slots.registers, slots.BASE)
        self.claim_ports(self.processors.registers, processors.BASE)
        try:
            self._tables = Published(self.machine)
        except ValueError as error:
            raise RealizeError(f"{self.id}: {error}") from None
        self._undo.append(self._tables.withdraw)
        self.slots.connect(self.bus, self.general.happen)
        self._undo.append(self.slots.disconnect)
        alarm, heard = self.machine.power.alarm, self._alarm_changed
        alarm.connect(heard)
        self._undo.append(lambda: alarm.disconnect(heard))

    def unrealize(self) -> None:
        """Gives up its ports, and hears no more."""
        for undo in self._undo:
            undo()
        self._undo.clear()
        for region in list(self._shown):
            self._show(region, None, 0)
        self._forget()
        super().unrealize()

    def acpi(self, tables: AcpiTables) -> None:
        """The fixed hardware, sleep states, and the methods of slots and CPUs."""
        acpi.fixed_hardware(tables, SCI, PM_BASE, SMI_PORTS, ACPI_ENABLE, ACPI_DISABLE)
        acpi.hot_plug(tables, self.slots)
        acpi.cpu_hot_plug(tables)

    def reset(self) -> None:
        """Nothing is decoded, no event has happened."""
        self._forget()
        self.wake()

    def wake(self) -> None:
        """The events and what enables them keep their power while the machine sleeps."""
        super().reset()
        self.power.begin()

    def _forget(self) -> None:
        self.power.forget()
        self.general.forget()

    def loaded(self) -> None:
        """Ports and SCI follow the restored registers."""
        super().loaded()
        self.follow()

    @hookimpl
    def machine_created(self) -> None:
        """Every device is there. Raises AcpiError if the tables are too long."""
        self._tables.check()

    @hookimpl
    def machine_reset(self) -> None:
        """Whom the guest was asked to let go of, it knows no more."""
        with self.machine.lock:
            self.slots.eject(self.slots.PCID.value)

    @hookimpl
    def machine_set_up(self) -> None:
        """What firmware does: places the registers."""
        self.config_write(0x40, 4, PM_BASE)
        self.config_write(0x80, 1, 1)
        self.config_write(0x90, 4, SMBUS_BASE)
        self.config_write(0xD2, 1, 0x09)
        self.config_write(0x04, 2, 1)
        self.config_write(0x3C, 1, SCI)

    # --- where the registers are ---------------------------------------------------------------------------------

    @PMBA.written
    @PMREGMISC.written
    @SMBBA.written
    @SMBHSTCFG.written
    def _place_written(self, value: int) -> None:
        self._update_decoding()
        self.follow()

    @PCI_COMMAND.written
    def _command_written(self, value: int) -> None:
        self._update_decoding()

    def _update_decoding(self) -> None:
        super()._update_decoding()
        self._show(self.power.registers, self.PMBA.value & ~1 if self.PMREGMISC.PMIOSE else None, -1)
        decodes = self.PCI_COMMAND.IO and self.SMBHSTCFG.SMB_HST_EN
        self._show(self.smbus.registers, self.SMBBA.value & ~1 if decodes else None, -2)

    def _show(self, region: BankRegion, address: int | None, priority: int) -> None:
        """Has `region` answer at `address`, or nowhere. It yields to whatever else is there."""
        before = self._shown.get(region)
        if address == before:
            return
        if before is not None:
            self.bus.ports.remove(region)
            del self._shown[region]
        if address is not None:
            self.bus.ports.add(address, region, priority)
            self._shown[region] = address

    # --- events --------------------------------------------------------------------------------------------------

    def follow(self) -> None:
        """The SCI follows the events, and the SMBus, which shares its line."""
        happened = self.power.interrupting or self.general.interrupting
        transacted = self.smbus.interrupting and self.SMBHSTCFG.SMB_INTRSEL == SMBUS_BY_SCI
        self.sci.set((bool(self.power.PMCNTRL.SCI_EN) and happened) or transacted)

    @APMC.written
    def _command_given(self, value: int) -> None:
        if value in (ACPI_ENABLE, ACPI_DISABLE):
            self.power.PMCNTRL.SCI_EN = value == ACPI_ENABLE
            self.power.follow()

    def _alarm_changed(self, level: bool) -> None:
        if not level:
            return
        self.power.PMSTS.RTC = 1
        self.power.follow()
        if self.power.PMEN.RTC:
            self.machine.power.request_wake(WakeReason.RTC)

    @hookimpl
    def acpi_event(self, number: int) -> bool:
        """Another device has a general purpose event happen."""
        self.general.happen(number)
        return True

    @hookimpl
    def cpu_plugged(self) -> None:
        """The guest is to look which CPU came."""
        self.general.happen(processors.EVENT)

    @hookimpl
    def machine_powerdown(self) -> bool:
        """The power button is pressed: an event, which also wakes the machine."""
        self.power.PMSTS.PWRBTN = 1
        self.power.follow()
        self.machine.power.request_wake(WakeReason.BUTTON)
        return True

    @hookimpl
    def machine_suspended(self) -> None:
        """What woke the machine before it slept wakes it now."""
        for event, reason in (("RTC", WakeReason.RTC), ("PWRBTN", WakeReason.BUTTON)):
            if getattr(self.power.PMSTS, event) and getattr(self.power.PMEN, event):
                self.machine.power.request_wake(reason)

    @hookimpl
    def machine_woken(self) -> None:
        """The machine woke."""
        self.power.PMSTS.RSM = 1
        self.power.follow()

    # --- sleep ---------------------------------------------------------------------------------------------------

    def _sleep(self, kind: int) -> None:
        if kind == SOFT_OFF:
            self.machine.request_shutdown(ShutdownReason.GUEST_SHUTDOWN)
        elif kind == SUSPEND_TO_RAM:
            self.machine.power.request_suspend()
        elif kind == SUSPEND_TO_DISK:
            self.machine.request_shutdown(ShutdownReason.GUEST_HIBERNATE)
        else:
            self.guest_error(f"sleep type {kind}, which isn't there")
