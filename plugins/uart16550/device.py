"""National Semiconductor PC16550D UART with FIFOs (datasheet of June 1995, sections 8.0 to 8.7), as a PC wires it.

Bytes leave when the guest writes them, not at the line's speed: the transmitter is busy only while the back end has no
room. The line's speed counts for the character timeout alone.
"""

from __future__ import annotations

from typing import Annotated

from southbridge.acpi import AcpiTables, eisa_id
from southbridge.acpi.resources import io, irq, resource_template
from southbridge.acpi.terms import device, name
from southbridge.annotations import Within
from southbridge.banks import PortBank
from southbridge.chardev import CharBackend
from southbridge.clock import SECOND
from southbridge.component import State, timer
from southbridge.device import Device
from southbridge.properties import Link, Property
from southbridge.registers import RO, WO, bit, bits

FIFO_SIZE = 16
TRIGGER_LEVELS = (1, 4, 8, 14)

# What IIR says, most urgent first.
NO_INTERRUPT = 0x01
LINE_STATUS = 0x06
CHARACTER_TIMEOUT = 0x0C
DATA_AVAILABLE = 0x04
TRANSMITTER_EMPTY = 0x02
MODEM_STATUS = 0x00
FIFOS_ENABLED = 0xC0

# LSR
OE, BI = 0x02, 0x10
CHARACTER_ERRORS = 0x1C
LINE_ERRORS = 0x1E
READY = 0x60

# MSR
TERI = 0x04
CTS, DSR, RI, DCD = 0x10, 0x20, 0x40, 0x80

BYTES = [bytes([value]) for value in range(256)]


