"""One monitor for people: lines in, answers out."""

from __future__ import annotations

import asyncio
import inspect
import logging
from collections.abc import Callable, Coroutine
from typing import TYPE_CHECKING, Any

from ..control.commands import Caller, CommandError, Commands
from ..discovery import describe
from ..errors import SouthbridgeError
from ..qmp.cpus import target
from .line import Format, Line, LineError
from .registers import Registers
from .vocabulary import Vocabulary, lookup
from .word import Word

if TYPE_CHECKING:
    from ..machine import Machine

log = logging.getLogger(__name__)


class HumanMonitor:
    """To `machine`, which may also be told `commands`: what QMP has too is done by the same functions."""

    def __init__(self, machine: Machine, commands: Commands) -> None:
        self.machine = machine
        self.vocabulary = Vocabulary(machine)
        self.format = Format(1, "x", 4)
        """As in the last `x` or `xp`, for the next one."""
        self.cpu = 0
        """Whose registers and virtual addresses are meant."""
        self.buttons = 0
        """The mouse's that are down, as `mouse_button` has them."""
        self.history: list[str] = []
        self._going_on: set[asyncio.Task[Any]] = set()
        self._commands = commands

    @property
    def digits(self) -> int:
        """Of a virtual address, in hexadecimal: of 32 bits or of 64, as the program's name has it."""
        return 8 if target() == "i386" else 16

    @property
    def mask(self) -> int:
        """Of such an address."""
        return (1 << 4 * self.digits) - 1

    async def qmp(self, command: str, /, **arguments: Any) -> Any:
        """The result of a QMP command; arguments that are None aren't given. Raises CommandError."""
        given = {key.replace("_", "-"): value for key, value in arguments.items() if value is not None}
        return await self._commands.run(command, given, Caller())

    def in_background(self, work: Coroutine[Any, Any, Any]) -> None:
        """Does `work` while other lines may come; what goes wrong in it is logged."""
        task = asyncio.get_running_loop().create_task(_logged(work))
        self._going_on.add(task)
        task.add_done_callback(self._going_on.discard)

    async def say(self, text: str) -> str:
        """The answer to a line: lines, each with its end, or nothing. Nothing that is typed raises."""
        name = text.split(maxsplit=1)[0] if text.strip() else ""
        if not name:
            return ""
        word = lookup(self.vocabulary.words, name)
        if word is None:
            return f"unknown command: '{name}'\n"
        answer = await self._do(word, text.strip()[len(name) :], "|".join(word.names), name)
        return f"{answer}\n" if answer and not answer.endswith("\n") else answer

    async def topic(self, line: Line) -> str:
        """The answer to `info`, of which `line` is the rest."""
        name = line.optional_word()
        if name is None:
            return "\n".join(word.usage("info ") for word in self.vocabulary.topics)
        word = lookup(self.vocabulary.topics, name)
        if word is None:
            return f"unknown command: 'info {name}'"
        return await self._do(word, line.rest(), word.name, f"info {name}")

    def _register(self, registers: Registers) -> Callable[[str], int]:
        """Values of registers, which are signed as addresses are."""

        def value(name: str) -> int:
            found = registers.value(name) & self.mask
            return found - self.mask - 1 if found > self.mask >> 1 else found

        return value

    async def _do(self, word: Word, rest: str, shown: str, asked: str) -> str:
        line = Line(rest, shown, self._register(Registers(self.machine, self.cpu)))
        try:
            answer = word.does(self, line)
            if inspect.isawaitable(answer):
                answer = await answer
        except LineError as error:
            return f'{error}\nTry "help {asked}" for more information' if error.help else str(error)
        except (SouthbridgeError, CommandError) as error:
            return f"Error: {' '.join(str(error).split())}"
        except Exception as error:  # a plugin's code may raise anything
            log.exception("the monitor's %s failed", asked)
            return f"Error: {asked} failed: {describe(error)}"
        return "" if answer is None else str(answer)


async def _logged(work: Coroutine[Any, Any, Any]) -> None:
    try:
        await work
    except (SouthbridgeError, CommandError) as error:
        log.warning("%s", error)
