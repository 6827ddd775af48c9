"""The bus-master function of one IDE channel (82371SB datasheet, sections 2.6 and 3.9).

The guest's table of physical region descriptors says where in memory the drive's data goes to or comes from. Each
descriptor is copied once, when its turn comes; what the guest does to it afterwards has no effect.
"""

from __future__ import annotations

from southbridge.banks import PortBank
from southbridge.component import Component, State
from southbridge.errors import GuestMemoryError
from southbridge.ide import IdeBus
from southbridge.pci import PciDevice
from southbridge.registers import RO, W1C, bit, bits

TABLE_LIMIT = 0x1_0000
"""A table ends where a 64 KiB page of memory does."""
DESCRIPTOR = 8
LAST = 1 << 31


class BusMaster(Component):
    """Moves data between memory and the selected drive while SSBM is set and the drive asks for it."""

    ports = PortBank(8, internal=True)
    BMICX = ports.register(
        0,
        fields={"SSBM": bit(0, doc="Starts and stops."), "RWCON": bit(3, doc="1: from the drive to memory.")},
        doc="Command.",
    )
    BMISX = ports.register(
        2,
        fields={
            "BMIDEA": bit(0, RO, doc="Active."),
            "ERROR": bit(1, W1C, doc="Memory could not be reached."),
            "IDEINTS": bit(2, W1C, doc="The drive's interrupt has risen."),
            "DMA0CAP": bit(5, doc="The firmware's note that device 0 does DMA."),
            "DMA1CAP": bit(6, doc="The same of device 1."),
        },
        doc="Status.",
    )
    BMIDTPX = ports.register(
        4, 4, widths=(1, 2, 4), fields={"ADDRESS": bits(2, 31)}, doc="Address of the descriptor table."
    )

    table: int = State(0, ge=0, le=0xFFFF_0000, multiple_of=TABLE_LIMIT, doc="The table's 64 KiB page.")
    next: int = State(0, ge=0, le=TABLE_LIMIT, multiple_of=4, doc="Where in it the next descriptor is.")
    address: int = State(0, ge=0, le=0x1_0000_FFFE, multiple_of=2, doc="What is left of the descriptor in use: where.")
    left: int = State(0, ge=0, le=0x1_0000, multiple_of=2, doc="And how many bytes.")
    last: bool = State(False, doc="It is the table's last.")
    started: bool = State(False, doc="SSBM, as last written.")

    def connect(self, function: PciDevice, cable: IdeBus) -> None:
        """It masters the bus as `function`, for the drives on `cable`."""
        self._function = function
        self._cable = cable

    def interrupt(self) -> None:
        """The drive's interrupt has risen."""
        self.BMISX.IDEINTS = 1

    @BMICX.written
    def _command_written(self, value: int) -> None:
        rising = self.BMICX.SSBM and not self.started
        self.started = bool(self.BMICX.SSBM)
        self.BMISX.BMIDEA &= self.BMICX.SSBM
        if rising:
            self.BMISX.BMIDEA = 1
            pointer = self.BMIDTPX.value
            self.table, self.next = pointer - pointer % TABLE_LIMIT, pointer % TABLE_LIMIT
            self.left, self.last = 0, False
            self.run()

    def run(self) -> None:
        """Moves what can be moved now. Each turn moves at least a word of what the drive has or wants."""
        while self.BMISX.BMIDEA:
            wanted = self._cable.selected.dma_request()
            if not wanted:
                return
            try:
                if (wanted > 0) != bool(self.BMICX.RWCON):
                    raise GuestMemoryError(self.address, "the bus master's direction isn't the drive's")
                if not self.left:
                    self._fetch()
                self._move(min(abs(wanted), self.left), wanted > 0)
            except GuestMemoryError as error:
                self.guest_error(f"bus master stopped: {error}")
                self._function.PCI_STATUS.RECEIVED_MASTER_ABORT = 1
                self.BMISX.ERROR = 1
                self.BMISX.BMIDEA = 0
                return
            if not self.left and self.last:
                self.BMISX.BMIDEA = 0

    def _fetch(self) -> None:
        """Takes the next descriptor: address, then length (0: 64 KiB) and the bit that marks the last."""
        if self.next + DESCRIPTOR > TABLE_LIMIT:
            raise GuestMemoryError(self.table + self.next, "descriptor table without an end")
        entry = self._function.dma.read(self.table + self.next, DESCRIPTOR)
        self.next += DESCRIPTOR
        control = int.from_bytes(entry[4:], "little")
        self.address = int.from_bytes(entry[:4], "little") & ~1
        self.left = control & 0xFFFE or 0x1_0000
        self.last = bool(control & LAST)

    def _move(self, length: int, to_memory: bool) -> None:
        dma = self._function.dma
        drive = self._cable.selected
        if to_memory:
            dma.write(self.address, drive.dma_read(length))
        else:
            with dma.map(self.address, length) as view:
                length = len(view) & ~1
                if not length:
                    raise GuestMemoryError(self.address, "less than a word of memory")
                drive.dma_write(view[:length])
        self.address += length
        self.left -= length
