"""Intel 82077AA floppy disk controller (datasheet 290166): registers, and the phases of a command.

A command's bytes are collected, then executed (`commands.py`, `transfers.py`), then its result is read.
"""

from __future__ import annotations

from typing import Annotated, Literal

from southbridge.acpi import AcpiTables, eisa_id
from southbridge.acpi.resources import dma, io, irq, resource_template
from southbridge.acpi.terms import device, name
from southbridge.annotations import Within
from southbridge.banks import PortBank
from southbridge.component import Part, State
from southbridge.device import Device
from southbridge.isa_dma import IsaDmaBus
from southbridge.properties import Link, Property
from southbridge.registers import RO, WO, bit, bits

from .bus import FloppyBus
from .commands import COMMANDS, IMPLIED_SEEK, INVALID, Command, find_command
from .drive import FloppyDrive
from .transfers import Transfer

BASE, IRQ, DMA_CHANNEL = 0x3F0, 6, 2
RQM, DIO, NON_DMA, COMMAND_BUSY = 0x80, 0x40, 0x20, 0x10
LONGEST = max(command.length for command in COMMANDS)
POLLED = 0xC0
"""ST0 after a reset: the drive's readiness changed."""

NO_FIFO, NO_POLLING = 0x20, 0x10
"""CONFIGURE's EFIFO and POLL."""
Byte = Annotated[int, Within(0, 0xFF)]
Phase = Literal["command", "execution", "result"]


