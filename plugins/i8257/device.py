"""The pair of Intel 8237A (231466) of a PC, with its page registers, as in Intel's PIIX3 (290550, section 2.5.1)."""

from __future__ import annotations

from southbridge.acpi import AcpiTables, eisa_id
from southbridge.acpi.resources import dma, io, resource_template
from southbridge.acpi.terms import device, name
from southbridge.banks import PortBank
from southbridge.component import Parts, State
from southbridge.device import Device
from southbridge.errors import GuestMemoryError
from southbridge.isa_dma import CASCADE, CHANNELS, IsaDmaBus

from .channel import FROM_MEMORY, SIZE, TO_MEMORY, Channel
from .controller import Controller

BUS = "isa-dma.0"
PORTS, WIDE_PORTS, PAGES = 0x00, 0xC0, 0x80
PAGE_OF = (0x7, 0x3, 0x1, 0x2, 0xF, 0xB, 0x9, 0xA)
"""Where each channel's page register is, from 80h on."""


class I8257(Device):
    """Two DMA controllers. Provides the bus `isa-dma.0`, with channels 0 to 3 for bytes and 5 to 7 for words."""

    controllers: list[Controller] = Parts(Controller, 2)
    pages: bytes = State(bytes(16), min_length=16, max_length=16, doc="The page registers, and others at their ports.")

    page_ports = PortBank(16, doc="At 80h.")
    PAGE = page_ports.window(0, 16, widths=(1,), doc="Bits 23:16 of a channel's addresses; others only keep a byte.")

    def realize(self) -> None:
        """Claims its ports and offers the channels."""
        self.bus = IsaDmaBus(self)
        self._serving = False
        self.claim_ports(self.controllers[0].ports, PORTS)
        self.claim_ports(self.controllers[1].wide_ports, WIDE_PORTS)
        self.claim_ports(self.page_ports, PAGES)
        self.machine.add_bus(BUS, self.bus)

    def acpi(self, tables: AcpiTables) -> None:
        """The controllers, which use channel 4 themselves."""
        resources = [io(PORTS, 16), io(PAGES + 1, 15), io(WIDE_PORTS, 32), dma(CASCADE)]
        tables.isa(device("DMAC", name("_HID", eisa_id("PNP0200")), name("_CRS", resource_template(*resources))))

    # --- registers -----------------------------------------------------------------------------------------------

    @PAGE.read
    def read_page(self, offset: int, size: int) -> int:
        """A byte."""
        return self.pages[offset]

    @PAGE.write
    def write_page(self, offset: int, size: int, value: int) -> None:
        """A byte."""
        self.pages = self.pages[:offset] + bytes([value]) + self.pages[offset + 1 :]

    # --- transfers -----------------------------------------------------------------------------------------------

    def dma_requested(self, channel: int) -> None:
        """See DmaController."""
        self.serve()

    def serve(self) -> None:
        """Serves every channel whose device asks, until none asks any more or can be served."""
        if self._serving:  # by what a device does meanwhile
            return
        self._serving = True
        try:
            for channel in range(CHANNELS):
                self._serve(channel)
        finally:
            self._serving = False

    def _serve(self, channel: int) -> None:
        controller, number = self.controllers[channel >> 2], channel & 3
        client = self.bus.clients[channel]
        while client is not None and self.bus.requests[channel] and controller.serves(number):
            part = controller.channels[number]
            moved = self._move(channel, part)
            if not moved:
                return
            last = part.advance(moved)
            if last:
                controller.end(number)
            client.dma_moved(last)

    def _move(self, channel: int, part: Channel) -> int:
        """Moves what its device gives or takes at once; how many units that were."""
        client = self.bus.clients[channel]
        assert client is not None
        unit = 1 if channel < CASCADE else 2
        left = (part.count + 1) * unit
        if part.type == FROM_MEMORY:
            data = self._read(self._pieces(channel, part, left), left, part)
            return client.dma_take(data) // unit
        data = client.dma_give(left)
        if part.type == TO_MEMORY:
            self._write(self._pieces(channel, part, len(data)), data, part)
        return len(data) // unit

    def _pieces(self, channel: int, part: Channel, length: int) -> list[tuple[int, int]]:
        """Address and length of the pieces of memory that a transfer of `length` bytes is about, ascending in time.

        A counter that overflows goes on at the start of its page. Going down, each byte is a piece.
        """
        unit = 1 if channel < CASCADE else 2
        page = self.pages[PAGE_OF[channel]] & ~(unit - 1)
        base, start, size = page << 16, part.address * unit, SIZE * unit
        if part.descends:
            return [(base + (start - at) % size, unit) for at in range(0, length, unit)]
        first = min(length, size - start)
        return [piece for piece in ((base + start, first), (base, length - first)) if piece[1]]

    def _read(self, pieces: list[tuple[int, int]], length: int, part: Channel) -> bytes:
        try:
            return b"".join(self.dma.read(address, size) for address, size in pieces)
        except GuestMemoryError:
            return b"\xff" * length  # nobody drives the bus

    def _write(self, pieces: list[tuple[int, int]], data: bytes, part: Channel) -> None:
        at = 0
        for address, size in pieces:
            try:
                self.dma.write(address, data[at : at + size])
            except GuestMemoryError:
                return  # nobody takes it
            at += size
