"""System control port A at 92h (IBM PS/2 hardware interface reference; PIIX3 datasheet 290550): fast A20 and reset."""

from __future__ import annotations

from southbridge.banks import PortBank
from southbridge.device import Device
from southbridge.life import ResetReason
from southbridge.registers import bit

PORT = 0x92


class Port92(Device):
    """The port. Address line 20 is open after a reset."""

    ports = PortBank(1)
    CONTROL = ports.register(
        0,
        reset=0x02,
        fields={
            "FAST_INIT": bit(0, doc="Going from 0 to 1 resets."),
            "FAST_A20": bit(1, doc="Opens address line 20."),
        },
        doc="System control port A.",
    )

    def realize(self) -> None:
        """Takes its port."""
        self.claim_ports(self.ports, PORT)

    def reset(self) -> None:
        """Opens address line 20."""
        super().reset()
        self._drive()

    def loaded(self) -> None:
        """Address line 20 is as the register says."""
        self._drive()

    @CONTROL.write
    def control(self, value: int) -> None:
        """Switches address line 20, and resets the machine if FAST_INIT rises."""
        was_set = self.CONTROL.FAST_INIT
        self.CONTROL.guest_store(value)
        self._drive()
        if self.CONTROL.FAST_INIT and not was_set:
            self.machine.request_reset(ResetReason.GUEST)

    def _drive(self) -> None:
        self.machine.a20.set("port92", bool(self.CONTROL.FAST_A20))