class Fdc(Device):
    """The controller, at 3F0h, with IRQ 6 and DMA channel 2. Provides the bus `floppy-bus.0`."""

    isa_dma: IsaDmaBus = Link("buses", "isa-dma.0", doc="The DMA controller's channels.")
    check_media_rate: bool = Property(True, doc="A disk can be read at its own data rate only.")

    ports = PortBank(6, doc="At 3F0h.")
    STATUS_A = ports.register(0, reset=0xFF, access=RO, doc="SRA: of PS/2 machines; not driven on a PC AT.")
    STATUS_B = ports.register(1, reset=0xFF, access=RO, doc="SRB: likewise.")
    DOR = ports.register(
        2,
        reset=0x0C,
        fields={
            "DRIVE_SEL": bits(0, 1),
            "RESET": bit(2, doc="RESET#: the controller works."),
            "DMAGATE": bit(3, doc="DMA and the interrupt are let through."),
            "MOTORS": bits(4, 7),
        },
        doc="Digital output. After a reset as firmware leaves it, and QEMU has it.",
    )
    TDR = ports.register(3, fields={"TAPE_SEL": bits(0, 1)}, doc="Tape drive register; stored.")
    MSR = ports.register(4, access=RO, doc="Main status: RQM, DIO, NON DMA, CMD BUSY, DRV BUSY.")
    DSR = ports.register(
        4,
        reset=0x02,
        access=WO,
        fields={"DRATE_SEL": bits(0, 1, WO), "PRECOMP": bits(2, 4, WO), "POWER_DOWN": bit(6, WO), "RESET": bit(7, WO)},
        doc="Data rate select.",
    )
    FIFO = ports.register(5, doc="Command bytes, data, results.")

    last_port = PortBank(1, doc="At 3F7h.")
    DIR = last_port.register(0, access=RO, doc="Digital input: bit 7, DSKCHG of the selected drive.")
    CCR = last_port.register(0, access=WO, fields={"DRATE_SEL": bits(0, 1, WO)}, doc="Configuration control.")

    phase: Phase = State("command", doc="What it expects of the host.")
    command: bytes = State(b"", max_length=LONGEST, doc="Bytes of a command.")
    result: bytes = State(b"", max_length=10, doc="What is left of a result.")
    interrupting: bool = State(False, doc="INT.")
    pending: list[Byte] = State([], max_length=4, doc="ST0 of seeks and resets, which SENSE INTERRUPT STATUS gives.")
    rate: int = State(2, ge=0, le=3, doc="DRATE SEL, which two registers set.")
    cylinders: list[Byte] = State([0] * 4, min_length=4, max_length=4, doc="PCN: where the heads are held to be.")
    timing: bytes = State(bytes(2), keep=True, min_length=2, max_length=2, doc="SPECIFY's bytes.")
    configuration: bytes = State(b"\x20\x00", keep=True, min_length=2, max_length=2, doc="CONFIGURE's last two.")
    lock: bool = State(False, doc="A software reset leaves `configuration` alone.")
    perpendicular: int = State(0, ge=0, le=0xFF)
    last_sector: int = State(0, ge=0, le=0xFF, doc="SC or EOT of the last command.")
    transfer: Transfer = Part(Transfer)

    def realize(self) -> None:
        """Claims ports, interrupt and DMA channel; offers its cable."""
        self.bus = FloppyBus()
        self.machine.add_bus("floppy-bus.0", self.bus)
        self.claim_ports(self.ports, BASE)
        self.claim_ports(self.last_port, BASE + 7)
        self.interrupt = self.claim_irq(IRQ)
        self.isa_dma.attach(DMA_CHANNEL, self.transfer, self.id)

    def unrealize(self) -> None:
        """Leaves the DMA channel."""
        self.isa_dma.detach(DMA_CHANNEL, self.transfer)
        super().unrealize()

    def broke(self) -> None:
        """Its DMA channel is free."""
        self.isa_dma.detach(DMA_CHANNEL, self.transfer)

    def acpi(self, tables: AcpiTables) -> None:
        """Where it is."""
        resources = [io(BASE + 2, 4), io(BASE + 7, 1), irq(IRQ), dma(DMA_CHANNEL)]
        tables.isa(device("FDC0", name("_HID", eisa_id("PNP0700")), name("_CRS", resource_template(*resources))))

    def reset(self) -> None:
        """RESET, the pin."""
        self.transfer.drop()
        super().reset()
        self.configuration = b"\x20\x00"
        self._drive_lines()

    def loaded(self) -> None:
        """Goes on where the saved one was."""
        lost = self.phase == "execution" and not self.transfer.resume()
        if lost or (self.phase == "result" and not self.result):
            self.phase, self.command = "command", b""
        self._drive_lines()

    def drive(self, unit: int) -> FloppyDrive | None:
        """The drive of that number, if there is one."""
        return self.bus.drives[unit & 3]

    # --- registers -----------------------------------------------------------------------------------------------

    @MSR.read
    def read_status(self) -> int:
        """Whose turn it is."""
        if not self.DOR.RESET:
            return 0
        if self.phase == "execution":
            return COMMAND_BUSY | self.transfer.status()
        if self.phase == "result":
            return RQM | DIO | COMMAND_BUSY
        return RQM | (COMMAND_BUSY if self.command else 0)

    @DIR.read
    def read_input(self) -> int:
        """DSKCHG; what isn't driven reads as zeros, as with QEMU."""
        selected = self.drive(self.DOR.DRIVE_SEL)
        return 0x80 if selected is not None and selected.disk_changed else 0

    @CCR.written
    def write_control(self, value: int) -> None:
        """The data rate."""
        self.rate = value & 3

    @DSR.written
    def write_rate(self, value: int) -> None:
        """The data rate, and a reset that ends by itself."""
        self.rate = value & 3
        if self.DSR.RESET:
            self.DSR.RESET = 0
            self._software_reset()

    @DOR.write
    def write_output(self, value: int) -> None:
        """RESET# holds the controller; when it lets go, drives are polled."""
        ran = self.DOR.RESET
        self.DOR.value = value
        if ran and not self.DOR.RESET:
            self._stop()
        elif self.DOR.RESET and not ran:
            self._software_reset()
        self._drive_lines()

    def _stop(self) -> None:
        self.transfer.drop()
        self.phase, self.command, self.result = "command", b"", b""
        self.interrupting, self.pending = False, []

    def _software_reset(self) -> None:
        self._stop()
        self.cylinders = [0] * 4
        self.perpendicular &= 0x3C
        if self.lock:
            self.configuration = bytes([self.configuration[0] & ~NO_POLLING, self.configuration[1]])
        else:
            self.configuration = bytes([NO_FIFO | self.configuration[0] & IMPLIED_SEEK, 0])
        self.pending = [POLLED | unit for unit in range(4)]
        self.raise_interrupt()

    # --- the FIFO ------------------------------------------------------------------------------------------------

    @FIFO.read
    def read_fifo(self) -> int:
        """A byte of data, or of the result."""
        if self.phase == "execution":
            return self.transfer.read_byte()
        if self.phase != "result":
            self.guest_error("FIFO read, with nothing in it")
            return 0
        self.lower_interrupt()
        value, self.result = self.result[0], self.result[1:]
        if not self.result:
            self.phase = "command"
        return value

    @FIFO.write
    def write_fifo(self, value: int) -> None:
        """A byte of a command, or of data. While a result waits nothing is taken."""
        if not self.DOR.RESET:
            self.guest_error("FIFO written while the controller is reset")
        elif self.phase == "execution":
            self.transfer.write_byte(value)
        elif self.phase == "result":
            self.guest_error("FIFO written while a result waits")
        else:
            self.command += bytes([value])
            found = find_command(self.command[0])
            if found is None or len(self.command) >= found.length:
                command, self.command = self.command, b""
                self._execute(found, command)

    def _execute(self, found: Command | None, command: bytes) -> None:
        if found is None:
            self.guest_error(f"command {command[0]:#04x}")
            self.finish(bytes([INVALID]))
        else:
            found.run(self, command)

    def finish(self, result: bytes) -> None:
        """The command is done; `result`, if there is any, waits to be read."""
        self.result = result
        self.phase = "result" if result else "command"

    # --- lines ---------------------------------------------------------------------------------------------------

    def raise_interrupt(self) -> None:
        """INT goes high."""
        self.interrupting = True
        self._drive_lines()

    def lower_interrupt(self) -> None:
        """INT goes low."""
        self.interrupting = False
        self._drive_lines()

    def _drive_lines(self) -> None:
        self.interrupt.set(self.interrupting and bool(self.DOR.DMAGATE))
