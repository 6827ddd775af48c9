"""A PS/2 mouse (PS/2 Hardware Interface Technical Reference, section "Mouse"), and Microsoft's IntelliMouse on top.

A guest makes it an IntelliMouse by setting the sample rates 200, 100 and 80 (a wheel), or 200, 200 and 80 (a wheel and
five buttons): then a fourth byte follows in each report.
"""

from __future__ import annotations

from enum import IntEnum
from typing import Annotated

from southbridge.annotations import Within
from southbridge.clock import SECOND
from southbridge.component import State, timer

from .ps2 import ACKNOWLEDGE, BUFFER_SIZE, RESEND, SELF_TEST_PASSED, Ps2Device

LEFT, RIGHT, MIDDLE, SIDE, EXTRA = 1, 2, 4, 8, 16
"""Buttons."""

FIRST_COMMAND = 0xE6


class Command(IntEnum):
    """What the host sends."""

    SCALE_1_1 = 0xE6
    SCALE_2_1 = 0xE7
    RESOLUTION = 0xE8
    STATUS = 0xE9
    STREAM = 0xEA
    READ_DATA = 0xEB
    LEAVE_WRAP = 0xEC
    WRAP = 0xEE
    REMOTE = 0xF0
    IDENTIFY = 0xF2
    RATE = 0xF3
    ENABLE = 0xF4
    DISABLE = 0xF5
    DEFAULTS = 0xF6
    RESEND = 0xFE
    RESET = 0xFF


RATES = (10, 20, 40, 60, 80, 100, 200)
WHEEL, FIVE_BUTTONS = 3, 4
"""The identities beyond 0, the plain mouse's."""
KNOCKS: dict[tuple[int, ...], int] = {(200, 100, 80): WHEEL, (200, 200, 80): FIVE_BUTTONS}
SCALED = (0, 1, 1, 3, 6, 9)
FARTHEST = 1 << 16
"""How far the mouse is known to have moved, at most, before it is asked."""


