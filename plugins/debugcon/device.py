"""Debug console: one port for output, as Bochs and QEMU have it. SeaBIOS writes its messages there."""

from __future__ import annotations

from southbridge.banks import PortBank
from southbridge.chardev import CharBackend
from southbridge.device import Device
from southbridge.properties import Link, Property

PRESENT = 0xE9


class Debugcon(Device):
    """What the guest writes goes to a character back end."""

    iobase: int = Property(0x402, ge=0, le=0xFFFF, doc="The port.")
    chardev: CharBackend = Link("chardevs", doc="Where the bytes go.")

    ports = PortBank(1)
    DATA = ports.register(0, doc="Written: a byte of output. Read: E9h, by which a guest finds the port.")

    def realize(self) -> None:
        """Takes its port."""
        self.claim_ports(self.ports, self.iobase)

    @DATA.write
    def output(self, value: int) -> None:
        """A byte of output; it is lost if the back end has no room."""
        self.chardev.write(bytes([value]))

    @DATA.read
    def present(self) -> int:
        """The port is there."""
        return PRESENT
