"""A client's keyboard and pointer, put into the machine's input. With the machine's lock held."""

from __future__ import annotations

from ..input import EXTRA, LARGEST_POSITION, LEFT, MIDDLE, RIGHT, SIDE, Input, PointerEvent, key_by_number
from .keysyms import key_of

MOST_KEYS = 32
"""That a client holds down at once."""

BUTTONS = {1 << 0: LEFT, 1 << 1: MIDDLE, 1 << 2: RIGHT, 1 << 7: SIDE, 1 << 8: EXTRA}
"""A PointerEvent's bits; 3 and 4 are notches of the wheel."""
WHEEL = {1 << 3: -1, 1 << 4: 1}

STANDING = 0x7FFF
"""In messages of pointer motion, what doesn't move (QEMU's pointer motion change)."""

_SHIFTS = ("shift", "shift_r")


class Keyboard:
    """Keys of one client. It gets up all that it holds when it leaves."""

    def __init__(self, target: Input) -> None:
        self._input = target
        self._down: dict[int, str] = {}
        """By keysym, or by number with the sign changed."""
        self._capitals = False

    def keysym(self, keysym: int, down: bool) -> None:
        """KeyEvent."""
        found = key_of(keysym)
        if found is None:
            return
        key, shifted = found
        if not down:
            # Where Shift went up first, the key may go up as another character than it went down as.
            same = (code for code, other in self._down.items() if other == key and code > 0)
            self._up(keysym if keysym in self._down else next(same, 0))
            return
        if key == "caps_lock":
            self._capitals = not self._capitals
        held = any(shift in self._down.values() for shift in _SHIFTS)
        if shifted and not held and not (self._capitals and len(key) == 1 and key.isalpha()):
            self._input.key("shift", True)  # a client that types characters, without the keys that make them
            self._press(keysym, key)
            self._input.key("shift", False)
        else:
            self._press(keysym, key)

    def number(self, keysym: int, number: int, down: bool) -> None:
        """QEMU's extended key event: also which key it was; 0: unknown."""
        key = key_by_number(number) if 0 < number <= 0xFF else None
        if key is None:
            self.keysym(keysym, down)
        elif down:
            self._press(-number, key)
        else:
            self._up(-number)

    def release(self) -> None:
        """All keys go up."""
        for code in list(self._down):
            self._up(code)

    def _press(self, code: int, key: str) -> None:
        if code in self._down or len(self._down) < MOST_KEYS:
            self._down[code] = key
            self._input.key(key, True)

    def _up(self, code: int) -> None:
        key = self._down.pop(code, None)
        if key is not None and key not in self._down.values():
            self._input.key(key, False)


class Pointer:
    """The pointer of one client."""

    def __init__(self, target: Input) -> None:
        self._input = target
        self._mask = 0
        self._place: tuple[int, int] | None = None
        self.relative = False
        """The client was told to say by how much it moves, rather than where it is."""

    def event(self, mask: int, x: int, y: int, width: int, height: int) -> None:
        """PointerEvent on a screen of `width` by `height`."""
        changed = mask ^ self._mask
        pressed = sum(button for bit, button in BUTTONS.items() if changed & mask & bit)
        released = sum(button for bit, button in BUTTONS.items() if changed & self._mask & bit)
        dz = sum(notch for bit, notch in WHEEL.items() if changed & mask & bit)
        before, self._mask, self._place = self._place, mask, (x, y)
        if self.relative:
            move = {"dx": x - STANDING, "dy": y - STANDING}
        elif self._input.points_absolutely:
            move = {"x": _position(x, width), "y": _position(y, height)}
        elif before is not None:
            move = {"dx": x - before[0], "dy": y - before[1]}
        else:
            move = {}
        self._input.point(PointerEvent(dz=dz, pressed=pressed, released=released, **move))

    def release(self) -> None:
        """All buttons go up."""
        released = sum(button for bit, button in BUTTONS.items() if self._mask & bit)
        self._mask = 0
        if released:
            self._input.point(PointerEvent(released=released))


def _position(value: int, side: int) -> int:
    return min(value, side - 1) * LARGEST_POSITION // max(side - 1, 1)
