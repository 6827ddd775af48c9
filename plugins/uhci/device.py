"""PIIX3 function 2: USB host controller (82371SB datasheet 290550, sections 2.4 and 2.8; UHCI Design Guide 1.1).

FRNUM is computed from the clock, and a timer visits the schedule at the end of each frame. A schedule in which nothing
has happened for a while, all its descriptors being inactive or refused for now, is visited less often, until something
does: what a device then has to say, a port or a register tells at once, and what the guest alone does to its schedule
is found a few milliseconds late.
"""

from __future__ import annotations

from typing import ClassVar

from southbridge.clock import MILLISECOND
from southbridge.component import State, timer
from southbridge.errors import GuestMemoryError
from southbridge.pci import CONFIG, IoBar, PciDevice, PciIds
from southbridge.pci.config import STATUS_FIELDS
from southbridge.registers import RO, W1C, Register, bit, bits
from southbridge.usb import Speed, UsbBus, UsbDevice

from .schedule import Frame, ProcessError

PORTS = 2
FRAMES = 1024
"""Entries of the frame list."""
FRNUM_MASK = 0x7FF

QUIET_AFTER = 128
"""Frames without a transaction after which the schedule counts as quiet."""
QUIET_STRIDE = 7
"""Of how many frames a quiet schedule has one visited. An odd number: every entry of the frame list gets its turn."""

PORT_FIELDS = {
    "CCS": bit(0, RO, doc="Current connect status: a device is there."),
    "CSC": bit(1, W1C, doc="Connect status change."),
    "PE": bit(2, doc="Port enabled."),
    "PEDC": bit(3, W1C, doc="Port enable/disable change, by the hardware."),
    "LS": bits(4, 5, RO, doc="Line status: D+, D-."),
    "RD": bit(6, doc="Resume detect: resume signalling, driven or detected."),
    "ONE": bit(7, RO, doc="Always 1."),
    "LSDA": bit(8, RO, doc="Low-speed device attached."),
    "PR": bit(9, doc="Port reset: reset signalling, driven."),
    "SUSP": bit(12, doc="Suspend."),
}
D_PLUS, D_MINUS = 1, 2


