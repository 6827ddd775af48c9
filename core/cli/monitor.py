"""`southbridge monitor`: the monitor for people of a running machine, by its control socket."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Callable, Iterator

from ..control.client import MachineClient, find_machine
from .control import PATIENCE, say_for_whom

COMMAND = "human-monitor-command"
COMPLETIONS = "human-monitor-completions"
_END = ("exit", "bye")
"""Words that leave; `quit` ends the machine, as it does at QEMU's monitor."""


def attend(id: str) -> None:
    """Lines of standard input are said to the machine, until there are no more. Raises SouthbridgeError."""
    with find_machine(id, PATIENCE, say_for_whom) as machine:
        for line in _typed(machine) if sys.stdin.isatty() else sys.stdin:
            if line.strip() in _END:
                return
            print(machine.run(COMMAND, command_line=line.rstrip("\n")).replace("\r\n", "\n"), end="", flush=True)
            if line.split() in (["quit"], ["q"]):
                return


def _typed(machine: MachineClient) -> Iterator[str]:
    """Lines that somebody types, with history and completion."""
    import readline

    readline.set_completer(_completer(machine))
    readline.parse_and_bind("tab: complete")
    readline.set_completer_delims(" ")
    with contextlib.suppress(EOFError):
        while True:
            try:
                yield input(f"({machine.id}) ")
            except KeyboardInterrupt:
                print()


def _completer(machine: MachineClient) -> Callable[[str, int], str | None]:
    """As the machine itself would complete the line: words, topics, and what there is in it."""
    import readline

    found: list[str] = []

    def complete(text: str, number: int) -> str | None:
        if number == 0:  # the first of several calls for one press of Tab
            found[:] = machine.run(COMPLETIONS, command_line=readline.get_line_buffer()[: readline.get_endidx()])
        return f"{found[number]} " if number < len(found) else None

    return complete
