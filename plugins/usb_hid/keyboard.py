"""A USB keyboard, as the boot protocol has it (HID 1.11, appendices B.1 and E.6)."""

from __future__ import annotations

from typing import Annotated, ClassVar

from southbridge.annotations import Within
from southbridge.component import State
from southbridge.usb import DeviceDescriptor, Speed

from .hid import BOOT_INTERFACE, HidDevice, describe
from .keys import FIRST_MODIFIER, LAST_USAGE, ROLL_OVER, USAGES

KEYBOARD_PROTOCOL = 1
REPORT = bytes.fromhex(
    "05 01 09 06 a1 01"  # generic desktop, keyboard: application
    "05 07 19 e0 29 e7 15 00 25 01 75 01 95 08 81 02"  # eight modifiers, a bit each
    "95 01 75 08 81 01"  # a byte that is reserved
    "95 05 75 01 05 08 19 01 29 05 91 02"  # output: five LEDs
    "95 01 75 03 91 01"  # and three bits to a byte
    "95 06 75 08 15 00 26 ff 00 05 07 19 00 2a ff 00 81 00"  # six keys
    "c0"
)
KEYS = 6
"""Keys that a report has room for."""
WAITING = 64
"""Events that wait for the host."""
PRESSED = 0x100
DEFAULT_IDLE = 125
"""Half a second (section 7.2.4)."""

Usage = Annotated[int, Within(4, LAST_USAGE)]
Event = Annotated[int, Within(4, PRESSED | LAST_USAGE)]


class UsbKeyboard(HidDevice):
    """Keyboard: six keys at a time, and the modifiers."""

    descriptor: ClassVar[DeviceDescriptor] = describe(
        "USB Keyboard", REPORT, subclass=BOOT_INTERFACE, protocol=KEYBOARD_PROTOCOL, packet=8
    )
    speed: ClassVar[Speed] = Speed.LOW
    report_descriptor: ClassVar[bytes] = REPORT

    idle: int = State(DEFAULT_IDLE, ge=0, le=0xFF, doc="See HidDevice.")
    events: list[Event] = State([], max_length=WAITING, doc="Usages, with bit 8 for pressed, not reported yet.")
    held: list[Usage] = State([], max_length=LAST_USAGE, doc="The keys that are down, as reported.")
    leds: int = State(0, ge=0, le=0xFF, doc="As the host lit them: num lock 1, caps lock 2, scroll lock 4.")

    def realize(self) -> None:
        """Plugs itself in, and takes keys."""
        super().realize()
        self.machine.input.keyboards.append(self)

    def key_event(self, key: str, pressed: bool) -> None:
        """See KeyboardSink; a key that it doesn't have does nothing."""
        usage = USAGES.get(key)
        if usage is None:
            return
        if len(self.events) >= WAITING:
            self._take(self.events.pop(0))  # no longer an event of its own, but no key stays down
        self.events.append(usage | (PRESSED if pressed else 0))
        self.became_active()

    def was_configured(self) -> None:
        """See UsbDevice: what was pressed before is forgotten."""
        self.events.clear()
        self.held.clear()

    def next_report(self) -> bytes | None:
        """See HidDevice: a report an event, but none for a key that repeats."""
        while self.events:
            if self._take(self.events.pop(0)):
                return self.current_report()
        return None

    def _take(self, event: int) -> bool:
        """A key goes down or up; False if it is so already."""
        usage, pressed = event & 0xFF, bool(event & PRESSED)
        if pressed is (usage in self.held):
            return False
        if pressed:
            self.held.append(usage)
        else:
            self.held.remove(usage)
        return True

    def current_report(self) -> bytes:
        """See HidDevice."""
        modifiers = sum(1 << usage - FIRST_MODIFIER for usage in set(self.held) if usage >= FIRST_MODIFIER)
        keys = [usage for usage in self.held if usage < FIRST_MODIFIER]
        if len(keys) > KEYS:
            keys = [ROLL_OVER] * KEYS
        return bytes([modifiers, 0, *keys]).ljust(2 + KEYS, b"\0")

    def output_report(self, data: bytes) -> bool:
        """See HidDevice: the LEDs."""
        if len(data) != 1:
            return False
        self.leds = data[0]
        return True
