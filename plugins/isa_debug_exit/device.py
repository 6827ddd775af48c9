"""Debug exit: a port by which a test program ends its machine with a status, as QEMU's isa-debug-exit."""

from __future__ import annotations

from southbridge.device import Device
from southbridge.life import ShutdownReason
from southbridge.memory.regions import Io
from southbridge.properties import Property


class IsaDebugExit(Device):
    """Writing v ends the machine with status 2v + 1: never with 0, which is for a guest that switches itself off."""

    iobase: int = Property(0x501, ge=0, le=0xFFFF, doc="First port.")
    iosize: int = Property(2, ge=1, le=0x10000, doc="How many ports there are.")

    def realize(self) -> None:
        """Takes its ports."""
        region = Io(f"{self.id}.ports", self.iosize, self.read, self.write, widths=(1, 2, 4), owner=self)
        self.claim_ports(region, self.iobase)

    def read(self, offset: int, size: int) -> int:
        """Nothing to read."""
        return 0

    def write(self, offset: int, size: int, value: int) -> None:
        """Ends the machine."""
        self.machine.request_shutdown(ShutdownReason.GUEST_SHUTDOWN, status=value << 1 | 1)