class Uhci(PciDevice):
    """USB host controller with a root hub of two ports; provides the bus "usb.0"."""

    ids: ClassVar[PciIds] = PciIds(0x8086, 0x7020, class_code=0x0C0300, revision=0x01)
    interrupt_pin: ClassVar[str | None] = "INTD"
    hotpluggable: ClassVar[bool] = False

    PCI_COMMAND = CONFIG.register(
        0x04,
        2,
        fields={
            "IO": bit(0, doc="IOSE: decodes USBBA."),
            "MEMORY": bit(1, RO),
            "MASTER": bit(2, doc="BME: masters the bus."),
            "INTX_DISABLE": bit(10, RO),
        },
    )
    PCI_STATUS = CONFIG.register(0x06, 2, reset=0x0280, fields=STATUS_FIELDS)
    PCI_CACHE_LINE_SIZE = CONFIG.register(0x0C, 1, access=RO)
    PCI_LATENCY_TIMER = CONFIG.register(0x0D, 1, fields={"COUNT": bits(4, 7)}, doc="MLT: master latency timer.")
    SBRNUM = CONFIG.register(0x60, 1, reset=0x10, access=RO, doc="Serial bus release number: 1.0.")
    LEGSUP = CONFIG.register(
        0xC0,
        2,
        reset=0x2000,
        fields={
            "TRAPS_ENABLE": bits(0, 5, doc="Traps of ports 60h and 64h, and SMIs; stored."),
            "PASS_THROUGH": bit(6, RO),
            "PASS_THROUGH_END": bit(7, doc="Stored."),
            "TRAPPED": bits(8, 11, W1C),
            "IRQ": bit(12, RO, doc="USBIRQS: it asks for an interrupt."),
            "IRQ_ENABLE": bit(13, doc="USBPIRQDEN: the interrupt reaches PIRQD#."),
            "PASSED": bit(15, W1C),
        },
        doc="Legacy support: without system management mode only the interrupt's gate does something.",
    )

    bar4 = IoBar(32, doc="USBBA: the UHCI registers.")
    USBCMD = bar4.register(
        0x00,
        2,
        widths=(1, 2),
        fields={
            "RS": bit(0, doc="Run/stop."),
            "HCRESET": bit(1, doc="Host controller reset."),
            "GRESET": bit(2, doc="Global reset: reset signalling on both ports."),
            "EGSM": bit(3, doc="Enter global suspend mode."),
            "FGR": bit(4, doc="Force global resume."),
            "SWDBG": bit(5, doc="Software debug: stops after a transaction."),
            "CF": bit(6, doc="Configure flag; for software."),
            "MAXP": bit(7, doc="Bandwidth reclamation takes packets of 64 bytes; stored."),
        },
        doc="USB command.",
    )
    USBSTS = bar4.register(
        0x02,
        2,
        widths=(1, 2),
        reset=0x0020,
        fields={
            "USBINT": bit(0, W1C, doc="A descriptor with IOC is done with, or a short packet came."),
            "ERROR": bit(1, W1C, doc="USB error interrupt."),
            "RD": bit(2, W1C, doc="Resume detected, in global suspend mode."),
            "HSE": bit(3, W1C, doc="Host system error: memory could not be reached."),
            "HCPE": bit(4, W1C, doc="Host controller process error: the schedule makes no sense."),
            "HALTED": bit(5, W1C, doc="HCHalted."),
        },
        doc="USB status.",
    )
    USBINTR = bar4.register(
        0x04,
        2,
        widths=(1, 2),
        fields={
            "TIMEOUT": bit(0, doc="For USB errors."),
            "RESUME": bit(1),
            "IOC": bit(2),
            "SHORT": bit(3, doc="For short packets."),
        },
        doc="USB interrupt enable.",
    )
    FRNUM = bar4.register(
        0x06, 2, widths=(1, 2), fields={"NUMBER": bits(0, 10)}, doc="Frame number; written while halted."
    )
    FRBASEADD = bar4.register(0x08, 4, widths=(1, 2, 4), fields={"BASE": bits(12, 31)}, doc="Frame list base address.")
    SOFMOD = bar4.register(0x0C, 1, reset=0x40, fields={"TIMING": bits(0, 6)}, doc="Start of frame modify; stored.")
    PORTSC1 = bar4.register(0x10, 2, reset=0x0080, widths=(1, 2), fields=PORT_FIELDS, doc="Port 1 status and control.")
    PORTSC2 = bar4.register(0x12, 2, reset=0x0080, widths=(1, 2), fields=PORT_FIELDS, doc="Port 2 status and control.")

    frame_base: int = State(0, ge=0, le=FRNUM_MASK, doc="The frame that began at `frame_start`, while it runs.")
    frame_start: int = State(0, ge=0, le=1 << 62, doc="In the clock's nanoseconds.")
    quiet: int = State(0, ge=0, le=QUIET_AFTER, doc="Frames without a transaction, up to now.")
    completed: bool = State(False, doc="USBINT is set for IOC.")
    short: bool = State(False, doc="USBINT is set for a short packet.")

    # --- life ----------------------------------------------------------------------------------------------------

    def realize(self) -> None:
        """Offers its ports."""
        super().realize()
        path = f"/pci@i0cf8/usb@{self.slot:x}" + (f",{self.function:x}" if self.function else "")
        self.usb = UsbBus("usb.0", PORTS, self, path)
        self.machine.add_bus(self.usb.name, self.usb)

    def reset(self) -> None:
        """Stops; finds what is in its ports anew."""
        super().reset()
        self._sense_ports()

    def loaded(self) -> None:
        """The ports show who is there; frames go on."""
        super().loaded()
        self._sense_ports()
        if self.running and not self._frame.pending:
            self._visit_after(1)

    def _sense_ports(self) -> None:
        for port, device in enumerate(self.usb.ports):
            self._connect(port, device)

    @property
    def _ports(self) -> tuple[Register, Register]:
        return self.PORTSC1, self.PORTSC2

    # --- commands ------------------------------------------------------------------------------------------------

    @USBCMD.write
    def _usb_command_written(self, value: int) -> None:
        ran, frame, resetting = self.running, self._frame_number(), self.USBCMD.GRESET
        self.USBCMD.guest_store(value)
        if self.USBCMD.HCRESET:
            self._host_reset()
        elif self.USBCMD.GRESET and not resetting:
            for device in self.usb.ports:
                if device is not None:
                    device.bus_reset()
            self._host_reset()
            self.USBCMD.GRESET = 1
        else:
            self.USBSTS.HALTED = not self.USBCMD.RS
            self._run_or_stop(ran, frame)

    def _host_reset(self) -> None:
        """HCRESET: registers to their reset values; PCI configuration stays. Nothing is signalled to devices."""
        for register in (self.USBCMD, self.USBSTS, self.USBINTR, self.FRNUM, self.FRBASEADD, self.SOFMOD, *self._ports):
            register.value = register.spec.reset or 0
        self.completed = self.short = False
        self.quiet = 0
        self._frame.cancel()
        self._sense_ports()
        self._update_interrupt()

    # --- frames --------------------------------------------------------------------------------------------------

    @property
    def running(self) -> bool:
        """Frames go by."""
        return bool(self.USBCMD.RS and not self.USBCMD.EGSM)

    def _frame_now(self) -> int:
        """Frames since `frame_start`."""
        return max(0, self.machine.clock.now() - self.frame_start) // MILLISECOND

    def _run_or_stop(self, ran: bool, frame: int) -> None:
        """Frames begin to go by, or no longer do; `ran`: they did before, and the last one was `frame`."""
        if ran and not self.running:
            self.FRNUM.NUMBER = frame
            self._frame.cancel()
        elif self.running and not ran:
            self.frame_base, self.frame_start = self.FRNUM.NUMBER, self.machine.clock.now()
            self._busy()

    def _busy(self) -> None:
        """The schedule is visited at the end of this frame, and of those that follow."""
        self.quiet = 0
        if self.running:
            self._visit_after(1)

    def _visit_after(self, frames: int) -> None:
        self._frame.at(self.frame_start + (self._frame_now() + frames) * MILLISECOND)

    @timer
    def _frame(self) -> None:
        """A frame ends: what was to happen in it has."""
        if not self.running:
            return
        now = self._frame_now()
        # The count begins anew now and then, so that it doesn't become large.
        self.frame_base = self.frame_base + now & FRNUM_MASK
        self.frame_start += now * MILLISECOND
        self._visit_after(QUIET_STRIDE if self.quiet >= QUIET_AFTER else 1)
        if self.dma.enabled:
            self._carry_out(self.frame_base - 1 & FRAMES - 1)

    def _carry_out(self, number: int) -> None:
        """The transactions of entry `number` of the frame list."""
        frame = Frame(self.dma, self._find, single=bool(self.USBCMD.SWDBG))
        try:
            entry = self.dma.read(self.FRBASEADD.value + 4 * number, 4)
            frame.walk(int.from_bytes(entry, "little"))
        except ProcessError as error:
            self.guest_error(f"host controller process error: {error}")
            self._halt()
            self.USBSTS.HCPE = 1
        except GuestMemoryError:  # the guest error has been noted
            self.PCI_STATUS.RECEIVED_MASTER_ABORT = 1
            self._halt()
            self.USBSTS.HSE = 1
        for complaint in frame.complaints:
            self.guest_error(complaint)
        if frame.moved or frame.isochronous or frame.completed:
            if self.quiet >= QUIET_AFTER and self.running:
                self._visit_after(1)
            self.quiet = 0
        else:
            self.quiet = min(self.quiet + 1, QUIET_AFTER)
        if frame.moved and self.USBCMD.SWDBG:
            self._halt()
        self.completed |= frame.completed
        self.short |= frame.short
        self.USBSTS.USBINT |= frame.completed or frame.short
        self.USBSTS.ERROR |= frame.failed
        self._update_interrupt()

    def _halt(self) -> None:
        """Stops by itself."""
        ran, frame = self.running, self._frame_number()
        self.USBCMD.RS = 0
        self._run_or_stop(ran, frame)
        self.USBSTS.HALTED = 1

    def _find(self, address: int, speed: Speed) -> UsbDevice | None:
        for port, device in zip(self._ports, self.usb.ports, strict=True):
            reached = port.PE and not port.SUSP and not port.PR
            if device is not None and reached and device.address == address and device.speed is speed:
                return device
        return None

    @FRNUM.read
    def _frame_number(self) -> int:
        if self.running:
            return self.frame_base + self._frame_now() & FRNUM_MASK
        return self.FRNUM.value

    @FRNUM.write
    def _frame_number_written(self, value: int) -> None:
        if self.USBCMD.RS:
            self.guest_error("FRNUM written while the controller runs")
        else:
            self.FRNUM.guest_store(value)

    @FRBASEADD.written
    def _base_written(self, value: int) -> None:
        self._busy()

    # --- interrupts ----------------------------------------------------------------------------------------------

    @USBSTS.written
    def _status_written(self, value: int) -> None:
        if not self.USBSTS.USBINT:
            self.completed = self.short = False
        self._update_interrupt()

    @USBINTR.written
    @LEGSUP.written
    def _enables_written(self, value: int) -> None:
        self._update_interrupt()

    def _update_interrupt(self) -> None:
        status, enabled = self.USBSTS, self.USBINTR
        asked = (
            (self.completed and enabled.IOC)
            or (self.short and enabled.SHORT)
            or (status.ERROR and enabled.TIMEOUT)
            or (status.RD and enabled.RESUME)
            or status.HSE
            or status.HCPE
        )
        self.LEGSUP.IRQ = bool(asked)
        self.interrupt.set(bool(asked and self.LEGSUP.IRQ_ENABLE))

    # --- ports ---------------------------------------------------------------------------------------------------

    @PORTSC1.write
    def _port1_written(self, value: int) -> None:
        self._port_written(0, value)

    @PORTSC2.write
    def _port2_written(self, value: int) -> None:
        self._port_written(1, value)

    def _port_written(self, number: int, value: int) -> None:
        port, device = self._ports[number], self.usb.ports[number]
        before = port.PR
        port.guest_store(value)
        if port.PR or device is None:
            port.PE = 0
        if device is None:
            port.RD = 0
        elif port.PR and not before:
            device.bus_reset()
        self._busy()

    def _connect(self, number: int, device: UsbDevice | None) -> None:
        """The port senses whether a device is there."""
        port = self._ports[number]
        connected = device is not None
        if connected != port.CCS:
            port.CCS, port.CSC = connected, 1
        port.LSDA = device is not None and device.speed is Speed.LOW
        port.LS = 0 if device is None else D_MINUS if port.LSDA else D_PLUS
        if not connected:
            port.PEDC |= port.PE
            port.PE = port.RD = 0

    def port_changed(self, port: int) -> None:
        """See UsbHost; in global suspend mode it counts as a resume."""
        self._connect(port, self.usb.ports[port])
        self._resume()
        self._busy()

    def port_active(self, port: int) -> None:
        """See UsbHost: a suspended device signals resume, if the host lets it."""
        device, register = self.usb.ports[port], self._ports[port]
        if device is not None and device.remote_wakeup and register.PE and (register.SUSP or self.USBCMD.EGSM):
            if register.SUSP:
                register.RD = 1
            self._resume()
        self._busy()

    def _resume(self) -> None:
        if self.USBCMD.EGSM:
            self.USBCMD.FGR = 1
            self.USBSTS.RD = 1
            self._update_interrupt()
