"""What a user's keyboard and pointer do, on its way to the guest's: whoever has a window or a socket puts it in here.

Keys have QEMU's names (`QKeyCode`). An event goes to the newest device that takes such events; a device that the guest
doesn't use takes none. So a USB keyboard has the keys as soon as the guest has configured it, and the keyboard
controller, which was there before, has them until then.
"""

from __future__ import annotations

from typing import NamedTuple, Protocol

LEFT, RIGHT, MIDDLE, SIDE, EXTRA = 1, 2, 4, 8, 16
"""Buttons of a pointer."""
BUTTONS = {"left": LEFT, "right": RIGHT, "middle": MIDDLE, "side": SIDE, "extra": EXTRA}
"""By QEMU's names."""

LARGEST_POSITION = 0x7FFF
"""Of an absolute pointer: its right or lower edge."""

EXTENDED = 0xE000


def _row(first: int, names: str) -> dict[str, int]:
    return {name: first + index for index, name in enumerate(names.split())}


SCANCODES: dict[str, int] = {
    **_row(0x01, "esc 1 2 3 4 5 6 7 8 9 0 minus equal backspace tab"),
    **_row(0x10, "q w e r t y u i o p bracket_left bracket_right ret ctrl"),
    **_row(0x1E, "a s d f g h j k l semicolon apostrophe grave_accent shift backslash"),
    **_row(0x2C, "z x c v b n m comma dot slash shift_r kp_multiply alt spc caps_lock"),
    **_row(0x3B, "f1 f2 f3 f4 f5 f6 f7 f8 f9 f10 num_lock scroll_lock"),
    **_row(0x47, "kp_7 kp_8 kp_9 kp_subtract kp_4 kp_5 kp_6 kp_add kp_1 kp_2 kp_3 kp_0 kp_decimal sysrq"),
    **_row(0x56, "less f11 f12"),
    **_row(EXTENDED | 0x1C, "kp_enter ctrl_r"),
    **_row(EXTENDED | 0x37, "print alt_r"),
    **_row(EXTENDED | 0x47, "home up pgup"),
    **_row(EXTENDED | 0x4F, "end down pgdn insert delete"),
    **_row(EXTENDED | 0x5B, "meta_l meta_r compose power sleep"),
    "kp_divide": EXTENDED | 0x35,
    "left": EXTENDED | 0x4B,
    "right": EXTENDED | 0x4D,
    "pause": 0xE11D,
    "hiragana": 0x70,
    "ro": 0x73,
    "henkan": 0x79,
    "muhenkan": 0x7B,
    "yen": 0x7D,
}
"""Every key, and what an AT keyboard sends for it in scan code set 1, with E0h or E1h before it as the high byte."""

_BY_NUMBER = {code: name for name, code in SCANCODES.items()} | {EXTENDED | 0x46: "pause"}


def key_by_number(number: int) -> str | None:
    """The key with QEMU's number: its scan code in set 1, with bit 7 for E0h."""
    return _BY_NUMBER.get(EXTENDED | number & 0x7F if number & 0x80 else number)


class KeyboardSink(Protocol):
    """A device with keys."""

    @property
    def takes_input(self) -> bool:
        """Whether the guest uses it."""

    def key_event(self, key: str, pressed: bool) -> None:
        """A key goes down or up; again down, if the user's keyboard repeats it."""


class PointerEvent(NamedTuple):
    """What happens at once: movement by `dx`, `dy` or to `x`, `y`, notches of the wheel, buttons down and up.

    Right, down and towards the user are positive. `x` and `y` are 0 to LARGEST_POSITION, None where they stay.
    """

    dx: int = 0
    dy: int = 0
    dz: int = 0
    x: int | None = None
    y: int | None = None
    pressed: int = 0
    released: int = 0

    @property
    def absolute(self) -> bool:
        """It says where the pointer is."""
        return self.x is not None or self.y is not None

    @property
    def relative(self) -> bool:
        """It says by how much the pointer moves."""
        return bool(self.dx or self.dy)

    def buttons(self, before: int) -> int:
        """Those that are down, if `before` were."""
        return (before | self.pressed) & ~self.released


class PointerSink(Protocol):
    """A device that points."""

    absolute: bool
    """It takes positions, rather than movement."""

    @property
    def takes_input(self) -> bool:
        """Whether the guest uses it."""

    def pointer_event(self, event: PointerEvent) -> None:
        """The pointer moves, or a button does."""


class Input:
    """One machine's input. All is called with the machine lock held."""

    def __init__(self) -> None:
        self.keyboards: list[KeyboardSink] = []
        """Oldest first."""
        self.pointers: list[PointerSink] = []
        """Oldest first."""
        self._held: dict[str, KeyboardSink] = {}

    def remove(self, sink: object) -> None:
        """A device goes."""
        self.keyboards = [other for other in self.keyboards if other is not sink]
        self.pointers = [other for other in self.pointers if other is not sink]
        self._held = {key: other for key, other in self._held.items() if other is not sink}

    @property
    def points_absolutely(self) -> bool:
        """Whether the newest pointer that the guest uses takes positions, rather than movement."""
        return next((sink.absolute for sink in reversed(self.pointers) if sink.takes_input), False)

    def key(self, key: str, pressed: bool) -> bool:
        """A key goes down, or up where it went down. False if nobody takes it. Raises KeyError for no key's name."""
        if key not in SCANCODES:
            raise KeyError(key)
        sink = self._held.pop(key, None) or next((sink for sink in reversed(self.keyboards) if sink.takes_input), None)
        if sink is None:
            return False
        if pressed:
            self._held[key] = sink
        sink.key_event(key, pressed)
        return True

    def point(self, event: PointerEvent) -> bool:
        """The pointer does something. False if nobody takes that."""
        for sink in reversed(self.pointers):
            fits = sink.absolute is event.absolute or not (event.absolute or event.relative)
            if fits and sink.takes_input:
                sink.pointer_event(event)
                return True
        return False
