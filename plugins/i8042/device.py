"""The Intel 8042 keyboard controller of the IBM PC/AT and PS/2 (IBM's technical references of both; ports 60h and 64h).

It has one output buffer for what the keyboard, the mouse and the controller itself have to say. Each byte there raises
IRQ 1, or IRQ 12 for a byte from the mouse, until it is read.
"""

from __future__ import annotations

from typing import Annotated

from southbridge.acpi import AcpiTables, eisa_id
from southbridge.acpi.resources import io, irq, resource_template
from southbridge.acpi.terms import device, name
from southbridge.annotations import Within
from southbridge.banks import PortBank
from southbridge.component import Part, State, timer
from southbridge.device import Device
from southbridge.hookspecs import hookimpl
from southbridge.input import SCANCODES, PointerEvent
from southbridge.life import ResetReason
from southbridge.registers import RO, WO

from .keyboard import Keyboard
from .mouse import Mouse
from .ps2 import Byte
from .scancodes import RELEASED, is_key, translated

DATA_PORT, COMMAND_PORT = 0x60, 0x64
KEYBOARD_IRQ, MOUSE_IRQ = 1, 12
A20_SOURCE = "i8042"
WIRE_US = 1000
"""How long a scan code takes on the keyboard's wire once the one before it was read. Until then port 60h gives that one
again, which programs count on that look at a key before the BIOS does."""

# Status
OUTPUT_FULL, FROM_COMMAND, UNLOCKED, FROM_MOUSE = 0x01, 0x08, 0x10, 0x20

# The command byte, which is byte 0 of the controller's RAM
KEYBOARD_INTERRUPT, MOUSE_INTERRUPT, SYSTEM, KEYBOARD_OFF, MOUSE_OFF, TRANSLATE = 0x01, 0x02, 0x04, 0x10, 0x20, 0x40
COMMAND_BYTE_BITS = 0x7F

# The output port
NO_RESET, A20, KEYBOARD_FULL, MOUSE_FULL = 0x01, 0x02, 0x10, 0x20
OUTPUT_PORT_AT_RESET = 0xCF

INPUT_PORT = 0xB0
"""Keyboard not locked; an AT's jumpers in their usual places."""

PASSED = 0x00
SELF_TEST_PASSED = 0x55
NO_PASSWORD = 0xF1


