"""An IBM enhanced keyboard (PS/2 Hardware Interface Technical Reference, section "Keyboards (101- and 102-Key)")."""

from __future__ import annotations

from enum import IntEnum
from typing import Annotated

from southbridge.annotations import Checked
from southbridge.clock import SECOND
from southbridge.component import State, timer

from .ps2 import ACKNOWLEDGE, BUFFER_SIZE, RESEND, SELF_TEST_PASSED, Ps2Device
from .scancodes import PAUSE, codes, is_key


class Command(IntEnum):
    """What the host sends."""

    SET_LEDS = 0xED
    ECHO = 0xEE
    SCAN_SET = 0xF0
    IDENTIFY = 0xF2
    TYPEMATIC = 0xF3
    ENABLE = 0xF4
    DISABLE = 0xF5
    DEFAULTS = 0xF6
    RESEND = 0xFE
    RESET = 0xFF


ALL_KEYS = range(0xF7, 0xFB)
"""Commands for what all keys send in set 3. Accepted; here every key always repeats and tells of its release."""
SOME_KEYS = range(0xFB, 0xFE)
"""The same for the keys that follow as arguments."""
IDENTITY = (0xAB, 0x83)
DEFAULT_TYPEMATIC = 0x2B
"""After 500 ms, 10.9 times a second."""
MOST_KEYS = 128


def checked(key: int) -> int:
    """`key`. Raises ValueError if there is no such key."""
    if not is_key(key):
        raise ValueError(f"there is no key {key:#x}")
    return key


Key = Annotated[int, Checked(checked)]


class Keyboard(Ps2Device):
    """Keys go in by `press`, scan codes come out by `read`."""

    scanning: bool = State(True, doc="Keys are reported.")
    scan_set: int = State(2, ge=1, le=3)
    leds: int = State(0, ge=0, le=7, doc="Scroll lock 1, num lock 2, caps lock 4.")
    typematic: int = State(DEFAULT_TYPEMATIC, ge=0, le=0x7F, doc="Delay and rate, as the command gives them.")
    held: list[Key] = State([], max_length=MOST_KEYS, doc="The keys that are down.")
    overflowed: bool = State(False, doc="Keys were lost.")

    # --- keys ----------------------------------------------------------------------------------------------------

    def press(self, key: int, pressed: bool) -> None:
        """`key` (see scancodes) goes down or up; if it is so already nothing happens. Raises ValueError for no key."""
        if pressed is (checked(key) in self.held):
            return
        if pressed:
            self.held = [*self.held, key][-MOST_KEYS:]
        else:
            self.held.remove(key)
        if not self.scanning:
            return
        self._report(codes(key, pressed, self.scan_set))
        if pressed and key != PAUSE:
            self._repeat.after(ms=250 * ((self.typematic >> 5) + 1), key=key)
        elif pressed or self._repeat.arguments.get("key") == key:
            self._repeat.cancel()

    @timer
    def _repeat(self, key: int) -> None:
        if self.scanning and key in self.held:
            if not self.reports:
                self._report(codes(key, True, self.scan_set))
            self._repeat.after(ns=self._period(), key=key)

    def _period(self) -> int:
        """Nanoseconds between two repetitions."""
        return (8 + (self.typematic & 7)) * (1 << (self.typematic >> 3 & 3)) * SECOND // 240

    def _report(self, sent: bytes) -> None:
        """A key's bytes go to the buffer whole, or not at all; then the overflow code says so, once."""
        if len(self.reports) + len(sent) < BUFFER_SIZE:
            self.reports.extend(sent)
            self.overflowed = False
        elif not self.overflowed and sent:
            self.reports.append(0xFF if self.scan_set == 1 else 0x00)
            self.overflowed = True
        self.notify()

    # --- commands ------------------------------------------------------------------------------------------------

    def handle(self, value: int) -> None:
        """Acts on a command or argument."""
        command, self.command = self.command, 0
        if command and value < Command.SET_LEDS:
            self._argument(command, value)
        else:
            self._command(value)

    def _command(self, value: int) -> None:
        match value:
            case Command.ECHO:
                self.reply(Command.ECHO)
            case Command.RESEND:
                self.reply(self.last)
            case Command.SET_LEDS | Command.SCAN_SET | Command.TYPEMATIC:
                self.command = value
                self.reply(ACKNOWLEDGE)
            case Command.IDENTIFY:
                self.reply(ACKNOWLEDGE, *IDENTITY)
            case Command.ENABLE:
                self._start(scanning=True)
                self.reply(ACKNOWLEDGE)
            case Command.DISABLE | Command.DEFAULTS:
                self._defaults()
                self._start(scanning=value == Command.DEFAULTS)
                self.reply(ACKNOWLEDGE)
            case Command.RESET:
                self._defaults()
                self._start(scanning=True)
                self.leds = 0
                self.reply(ACKNOWLEDGE, SELF_TEST_PASSED)
            case _ if value in ALL_KEYS:
                self.reply(ACKNOWLEDGE)
            case _ if value in SOME_KEYS:
                self.command = value
                self.reply(ACKNOWLEDGE)
            case _:
                self.guest_error(f"unknown command {value:#x}")
                self.reply(RESEND)

    def _defaults(self) -> None:
        self.scan_set = 2
        self.typematic = DEFAULT_TYPEMATIC

    def _start(self, *, scanning: bool) -> None:
        """What wasn't sent is dropped; keys are reported from now on, or no longer."""
        self.scanning = scanning
        self.reports.clear()
        self.overflowed = False
        self._repeat.cancel()

    def _argument(self, command: int, value: int) -> None:
        if command == Command.SET_LEDS and value < 8:
            self.leds = value
        elif command == Command.TYPEMATIC and value < 0x80:
            self.typematic = value
        elif command == Command.SCAN_SET and value == 0:
            self.reply(ACKNOWLEDGE, self.scan_set)
            return
        elif command == Command.SCAN_SET and value <= 3:
            self.scan_set = value
            self.reports.clear()
        elif command in SOME_KEYS:
            self.command = command
        else:
            self.guest_error(f"argument {value:#x} of command {command:#x}")
            self.command = command
            self.reply(RESEND)
            return
        self.reply(ACKNOWLEDGE)