class Mouse(Ps2Device):
    """Movement goes in by `move`, reports come out by `read`."""

    identity: int = State(0, ge=0, le=FIVE_BUTTONS)
    reporting: bool = State(False, doc="Data reporting is enabled.")
    remote: bool = State(False, doc="Reports only when asked.")
    wrap: bool = State(False, doc="Echoes what it is sent.")
    double: bool = State(False, doc="Scaling 2:1.")
    resolution: int = State(2, ge=0, le=3, doc="Counts a millimetre, as a power of two.")
    rate: int = State(100, ge=10, le=200, doc="Samples a second.")
    knock: list[Annotated[int, Within(10, 200)]] = State([], max_length=3, doc="The last rates that were set.")
    buttons: int = State(0, ge=0, le=31, doc="Those that are down.")
    told: int = State(0, ge=0, le=31, doc="The buttons as reported last.")
    dx: int = State(0, ge=-FARTHEST, le=FARTHEST, doc="To the right, not yet reported.")
    dy: int = State(0, ge=-FARTHEST, le=FARTHEST, doc="Downwards, not yet reported.")
    dz: int = State(0, ge=-FARTHEST, le=FARTHEST, doc="The wheel, towards the user, not yet reported.")

    # --- movement ------------------------------------------------------------------------------------------------

    def move(self, dx: int = 0, dy: int = 0, dz: int = 0, buttons: int | None = None) -> None:
        """Moves by `dx` to the right, `dy` downwards and `dz` notches of the wheel; `buttons` are down from then on."""
        if self.reporting or self.remote:
            self.dx = _clamp(self.dx + dx, FARTHEST)
            self.dy = _clamp(self.dy + dy, FARTHEST)
            self.dz = _clamp(self.dz + dz, FARTHEST) if self.identity else 0
        if buttons is not None:
            self.buttons = buttons & (31 if self.identity == FIVE_BUTTONS else 7)
        self._sample_now()

    def _sample_now(self) -> None:
        """Reports what is new: a button at once, so that no click is lost, movement at the sample rate."""
        pressed = self.buttons != self.told
        if not self.reporting or self.remote or self.wrap or not (pressed or self.dx or self.dy or self.dz):
            return
        full = len(self.reports) + 4 > BUFFER_SIZE
        if not full and (pressed or not self._sample.pending):
            self.reports.extend(self._report(scaled=self.double))
            self._sample.cancel()
            self.notify()
        if not self._sample.pending:
            self._sample.after(ns=SECOND // self.rate)

    @timer
    def _sample(self) -> None:
        self._sample_now()

    def _report(self, *, scaled: bool) -> list[int]:
        """Three or four bytes. What doesn't fit into them is left for the next report."""
        dx, dy = _clamp(self.dx, 255), _clamp(self.dy, 255)
        self.dx -= dx
        self.dy -= dy
        self.told = self.buttons
        x, y = (_scaled(dx), _scaled(-dy)) if scaled else (dx, -dy)
        report = [8 | self.buttons & 7 | (x < 0) << 4 | (y < 0) << 5, x & 0xFF, y & 0xFF]
        if self.identity:
            dz = max(-8, min(7, self.dz))
            self.dz -= dz
            five = self.identity == FIVE_BUTTONS
            report.append(dz & 0x0F | (self.buttons & 0x18) << 1 if five else dz & 0xFF)
        return report

    # --- commands ------------------------------------------------------------------------------------------------

    def handle(self, value: int) -> None:
        """Acts on a command or argument. What was to be reported is dropped, so that reports begin anew."""
        self.reports.clear()
        command, self.command = self.command, 0
        if self.wrap and value not in (Command.LEAVE_WRAP, Command.RESET):
            self.reply(value)
        elif command:
            self._argument(command, value)
        elif value == Command.RESEND:
            self.reply(self.last)
        else:
            self._command(value)

    def _command(self, value: int) -> None:
        self.reply(ACKNOWLEDGE)
        match value:
            case Command.SCALE_1_1 | Command.SCALE_2_1:
                self.double = value == Command.SCALE_2_1
            case Command.RESOLUTION | Command.RATE:
                self.command = value
            case Command.STATUS:
                self.reply(*self._status())
            case Command.STREAM | Command.REMOTE:
                self.remote = value == Command.REMOTE
            case Command.READ_DATA:
                self.reply(*self._report(scaled=False))
            case Command.WRAP | Command.LEAVE_WRAP:
                self.wrap = value == Command.WRAP
            case Command.IDENTIFY:
                self.reply(self.identity)
            case Command.ENABLE | Command.DISABLE:
                self.reporting = value == Command.ENABLE
                self.told = self.buttons
                self.dx = self.dy = self.dz = 0
            case Command.DEFAULTS:
                self._defaults()
            case Command.RESET:
                self._defaults()
                self.wrap = False
                self.identity = 0
                self.knock = []
                self.reply(SELF_TEST_PASSED, self.identity)
            case _:
                self.guest_error(f"unknown command {value:#x}")
                self.replies[:] = [RESEND]

    def _status(self) -> tuple[int, int, int]:
        """The three bytes of a status report; its buttons are in another order than a movement report's."""
        held = self.buttons
        buttons = (held & LEFT) << 2 | (held & MIDDLE) >> 1 | (held & RIGHT) >> 1
        return self.remote << 6 | self.reporting << 5 | self.double << 4 | buttons, self.resolution, self.rate

    def _defaults(self) -> None:
        self.reporting = self.remote = self.double = False
        self.resolution, self.rate = 2, 100
        self.dx = self.dy = self.dz = 0

    def _argument(self, command: int, value: int) -> None:
        if command == Command.RESOLUTION and value <= 3:
            self.resolution = value
        elif command == Command.RATE and value in RATES:
            self.rate = value
            self.knock = [*self.knock, value][-3:]
            self.identity = KNOCKS.get(tuple(self.knock), self.identity)
        else:
            self.guest_error(f"argument {value:#x} of command {command:#x}")
            # The argument may come again. But no argument is as large as a command: then the host has given up.
            self.command = command if value < FIRST_COMMAND else 0
            self.reply(RESEND)
            return
        self.reply(ACKNOWLEDGE)


def _clamp(value: int, most: int) -> int:
    return max(-most, min(most, value))


def _scaled(count: int) -> int:
    """Movement at 2:1."""
    size = abs(count)
    size = SCALED[size] if size < len(SCALED) else min(2 * size, 255)
    return size if count >= 0 else -size
