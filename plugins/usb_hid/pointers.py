"""A USB mouse, as the boot protocol has it (HID 1.11, appendices B.2 and E.10) with a wheel; an absolute pointer."""

from __future__ import annotations

import struct
from abc import abstractmethod
from typing import Annotated, ClassVar

from southbridge.annotations import Length, Within
from southbridge.component import State
from southbridge.input import LARGEST_POSITION, PointerEvent
from southbridge.usb import DeviceDescriptor, Speed

from .hid import BOOT_INTERFACE, HidDevice, describe

MOUSE_PROTOCOL = 2
MOUSE_REPORT = bytes.fromhex(
    "05 01 09 02 a1 01 09 01 a1 00"  # generic desktop, mouse: application; pointer: physical
    "05 09 19 01 29 05 15 00 25 01 95 05 75 01 81 02"  # five buttons
    "95 01 75 03 81 01"  # and three bits to a byte
    "05 01 09 30 09 31 09 38 15 81 25 7f 75 08 95 03 81 06"  # x, y, wheel: relative
    "c0 c0"
)
TABLET_REPORT = bytes.fromhex(
    "05 01 09 02 a1 01 09 01 a1 00"  # as above
    "05 09 19 01 29 05 15 00 25 01 95 05 75 01 81 02"
    "95 01 75 03 81 01"
    "05 01 09 30 09 31 15 00 26 ff 7f 35 00 46 ff 7f 75 10 95 02 81 02"  # x, y: absolute, 0 to 7FFFh
    "05 01 09 38 15 81 25 7f 35 00 45 00 75 08 95 01 81 06"  # wheel: relative
    "c0 c0"
)
WAITING = 32
"""Samples that wait for the host."""
FARTHEST = 1 << 16
"""How far it moves between two reports, at most."""
BUTTONS = 0x1F
BOOT_BUTTONS = 0x07

Sample = Annotated[list[Annotated[int, Within(-FARTHEST, FARTHEST)]], Length(4, 4)]
"""Buttons, x, y, wheel: where the pointer is, or by how much it moves while the buttons are so."""


class Pointer(HidDevice):
    """Samples wait until the host asks; those with the same buttons become one."""

    absolute: bool

    samples: list[Sample] = State([], max_length=WAITING, doc="Not reported yet.")
    buttons: int = State(0, ge=0, le=BUTTONS, doc="Those that are down.")
    x: int = State(0, ge=0, le=LARGEST_POSITION, doc="Where it is, if it is absolute.")
    y: int = State(0, ge=0, le=LARGEST_POSITION, doc="Likewise.")

    def realize(self) -> None:
        """Plugs itself in, and takes what the pointer does."""
        super().realize()
        self.machine.input.pointers.append(self)

    def was_configured(self) -> None:
        """See UsbDevice: what was to be reported is forgotten."""
        self.samples.clear()

    def pointer_event(self, event: PointerEvent) -> None:
        """See PointerSink."""
        self.buttons = event.buttons(self.buttons)
        self.x = self.x if event.x is None else event.x
        self.y = self.y if event.y is None else event.y
        x, y = (self.x, self.y) if self.absolute else (event.dx, event.dy)
        if self.samples and self.samples[-1][0] == self.buttons:
            _, before_x, before_y, before_z = self.samples[-1]
            if not self.absolute:
                x, y = x + before_x, y + before_y
            self.samples[-1] = _sample(self.buttons, x, y, event.dz + before_z)
        else:
            del self.samples[: max(0, len(self.samples) - WAITING + 1)]
            self.samples.append(_sample(self.buttons, x, y, event.dz))
        self.became_active()

    def next_report(self) -> bytes | None:
        """See HidDevice. What doesn't fit into a report is left for the next one."""
        if not self.samples:
            return None
        buttons, x, y, dz = self.samples[0]
        step = [buttons, x, y, _clamp(dz, 127)]
        left = [buttons, x, y, dz - step[3]]
        if not self.absolute:
            step[1:3] = _clamp(x, 127), _clamp(y, 127)
            left[1:3] = x - step[1], y - step[2]
        if left[3] or (not self.absolute and any(left[1:3])):
            self.samples[0] = left
        else:
            self.samples.pop(0)
        return self.encode(*step)

    def current_report(self) -> bytes:
        """See HidDevice."""
        return self.encode(self.buttons, self.x, self.y, 0) if self.absolute else self.encode(self.buttons, 0, 0, 0)

    @abstractmethod
    def encode(self, buttons: int, x: int, y: int, wheel: int) -> bytes:
        """A report."""


class UsbMouse(Pointer):
    """Mouse: five buttons and a wheel."""

    descriptor: ClassVar[DeviceDescriptor] = describe(
        "USB Mouse", MOUSE_REPORT, subclass=BOOT_INTERFACE, protocol=MOUSE_PROTOCOL, packet=4
    )
    speed: ClassVar[Speed] = Speed.LOW
    report_descriptor: ClassVar[bytes] = MOUSE_REPORT
    absolute = False

    def encode(self, buttons: int, x: int, y: int, wheel: int) -> bytes:
        """See Pointer; the boot protocol has three buttons and no wheel. The wheel counts away from the user."""
        if self.report_protocol:
            return struct.pack("<Bbbb", buttons & BUTTONS, _clamp(x, 127), _clamp(y, 127), -wheel)
        return struct.pack("<Bbb", buttons & BOOT_BUTTONS, _clamp(x, 127), _clamp(y, 127))


class UsbTablet(Pointer):
    """Absolute pointer: the guest's pointer is where the user's is."""

    descriptor: ClassVar[DeviceDescriptor] = describe("USB Tablet", TABLET_REPORT, subclass=0, protocol=0, packet=8)
    report_descriptor: ClassVar[bytes] = TABLET_REPORT
    has_boot_protocol: ClassVar[bool] = False
    absolute = True

    def encode(self, buttons: int, x: int, y: int, wheel: int) -> bytes:
        """See Pointer."""
        place = max(0, min(x, LARGEST_POSITION)), max(0, min(y, LARGEST_POSITION))
        return struct.pack("<BHHb", buttons & BUTTONS, *place, -wheel)


def _clamp(value: int, most: int) -> int:
    return max(-most, min(most, value))


def _sample(buttons: int, x: int, y: int, dz: int) -> list[int]:
    return [buttons, _clamp(x, FARTHEST), _clamp(y, FARTHEST), _clamp(dz, FARTHEST)]