class I8042(Device):
    """Keyboard controller with a keyboard and a mouse on it."""

    absolute = False

    data_port = PortBank(1, doc="60h.")
    command_port = PortBank(1, doc="64h.")
    DATA = data_port.register(0, doc="The output buffer; written: a byte for the keyboard, or a command's argument.")
    STATUS = command_port.register(0, access=RO, doc="Status.")
    COMMAND = command_port.register(0, access=WO, doc="Command.")

    keyboard: Keyboard = Part(Keyboard)
    mouse: Mouse = Part(Mouse)
    ram: list[Byte] = State(
        [KEYBOARD_INTERRUPT | MOUSE_INTERRUPT] + [0] * 31,
        min_length=32,
        max_length=32,
        doc="Byte 0 is the command byte.",
    )
    output: int = State(0, ge=0, le=0xFF, doc="The output buffer.")
    full: bool = State(False, doc="It holds a byte that wasn't read.")
    from_mouse: bool = State(False, doc="The byte in it is the mouse's.")
    scan_code: bool = State(False, doc="The byte in it is a key's.")
    reply: Annotated[int, Within(0, 0x1FF)] | None = State(
        None, doc="The controller's own next byte; with bit 8, as if it came from the mouse."
    )
    command: int = State(0, ge=0, le=0xFF, doc="A command that waits for its argument, or 0.")
    after_command: bool = State(False, doc="The last write was a command.")
    output_port: int = State(OUTPUT_PORT_AT_RESET, ge=0, le=0xFF)
    released: bool = State(False, doc="The translation has seen the prefix of a released key.")

    def realize(self) -> None:
        """Claims ports and lines."""
        self.claim_ports(self.data_port, DATA_PORT)
        self.claim_ports(self.command_port, COMMAND_PORT)
        self.keyboard_irq = self.claim_irq(KEYBOARD_IRQ)
        self.mouse_irq = self.claim_irq(MOUSE_IRQ)
        self.keyboard.notify = self.mouse.notify = self._fill
        self.machine.input.keyboards.append(self)
        self.machine.input.pointers.append(self)

    def unrealize(self) -> None:
        """Takes no more keys."""
        self.machine.input.remove(self)
        super().unrealize()

    def acpi(self, tables: AcpiTables) -> None:
        """Keyboard and mouse are two devices; the keyboard has the ports."""
        keyboard = [io(DATA_PORT, 1), io(COMMAND_PORT, 1), irq(KEYBOARD_IRQ)]
        tables.isa(
            device("KBD", name("_HID", eisa_id("PNP0303")), name("_CRS", resource_template(*keyboard))),
            device("MOU", name("_HID", eisa_id("PNP0F13")), name("_CRS", resource_template(irq(MOUSE_IRQ)))),
        )
        tables.has_keyboard_controller = True

    def reset(self) -> None:
        """Power-on: the buffers are empty, A20 is open."""
        super().reset()
        self._show()
        self._set_a20()

    @hookimpl
    def machine_set_up(self) -> None:
        """Without firmware: scan codes are translated, as operating systems are used to."""
        self.ram[0] |= TRANSLATE | SYSTEM

    def loaded(self) -> None:
        """Lines and A20 follow the restored state."""
        self._show()
        self._set_a20()

    # --- the user's side -----------------------------------------------------------------------------------------

    def key(self, key: int, pressed: bool) -> None:
        """A key of the keyboard goes down or up; see scancodes. Raises ValueError if there is no such key."""
        self.keyboard.press(key, pressed)

    def pointer(self, dx: int = 0, dy: int = 0, dz: int = 0, buttons: int | None = None) -> None:
        """The mouse moves, or its buttons change; see Mouse.move."""
        self.mouse.move(dx, dy, dz, buttons)

    @property
    def takes_input(self) -> bool:
        """See KeyboardSink: a PC's keyboard always does."""
        return True

    def key_event(self, key: str, pressed: bool) -> None:
        """See KeyboardSink; a key that no such keyboard has does nothing."""
        if is_key(SCANCODES[key]):
            self.key(SCANCODES[key], pressed)

    def pointer_event(self, event: PointerEvent) -> None:
        """See PointerSink."""
        self.pointer(event.dx, event.dy, event.dz, event.buttons(self.mouse.buttons))

    # --- the output buffer ---------------------------------------------------------------------------------------

    @property
    def mode(self) -> int:
        """The command byte."""
        return self.ram[0]

    def _fill(self) -> None:
        """Puts the next byte into the output buffer, if that is empty."""
        if self.full:
            return
        if self.reply is not None:
            self._put(self.reply & 0xFF, from_mouse=bool(self.reply >> 8))
            self.reply = None
        elif self.keyboard.ready and not self.mode & KEYBOARD_OFF and not self._wire.pending:
            self._put_from_keyboard()
        elif self.mouse.ready and not self.mode & MOUSE_OFF:
            self._put(self.mouse.read(), from_mouse=True)

    def _put_from_keyboard(self) -> None:
        scan_code = not self.keyboard.replies
        byte = self.keyboard.read()
        if self.mode & TRANSLATE:
            if scan_code and byte == RELEASED:
                self.released = True
                self._fill()
                return
            byte = translated(byte) | (0x80 if scan_code and self.released else 0)
        if scan_code:
            self.released = False
        self._put(byte, scan_code=scan_code)

    @timer
    def _wire(self) -> None:
        self._fill()

    def _put(self, byte: int, *, from_mouse: bool = False, scan_code: bool = False) -> None:
        self.output, self.full, self.from_mouse, self.scan_code = byte, True, from_mouse, scan_code
        self._show()

    def _show(self) -> None:
        """The interrupt lines follow the output buffer."""
        self.keyboard_irq.set(self.full and not self.from_mouse and self.mode & KEYBOARD_INTERRUPT)
        self.mouse_irq.set(self.full and self.from_mouse and self.mode & MOUSE_INTERRUPT)

    @DATA.read
    def _data_read(self) -> int:
        byte = self.output
        if self.full:
            self.full = False
            if self.scan_code:
                self._wire.after(us=WIRE_US)
            self._show()
            self._fill()
        return byte

    @STATUS.read
    def _status_read(self) -> int:
        status = UNLOCKED | self.mode & SYSTEM
        if self.full:
            status |= OUTPUT_FULL | (FROM_MOUSE if self.from_mouse else 0)
        return status | (FROM_COMMAND if self.after_command else 0)

    # --- commands ------------------------------------------------------------------------------------------------

    @COMMAND.write
    def _command_written(self, value: int) -> None:
        self.after_command = True
        self.command = 0
        match value:
            case _ if value < 0x20:
                self.guest_error(f"unknown command {value:#x}")
            case _ if value < 0x40:
                self._answer(self.ram[value & 0x1F])
            case _ if 0x60 <= value < 0x80:
                self.command = value
            case 0xA4:
                self._answer(NO_PASSWORD)
            case 0xA7:
                self._set_mode(self.mode | MOUSE_OFF)
            case 0xA8:
                self._set_mode(self.mode & ~MOUSE_OFF)
            case 0xA9 | 0xAB:
                self._answer(PASSED)
            case 0xAA:
                self._set_mode(self.mode | SYSTEM)
                self._answer(SELF_TEST_PASSED)
            case 0xAD:
                self._set_mode(self.mode | KEYBOARD_OFF)
            case 0xAE:
                self._set_mode(self.mode & ~KEYBOARD_OFF)
            case 0xC0:
                self._answer(INPUT_PORT)
            case 0xD0:
                self._answer(self._output_port_now())
            case 0xD1 | 0xD2 | 0xD3 | 0xD4:
                self.command = value
            case 0xDD:
                self._set_output_port(self.output_port & ~A20)
            case 0xDF:
                self._set_output_port(self.output_port | A20)
            case 0xE0:
                self._answer(int(not self.mode & KEYBOARD_OFF) | int(not self.mode & MOUSE_OFF) << 1)
            case _ if value >= 0xF0:
                self._pulse(value & 0x0F)
            case _:
                self.guest_error(f"unknown command {value:#x}")

    @DATA.write
    def _data_written(self, value: int) -> None:
        self.after_command = False
        command, self.command = self.command, 0
        match command:
            case 0:
                self._set_mode(self.mode & ~KEYBOARD_OFF)
                self._wire.cancel()
                self.keyboard.write(value)
            case 0x60:
                self._set_mode(value & COMMAND_BYTE_BITS)
            case 0xD1:
                self._set_output_port(value)
            case 0xD2:
                self._answer(value)
            case 0xD3:
                self._answer(value | 0x100)
            case 0xD4:
                self._set_mode(self.mode & ~MOUSE_OFF)
                self.mouse.write(value)
            case _:
                self.ram[command & 0x1F] = value

    def _answer(self, reply: int) -> None:
        """The controller says something; what it hadn't got rid of before is lost."""
        self.reply = reply
        self._fill()

    def _set_mode(self, value: int) -> None:
        self.ram[0] = value
        self._show()
        self._fill()

    # --- the output port -----------------------------------------------------------------------------------------

    def _output_port_now(self) -> int:
        """The port's pins: two of them are the interrupts."""
        pins = self.output_port & ~(KEYBOARD_FULL | MOUSE_FULL)
        if self.full:
            pins |= MOUSE_FULL if self.from_mouse else KEYBOARD_FULL
        return pins

    def _set_output_port(self, value: int) -> None:
        self.output_port = value
        self._set_a20()
        if not value & NO_RESET:
            self._request_reset()

    def _pulse(self, kept: int) -> None:
        """Pulls the port's four low bits low for a moment, but for those in `kept`; the first resets the machine."""
        if not kept & NO_RESET:
            self._request_reset()

    def _request_reset(self) -> None:
        self.machine.request_reset(ResetReason.KEYBOARD)

    def _set_a20(self) -> None:
        self.machine.a20.set(A20_SOURCE, bool(self.output_port & A20))
