"""A monitor for people at a connection: prompt, editing, answers, one line after the other."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Protocol

from ..qmp.version import SPOKEN
from .completion import completions
from .editor import LineEditor
from .monitor import HumanMonitor

if TYPE_CHECKING:
    from ..control.commands import Commands
    from ..machine import Machine

PROMPT = "(qemu) "
"""QEMU's: programs wait for it."""
BANNER = f"Southbridge monitor, with QEMU {'.'.join(map(str, SPOKEN))}'s words - type 'help' for more information\r\n"


class Connection(Protocol):
    """Where the person is."""

    async def read(self) -> bytes:
        """What came next; none once nobody is there any more. Raises OSError."""

    def write(self, data: bytes) -> None:
        """Sends `data`, at the latest when it is taken."""

    async def drain(self) -> None:
        """Returns when all is sent, or never will be."""


class HumanConversation:
    """With whoever is at `connection`."""

    def __init__(self, machine: Machine, commands: Commands, connection: Connection) -> None:
        self._monitor = HumanMonitor(machine, commands)
        self._connection = connection
        self._editor = LineEditor(PROMPT, connection.write, partial(completions, machine, self._monitor.vocabulary))
        self._monitor.history = self._editor.history
        self._greeted = False

    async def run(self) -> None:
        """Until nobody is there. What was typed ahead is read once the answers before are taken. Raises OSError."""
        while data := await self._connection.read():
            for line in self._editor.feed(data):
                answer = await self._monitor.say(line)
                self._connection.write(answer.replace("\n", "\r\n").encode())
                self._editor.show()
                await self._connection.drain()
            await self._connection.drain()  # keys alone are answered too

    def show(self) -> None:
        """Greets the first time; then the prompt and the line."""
        if not self._greeted:
            self._greeted = True
            self._connection.write(BANNER.encode())
        self._editor.show()
