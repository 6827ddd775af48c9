"""The watchdog timer of iBASE's IB700 single-board computers (their manual, chapter on the watchdog timer)."""

from __future__ import annotations

from southbridge.banks import PortBank
from southbridge.component import timer
from southbridge.device import Device
from southbridge.properties import Property
from southbridge.registers import WO
from southbridge.watchdog import ACTION_DOC, WatchdogAction, watchdog_expired

PORTS = 0x441
LONGEST_S, STEP_S = 30, 2
"""The seconds that 0 stands for, and by how many each further value is shorter."""


class Ib700(Device):
    """A watchdog on two ports."""

    action: WatchdogAction = Property("reset", doc=ACTION_DOC, live=True)

    ports = PortBank(3, doc="At 441h.")
    DISABLE = ports.register(0, access=WO, doc="Any value stops it.")
    ENABLE = ports.register(
        2, access=WO, doc="Starts it anew: bits 3:0 from 0, 30 seconds, to Fh, none, by two seconds."
    )

    def realize(self) -> None:
        """Takes its ports."""
        self.claim_ports(self.ports, PORTS)

    @ENABLE.write
    def start(self, value: int) -> None:
        """The guest pets it."""
        self.run_out.after(s=LONGEST_S - STEP_S * (value & 0xF))

    @DISABLE.write
    def stop(self, value: int) -> None:
        """The guest no longer needs it."""
        self.run_out.cancel()

    @timer
    def run_out(self) -> None:
        """Nobody petted it."""
        watchdog_expired(self, self.action)
