"""The card as a whole: how its parts are joined, and what the general registers do."""

from __future__ import annotations

from typing import ClassVar

from southbridge.component import Part
from southbridge.net import CardPort, MacAddress, NetworkBackend, RxFilter
from southbridge.net.card import card_address
from southbridge.pci import PciIds, PowerManagement
from southbridge.properties import Link, Property
from southbridge.registers import Register

from .eeprom import Eeprom, contents
from .filters import Filters
from .interrupts import ALL, Interrupts
from .phy import Phy
from .receive import Receive
from .registers import LSC, MDAC, RAH_VALID, Registers
from .rom import WithRom
from .transmit import Transmit
from .wakeup import KEPT, Wakeup

PHY_ADDRESS = 1
_READ, _WRITE = 2, 1
NETWORK_CONTROLLER = 0x02_0000


class E1000(WithRom):
    """Gigabit Ethernet controller, Intel's 82540EM."""

    ids: ClassVar[PciIds] = PciIds(0x8086, 0x100E, NETWORK_CONTROLLER, 0x02, 0x8086, 0x001E)
    interrupt_pin: ClassVar[str | None] = "INTA"
    wakes_by: ClassVar[PowerManagement | None] = PowerManagement(0xDC)
    PM_CONTROL: Register
    phy_identifier: ClassVar[int] = 0x0C20
    default_rom = "pxe-e1000.rom"

    netdev: NetworkBackend | None = Link("netdevs", None, doc="What its cable leads to; none: there is no cable.")
    mac: MacAddress | None = Property(
        None,
        examples=["52:54:00:12:34:56"],
        doc="Its address; by default the first from 52:54:00:12:34:56 on that no card before it has.",
    )

    eeprom: Eeprom = Part(Eeprom)
    phy: Phy = Part(Phy)
    interrupts: Interrupts = Part(Interrupts)
    transmit: Transmit = Part(Transmit)
    receive: Receive = Part(Receive)

    port: CardPort
    mac_address: bytes

    # --- life ----------------------------------------------------------------------------------------------------

    def realize(self) -> None:
        """Puts its address into the EEPROM, and the cable in."""
        self.mac_address = card_address(self, self.mac)
        self.eeprom.words = contents(self.mac_address, self.ids.device, self.ids.subsystem)
        self.phy.EPID.value = self.phy_identifier
        self.filters = Filters(self)
        self.wakeup = Wakeup(self)
        self.port = CardPort(
            self,
            self.receive.from_network,
            receive_batch=self.receive.several_from_network,
            sendable=self.transmit.run,
            link_changed=self.phy.cable_changed,
        )
        super().realize()
        self.port.open(self.netdev)

    def rx_filter(self) -> RxFilter:
        """What it lets in, for QMP's query-rx-filter."""
        return self.filters.told()

    def unrealize(self) -> None:
        """Pulls the cable out."""
        super().unrealize()
        if hasattr(self, "port"):
            self.port.close()
            self.reset_registers()

    def reset(self) -> None:
        """The bus's reset: the PHY's too."""
        super().reset()
        self._load_eeprom()
        self.phy.restart()

    def wake(self) -> None:
        """The wake-up registers have power while the machine or the card sleeps."""
        kept = {name: vars(self)[name].value for name in KEPT}
        packet = self.wakeup_packet
        super().wake()
        for name, value in kept.items():
            vars(self)[name].value = value
        self.PM_CONTROL.STATE = 0
        self.wakeup_packet = packet

    def loaded(self) -> None:
        """The filters follow; so does the link, should the cable lead elsewhere now."""
        super().loaded()
        self.filters.addresses_changed()
        self.phy.cable_changed()

    def _load_eeprom(self) -> None:
        """What comes from the EEPROM: the first receive address (section 5.6.1)."""
        words = self.eeprom.words
        self.addresses[0] = words[0] | words[1] << 16
        self.addresses[1] = words[2] | RAH_VALID
        self.filters.addresses_changed()

    # --- control -------------------------------------------------------------------------------------------------

    @Registers.CTRL.written
    def _control_written(self, value: int) -> None:
        if self.CTRL.RST:
            self._software_reset()
        elif self.CTRL.PHY_RST:
            self.phy.reset()

    def _software_reset(self) -> None:
        """CTRL.RST: all but the PHY, the configuration space and the EEPROM."""
        for spec in self.register_specs:
            if spec.bank is not Registers.config and spec.reset is not None:
                vars(self)[spec.name].value = spec.reset
        for name, state in self.state_specs.items():
            setattr(self, name, list(state.default))
        for part in (self.eeprom, self.interrupts, self.transmit, self.receive):
            part.reset_registers()
        self._load_eeprom()
        self.interrupt.set(False)

    @Registers.CTRL_EXT.written
    def _extended_control_written(self, value: int) -> None:
        if self.CTRL_EXT.EE_RST:
            self.CTRL_EXT.EE_RST = 0
            self._load_eeprom()

    @Registers.STATUS.read
    def _read_status(self) -> int:
        """Speed and duplex are the PHY's, unless they are forced."""
        speed = self.CTRL.SPEED if self.CTRL.FRCSPD else self.phy.speed
        full = self.CTRL.FD if self.CTRL.FRCDPLX else self.phy.full_duplex
        up = self.phy.link and self.CTRL.SLU
        return int(full) | bool(up) << 1 | speed << 6 | self.phy.speed << 8

    @property
    def loopback(self) -> bool:
        """What is sent comes back: by the PHY, or in the controller (RCTL.LBM)."""
        return self.phy.loopback or bool(self.RCTL.value & 0xC0)

    def link_changed(self) -> None:
        """The PHY's link went up or down."""
        self.interrupts.cause(LSC)
        self.wakeup.link_changed()
        if self.phy.link:
            self.port.ready()

    @Registers.PBA.written
    def _buffer_divided(self, value: int) -> None:
        self.PBA.TXA = max(64 - self.PBA.RXA, 0)

    # --- EEPROM and PHY ------------------------------------------------------------------------------------------

    @Registers.EECD.write
    def _eeprom_pins(self, value: int) -> None:
        before = self.EECD.value
        self.EECD.guest_store(value)
        self.EECD.GNT = self.EECD.REQ
        self.eeprom.pins(before, self.EECD.value)
        self.EECD.DO = self.eeprom.output

    @Registers.EERD.written
    def _eeprom_read(self, value: int) -> None:
        if self.EERD.START:
            self.EERD.DATA = self.eeprom.word(self.EERD.ADDR)
            self.EERD.START, self.EERD.DONE = 0, 1

    @Registers.MDIC.written
    def _mdi(self, value: int) -> None:
        """An access to the PHY, which is over at once."""
        operation = self.MDIC.OP
        self.MDIC.E = self.MDIC.PHYADD != PHY_ADDRESS
        self.MDIC.R = 1
        if self.MDIC.E:
            self.guest_error(f"MDIC: there is no PHY {self.MDIC.PHYADD} (section 13.4.7)")
        elif operation == _READ:
            self.MDIC.DATA = self.phy.read(self.MDIC.REGADD)
        elif operation == _WRITE:
            self.phy.write(self.MDIC.REGADD, self.MDIC.DATA)
        if self.MDIC.I:
            self.interrupts.cause(MDAC)

    # --- interrupts ----------------------------------------------------------------------------------------------

    @Registers.ICR.read
    def _read_causes(self) -> int:
        causes = self.ICR.value
        self.ICR.value = 0
        self.interrupts.update()
        return causes

    @Registers.ICR.write
    def _clear_causes(self, value: int) -> None:
        self.ICR.value &= ~value
        self.interrupts.update()

    @Registers.ICS.write
    def _set_causes(self, value: int) -> None:
        self.interrupts.cause(value)

    @Registers.IMS.write
    def _set_mask(self, value: int) -> None:
        self.IMS.value |= value & ALL
        self.interrupts.update()

    @Registers.IMC.write
    def _clear_mask(self, value: int) -> None:
        self.IMS.value &= ~value
        self.interrupts.update()

    @Registers.RDTR.written
    def _delay_written(self, value: int) -> None:
        if self.RDTR.FPD:
            self.RDTR.FPD = 0
            self.interrupts.flush()

    # --- rings ---------------------------------------------------------------------------------------------------

    @Registers.TDT.written
    def _transmit_tail(self, value: int) -> None:
        self.transmit.tail_written()

    @Registers.TCTL.written
    def _transmit_control(self, value: int) -> None:
        self.TCTL.SWXOFF = 0
        if self.TCTL.EN:
            self.transmit.prepare()
        self.transmit.run()

    @Registers.RDT.written
    def _receive_tail(self, value: int) -> None:
        self.receive.tail_written()

    @Registers.RCTL.written
    def _receive_control(self, value: int) -> None:
        self.port.ready()


class E1000_82544gc(E1000):
    """Gigabit Ethernet controller, Intel's 82544GC."""

    ids: ClassVar[PciIds] = PciIds(0x8086, 0x100C, NETWORK_CONTROLLER, 0x02, 0x8086, 0x1107)
    phy_identifier: ClassVar[int] = 0x0C30
    default_rom = ""


class E1000_82545em(E1000):
    """Gigabit Ethernet controller, Intel's 82545EM."""

    ids: ClassVar[PciIds] = PciIds(0x8086, 0x100F, NETWORK_CONTROLLER, 0x01, 0x8086, 0x1001)
    default_rom = ""
