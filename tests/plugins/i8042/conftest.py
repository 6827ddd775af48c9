"""A keyboard controller on a bench, and the words for what a guest does with it."""

from __future__ import annotations

import pytest
from southbridge.plugins.i8042 import I8042
from southbridge.testing import Bench

DATA, COMMAND = 0x60, 0x64


class Controller:
    """The guest's side of the controller."""

    def __init__(self, bench: Bench) -> None:
        self.bench = bench
        self.device: I8042 = bench.plug("i8042")

    @property
    def status(self) -> int:
        """The status register."""
        return self.bench.read_port(COMMAND)

    def data(self) -> int:
        """Port 60h, whatever is there."""
        return self.bench.read_port(DATA)

    def command(self, *values: int) -> None:
        """A command to the controller, and its argument."""
        self.bench.write_port(COMMAND, values[0])
        for value in values[1:]:
            self.bench.write_port(DATA, value)

    def read(self, *, ms: float = 1) -> list[int]:
        """Every byte that comes, with `ms` between two; the mouse's with 100h added."""
        found = []
        while self.status & 1:
            mouse = (self.status & 0x20) << 3
            found.append(self.data() | mouse)
            self.bench.clock.advance(ms=ms)
            assert len(found) < 100, "it never ends"
        return found

    def keyboard(self, *values: int) -> list[int]:
        """Bytes for the keyboard, each followed by reading what it answers."""
        answers = []
        for value in values:
            self.bench.write_port(DATA, value)
            answers += self.read()
        return answers

    def mouse(self, *values: int) -> list[int]:
        """Bytes for the mouse, each followed by reading what it answers, all from the mouse."""
        answers = []
        for value in values:
            self.command(0xD4, value)
            answers += self.read()
        assert all(answer >> 8 for answer in answers)
        return [answer & 0xFF for answer in answers]

    def type(self, *keys: int) -> list[int]:
        """Presses and releases each key; gives what the guest reads meanwhile."""
        found = []
        for key in keys:
            for pressed in (True, False):
                self.device.key(key, pressed)
                found += self.read()
        return found


@pytest.fixture
def controller(bench: Bench) -> Controller:
    return Controller(bench)