class Uart16550(Device):
    """One serial port."""

    iobase: int = Property(0x3F8, ge=0, le=0xFFF8, multiple_of=8, doc="First of eight ports.")
    irq: int = Property(4, ge=0, le=15, doc="ISA interrupt line.")
    chardev: CharBackend | None = Link("chardevs", None, doc="What is at the other end of the line.")
    baudbase: int = Property(115200, ge=1, doc="Baud rate for a divisor of 1: the crystal's frequency over 16.")

    ports = PortBank(8)
    DLL = ports.register(0, reset=0x0C, when=lambda uart: uart.LCR.value & 0x80, doc="Divisor latch, low.")
    DLM = ports.register(1, when=lambda uart: uart.LCR.value & 0x80, doc="Divisor latch, high.")
    RBR = ports.register(0, access=RO, doc="Receiver buffer.")
    THR = ports.register(0, access=WO, doc="Transmitter holding.")
    IER = ports.register(
        1,
        fields={
            "ERBFI": bit(0, doc="Data available."),
            "ETBEI": bit(1, doc="Transmitter empty."),
            "ELSI": bit(2, doc="Line status."),
            "EDSSI": bit(3, doc="Modem status."),
        },
        doc="Interrupt enable.",
    )
    IIR = ports.register(2, access=RO, doc="Interrupt identification.")
    FCR = ports.register(
        2,
        fields={
            "ENABLE": bit(0),
            "RESET_RECEIVER": bit(1),
            "RESET_TRANSMITTER": bit(2),
            "DMA_MODE": bit(3),
            "TRIGGER": bits(6, 7, doc="1, 4, 8 or 14 bytes."),
        },
        access=WO,
        doc="FIFO control.",
    )
    LCR = ports.register(
        3,
        fields={
            "WLS": bits(0, 1, doc="Word length less 5."),
            "STB": bit(2, doc="Two stop bits."),
            "PEN": bit(3, doc="Parity."),
            "EPS": bit(4, doc="Even parity."),
            "STICK": bit(5),
            "BREAK": bit(6),
            "DLAB": bit(7, doc="Divisor latch access."),
        },
        doc="Line control.",
    )
    MCR = ports.register(
        4,
        fields={
            "DTR": bit(0),
            "RTS": bit(1),
            "OUT1": bit(2),
            "OUT2": bit(3, doc="On a PC: lets the interrupt out."),
            "LOOP": bit(4),
        },
        doc="Modem control.",
    )
    LSR = ports.register(
        5,
        reset=READY,
        access=RO,
        fields={
            "DR": bit(0, doc="Data ready."),
            "OE": bit(1, doc="Overrun."),
            "PE": bit(2, doc="Parity."),
            "FE": bit(3, doc="Framing."),
            "BI": bit(4, doc="Break."),
            "THRE": bit(5, doc="Transmitter holding register empty."),
            "TEMT": bit(6, doc="Transmitter empty."),
            "FIFO_ERROR": bit(7),
        },
        doc="Line status.",
    )
    MSR = ports.register(
        6,
        access=RO,
        fields={
            "DCTS": bit(0),
            "DDSR": bit(1),
            "TERI": bit(2),
            "DDCD": bit(3),
            "CTS": bit(4),
            "DSR": bit(5),
            "RI": bit(6),
            "DCD": bit(7),
        },
        doc="Modem status.",
    )
    SCR = ports.register(7, reset=None, doc="Scratch.")

    received: list[Annotated[int, Within(0, 0x1CFF)]] = State(
        [], max_length=FIFO_SIZE, doc="Received, not yet read; with LSR's bits of each from bit 8 on."
    )
    sending: bytes = State(b"", max_length=FIFO_SIZE, doc="What the back end had no room for.")
    timed_out: bool = State(False, doc="Data waits, and nothing came or was read for four characters' time.")
    emptied: bool = State(False, doc="The transmitter has become empty, and IIR hasn't told yet.")

    def realize(self) -> None:
        """Claims ports and line, and the back end. Raises RealizeError, or SouthbridgeError if that is in use."""
        self._connected = False
        self.claim_ports(self.ports, self.iobase)
        self.interrupt = self.claim_irq(self.irq)
        if self.chardev is not None:
            self.chardev.attach(self)

    def unrealize(self) -> None:
        """Lets go of the back end."""
        if self.chardev is not None and self.chardev.frontend is self:
            self.chardev.frontend = None
        super().unrealize()

    def acpi(self, tables: AcpiTables) -> None:
        """A COM port."""
        where = tables.unique("COM")
        resources = [io(self.iobase, 8), irq(self.irq)]
        tables.isa(
            device(
                where,
                name("_HID", eisa_id("PNP0501")),
                name("_UID", int(where.removeprefix("COM"))),
                name("_CRS", resource_template(*resources)),
            )
        )

    def reset(self) -> None:
        """Master reset."""
        super().reset()
        self.MSR.value = self._modem_lines()
        self._update()
        self._accept_input()

    def loaded(self) -> None:
        """What follows from the queues is made to; bytes that waited are sent."""
        if not self.FCR.ENABLE:
            del self.received[1:]
            self.sending = self.sending[:1]
        self.LSR.value = self.LSR.value & LINE_ERRORS | (0 if self.sending else READY)
        self._show_first()
        self._modem_changed()
        self.chardev_writable()
        self._update()
        self._accept_input()

    # --- interrupts ----------------------------------------------------------------------------------------------

    def _source(self) -> int:
        """The most urgent of the enabled interrupts, as IIR says it."""
        enabled = self.IER.value
        if enabled & 4 and self.LSR.value & LINE_ERRORS:
            return LINE_STATUS
        if enabled & 1:
            if self.timed_out:
                return CHARACTER_TIMEOUT
            if len(self.received) >= self._trigger_level():
                return DATA_AVAILABLE
        if enabled & 2 and self.emptied:
            return TRANSMITTER_EMPTY
        if enabled & 8 and self.MSR.value & 0x0F:
            return MODEM_STATUS
        return NO_INTERRUPT

    def _trigger_level(self) -> int:
        return TRIGGER_LEVELS[self.FCR.TRIGGER] if self.FCR.ENABLE else 1

    def _update(self) -> None:
        """The interrupt line follows; OUT2 gates it, and is off in loopback."""
        gate = self.MCR.value & 0x18 == 0x08
        self.interrupt.set(gate and self.IER.value != 0 and self._source() != NO_INTERRUPT)

    @IER.write
    def _ier_written(self, value: int) -> None:
        if value & ~self.IER.value & 2 and self.LSR.THRE:
            self.emptied = True
        self.IER.value = value & 0x0F
        self._update()

    @IIR.read
    def _iir_read(self) -> int:
        source = self._source()
        if source == TRANSMITTER_EMPTY:
            self.emptied = False
            self._update()
        return source | (FIFOS_ENABLED if self.FCR.ENABLE else 0)

    # --- transmitter ---------------------------------------------------------------------------------------------

    @THR.write
    def _transmit(self, value: int) -> None:
        if self.emptied and self.IER.value & 2:
            self.emptied = False
            self._update()
        if self.sending:
            self._queue(value)
        elif self.MCR.value & 0x10:
            self._received(value & 0xFF >> 3 - self.LCR.WLS)
            self._sent()
        elif self.chardev is None or self.chardev.write(BYTES[value]):
            self.emptied = True
            if self.IER.value & 2:
                self._update()
        else:
            self.sending = BYTES[value]
            self.emptied = False
            self.LSR.value &= ~READY

    def _queue(self, value: int) -> None:
        if not self.FCR.ENABLE:
            self.guest_error(f"{value:#x} written to THR, which isn't empty")
            self.sending = BYTES[value]
        elif len(self.sending) < FIFO_SIZE:
            self.sending += BYTES[value]
        else:
            self.guest_error(f"{value:#x} written to a full transmit FIFO")

    def _sent(self) -> None:
        """The transmitter is empty."""
        self.LSR.value |= READY
        self.emptied = True
        if self.IER.value & 2:
            self._update()

    def chardev_writable(self) -> None:
        """There is room for what waits."""
        if self.sending and self.chardev is not None:
            self.sending = self.sending[self.chardev.write(self.sending) :]
            if not self.sending:
                self._sent()

    # --- receiver ------------------------------------------------------------------------------------------------

    def can_receive(self) -> int:
        """How many bytes there is room for."""
        if self.MCR.LOOP:
            return 0
        return (FIFO_SIZE if self.FCR.ENABLE else 1) - len(self.received)

    def receive(self, data: bytes) -> None:
        """Takes bytes from the line."""
        for value in data:
            self._received(value)

    def _received(self, value: int, errors: int = 0) -> None:
        """A character arrived, with its bits of LSR."""
        room = FIFO_SIZE if self.FCR.ENABLE else 1
        if len(self.received) < room:
            self.received.append(value | errors << 8)
        else:
            self.LSR.value |= OE
            if room == 1:
                self.received[0] = value | errors << 8
        self._show_first()
        self._wait_for_timeout()
        self._update()

    def _show_first(self) -> None:
        """LSR speaks of the character that is read next."""
        status = self.LSR.value & ~0x81
        if self.received:
            status |= 1 | self.received[0] >> 8
            self.received[0] &= 0xFF
        if self.FCR.ENABLE and (status & CHARACTER_ERRORS or any(entry > 0xFF for entry in self.received)):
            status |= 0x80
        self.LSR.value = status

    @RBR.read
    def _rbr_read(self) -> int:
        if not self.received:
            return self.RBR.value
        self.RBR.value = self.received.pop(0)
        self.timed_out = False
        self._show_first()
        self._wait_for_timeout()
        self._update()
        self._accept_input()
        return self.RBR.value

    def _accept_input(self) -> None:
        if self.chardev is not None:
            self.chardev.accept_input()

    @LSR.read
    def _lsr_read(self) -> int:
        value = self.LSR.value
        if value & LINE_ERRORS:
            self.LSR.value = value & ~LINE_ERRORS
            self._show_first()
            self._update()
        return value

    def _wait_for_timeout(self) -> None:
        if self.FCR.ENABLE and self.received:
            self._timeout.after(ns=4 * self._character_time())
        else:
            self.timed_out = False
            self._timeout.cancel()

    @timer
    def _timeout(self) -> None:
        self.timed_out = True
        self._update()

    def _character_time(self) -> int:
        """Nanoseconds that a character takes on the line: start bit, data, parity and stop bits."""
        line = self.LCR
        halves = 2 * (1 + 5 + line.WLS + line.PEN) + ((4 if line.WLS else 3) if line.STB else 2)
        divisor = self.DLM.value << 8 | self.DLL.value or 1
        return halves * divisor * SECOND // (2 * self.baudbase)

    # --- control -------------------------------------------------------------------------------------------------

    @FCR.write
    def _fcr_written(self, value: int) -> None:
        toggled = (value ^ self.FCR.value) & 1
        clear_receiver = toggled or value & 3 == 3
        clear_transmitter = toggled or value & 5 == 5
        self.FCR.value = value & 0xC9 if value & 1 else 0
        if clear_receiver:
            self.received.clear()
            self._wait_for_timeout()
            self._show_first()
            self._accept_input()
        if clear_transmitter and self.sending:
            self.sending = b""
            self._sent()
        self._update()

    @LCR.written
    def _lcr_written(self, value: int) -> None:
        if value & 0x40 and self.MCR.LOOP:
            self._received(0, BI)

    @MCR.written
    def _mcr_written(self, value: int) -> None:
        self._modem_changed()
        self._update()
        if not value & 0x10:
            self._accept_input()

    # --- modem ---------------------------------------------------------------------------------------------------

    def _modem_lines(self) -> int:
        """The inputs: in loopback our own outputs, else a cable to whoever is there."""
        control = self.MCR
        if control.LOOP:
            return CTS * control.RTS | DSR * control.DTR | RI * control.OUT1 | DCD * control.OUT2
        if self.chardev is None:
            return 0
        return CTS | DSR | (DCD if self._connected else 0)

    def _modem_changed(self) -> None:
        before, lines = self.MSR.value & 0xF0, self._modem_lines()
        changes = (before ^ lines) >> 4 & ~TERI
        if before & RI and not lines & RI:
            changes |= TERI
        self.MSR.value = lines | self.MSR.value & 0x0F | changes

    @MSR.read
    def _msr_read(self) -> int:
        value = self.MSR.value
        if value & 0x0F:
            self.MSR.value = value & 0xF0
            self._update()
        return value

    def chardev_event(self, opened: bool) -> None:
        """Somebody is at the other end from now on, or no longer: carrier detect follows."""
        self._connected = opened
        self._modem_changed()
        self._update()
