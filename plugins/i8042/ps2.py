"""What PS/2 keyboards and mice have in common: commands with arguments, answers, and a small buffer of reports."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable
from typing import Annotated

from southbridge.annotations import Within
from southbridge.component import Component, State

ACKNOWLEDGE = 0xFA
RESEND = 0xFE
SELF_TEST_PASSED = 0xAA
BUFFER_SIZE = 16

Byte = Annotated[int, Within(0, 0xFF)]


class Ps2Device(Component):
    """One end of a PS/2 cable. The controller, at the other end, sets `notify`, and is told by it of bytes to read."""

    replies: list[Byte] = State([], max_length=BUFFER_SIZE, doc="Answers, which go before reports.")
    reports: list[Byte] = State([], max_length=BUFFER_SIZE, doc="What happened, not yet sent.")
    command: int = State(0, ge=0, le=0xFF, doc="A command that waits for its argument, or 0.")
    last: int = State(0, ge=0, le=0xFF, doc="The byte sent last.")

    notify: Callable[[], None]

    @property
    def ready(self) -> bool:
        """Whether there is a byte to read."""
        return bool(self.replies or self.reports)

    def read(self) -> int:
        """The next byte, which is there."""
        queue = self.replies or self.reports
        self.last = queue.pop(0)
        return self.last

    def write(self, value: int) -> None:
        """The host sends a byte. Answers that it hasn't read yet are dropped."""
        self.replies.clear()
        self.handle(value)
        self.notify()

    @abstractmethod
    def handle(self, value: int) -> None:
        """Acts on a byte from the host: a command, or the argument of `command`."""

    def reply(self, *values: int) -> None:
        """Answers."""
        self.replies.extend(values)
