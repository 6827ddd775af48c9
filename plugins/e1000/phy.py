"""The internal PHY, a Marvell 88E1011 (IEEE 802.3, clauses 22, 28 and 40; manual, section 13.4.7 and chapter 8).

At the other end of the cable is a partner that can do everything. What is negotiated follows from what the guest lets
this end advertise.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from southbridge.banks import MmioBank
from southbridge.component import Component, State, timer
from southbridge.registers import RO, bit, bits

if TYPE_CHECKING:
    from .device import E1000

NEGOTIATION_MS = 500
"""How long auto-negotiation takes: the least that IEEE 802.3 allows, about."""
FORCED_MS = 10

SPEEDS = (10, 100, 1000)
_ADVERTISED = ((0x0200, 2, True), (0x0100, 2, False))
_ADVERTISED_BASIC = ((0x0100, 1, True), (0x0080, 1, False), (0x0040, 0, True), (0x0020, 0, False))
"""Bits of GCON and of ANA: speed and duplex, best first."""


def _phy(number: int) -> int:
    return 2 * number


class Phy(Component):
    """Its registers, and the link."""

    device: E1000

    mdio = MmioBank(64, internal=True, doc="The registers behind MDIC, two bytes each.")
    PCTRL = mdio.register(
        _phy(0),
        2,
        reset=0x1140,
        fields={
            "SPEED_MSB": bit(6),
            "COLLISION_TEST": bit(7),
            "DUPLEX": bit(8),
            "RESTART": bit(9, doc="Restarts auto-negotiation; clears itself."),
            "ISOLATE": bit(10),
            "POWER_DOWN": bit(11),
            "AUTO": bit(12, doc="Auto-negotiation enable."),
            "SPEED_LSB": bit(13),
            "LOOPBACK": bit(14),
            "RESET": bit(15, doc="Clears itself."),
        },
        doc="PHY control.",
    )
    PSTATUS = mdio.register(_phy(1), 2, access=RO, doc="PHY status.")
    PID = mdio.register(_phy(2), 2, reset=0x0141, access=RO, doc="Identifier, high: Marvell.")
    EPID = mdio.register(_phy(3), 2, reset=None, access=RO, doc="Identifier, low.")
    ANA = mdio.register(_phy(4), 2, reset=0x0DE1, doc="Auto-negotiation advertisement.")
    LPA = mdio.register(_phy(5), 2, access=RO, doc="Link partner's ability.")
    ANE = mdio.register(_phy(6), 2, access=RO, doc="Auto-negotiation expansion.")
    NPT = mdio.register(_phy(7), 2, reset=0x2001, doc="Next page transmit; stored.")
    LPN = mdio.register(_phy(8), 2, access=RO, doc="Link partner's next page.")
    GCON = mdio.register(_phy(9), 2, reset=0x0300, doc="1000BASE-T control.")
    GSTATUS = mdio.register(_phy(10), 2, access=RO, doc="1000BASE-T status.")
    EXTSTAT = mdio.register(_phy(15), 2, reset=0x3000, access=RO, doc="Extended status: 1000BASE-T, both duplexes.")
    PSCON = mdio.register(_phy(16), 2, reset=0x0068, doc="PHY specific control; stored.")
    PSSTAT = mdio.register(_phy(17), 2, access=RO, doc="PHY specific status.")
    PINTE = mdio.register(_phy(18), 2, doc="PHY interrupt enable; stored.")
    PINTS = mdio.register(_phy(19), 2, access=RO, doc="PHY interrupt status.")
    EPSCON1 = mdio.register(_phy(20), 2, reset=0x0D60, doc="Extended PHY specific control 1; stored.")
    PREC = mdio.register(_phy(21), 2, access=RO, doc="Receive error counter.")
    EPSCON2 = mdio.register(_phy(26), 2, reset=0x000A, doc="Extended PHY specific control 2; stored.")
    R30PS = mdio.register(_phy(29), 2, fields={"PAGE": bits(0, 15)}, doc="Register 30 page select; stored.")
    R30AW = mdio.register(_phy(30), 2, doc="Register 30 access window; stored.")

    link: bool = State(False, doc="It is up.")
    link_was_down: bool = State(True, doc="Since PSTATUS was read.")
    speed: int = State(2, ge=0, le=2, doc="10, 100, 1000 Mb/s.")
    full_duplex: bool = State(True)

    # --- access --------------------------------------------------------------------------------------------------

    def read(self, number: int) -> int:
        """A register's value; of one that isn't there, zeros."""
        return self.mdio.read(_phy(number), 2) if _phy(number) in self._numbers else 0

    def write(self, number: int, value: int) -> None:
        """Writes a register; one that isn't there, or is read-only, keeps its value."""
        if _phy(number) in self._writable:
            self.mdio.write(_phy(number), 2, value)

    @property
    def _numbers(self) -> set[int]:
        return {spec.offset for spec in self.register_specs}

    @property
    def _writable(self) -> set[int]:
        return {spec.offset for spec in self.register_specs if spec.writable}

    @PSTATUS.read
    def _read_status(self) -> int:
        """What it can do, and the link: one that was down since the last look is told as down once."""
        up = self.link and not self.link_was_down
        self.link_was_down = not self.link
        return 0x7949 | up << 2 | self.negotiated << 5

    @LPA.read
    def _read_partner(self) -> int:
        return 0xCDE1 if self.negotiated else 0

    @ANE.read
    def _read_expansion(self) -> int:
        return 0x000F if self.negotiated else 0x0004

    @GSTATUS.read
    def _read_gigabit_status(self) -> int:
        return 0x7C00 if self.negotiated else 0

    @PSSTAT.read
    def _read_specific_status(self) -> int:
        """Speed, duplex, resolved, link in real time, MDI crossover, pauses."""
        return (
            self.speed << 14 | self.full_duplex << 13 | self.link << 11 | self.link << 10 | (0x000C if self.link else 0)
        )

    # --- the link ------------------------------------------------------------------------------------------------

    @property
    def negotiated(self) -> bool:
        """Auto-negotiation has come to an end."""
        return bool(self.link and self.PCTRL.AUTO)

    @property
    def loopback(self) -> bool:
        """What is sent comes back."""
        return bool(self.PCTRL.LOOPBACK)

    @PCTRL.written
    def _control_written(self, value: int) -> None:
        if self.PCTRL.RESET:
            self.reset()
        elif self.PCTRL.RESTART or self.PCTRL.POWER_DOWN or not self.PCTRL.AUTO:
            self.PCTRL.RESTART = 0
            self.restart()

    def reset(self) -> None:
        """Its reset: the registers are as they were at first, and the link is made anew."""
        for spec in self.register_specs:
            if spec.reset is not None:
                vars(self)[spec.name].value = spec.reset
        self.restart()

    def restart(self) -> None:
        """The link goes down, and comes up again after a while if there is a cable."""
        self._set_link(False)
        if self.loopback:
            self.come_up()
        elif self.device.port.link_up and not self.PCTRL.POWER_DOWN:
            self.come_up.after(ms=NEGOTIATION_MS if self.PCTRL.AUTO else FORCED_MS)
        else:
            self.come_up.cancel()

    def cable_changed(self) -> None:
        """The cable's other end came or went."""
        wanted = self.loopback or (self.device.port.link_up and not self.PCTRL.POWER_DOWN)
        if wanted != (self.link or self.come_up.pending):
            self.restart()

    @timer
    def come_up(self) -> None:
        """The other end has answered."""
        self.speed, self.full_duplex = self._agreed()
        self._set_link(True)

    def _agreed(self) -> tuple[int, bool]:
        if not self.PCTRL.AUTO:
            speed = self.PCTRL.SPEED_MSB << 1 | self.PCTRL.SPEED_LSB
            return min(speed, 2), bool(self.PCTRL.DUPLEX)
        for register, choices in ((self.GCON, _ADVERTISED), (self.ANA, _ADVERTISED_BASIC)):
            for mask, speed, full in choices:
                if register.value & mask:
                    return speed, full
        return 0, False

    def _set_link(self, up: bool) -> None:
        if up != self.link:
            self.link = up
            self.link_was_down |= not up
            self.device.link_changed()
