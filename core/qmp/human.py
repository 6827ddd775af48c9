"""human-monitor-command: a few of the words of QEMU's monitor for people, with its output."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from ..errors import SouthbridgeError
from ..life import ResetReason, RunState, ShutdownReason
from .character import CharacterCommands
from .cpus import CpuCommands
from .pci import PciCommands
from .version import SPOKEN

if TYPE_CHECKING:
    from ..control.commands import Function
    from ..machine import Machine

Word = Callable[[], str]


class HumanCommands:
    """Words to the machine, and what is said to them. Lines end as on a terminal."""

    def __init__(self, machine: Machine) -> None:
        self._machine = machine
        self._topics: dict[str, Word] = {
            "status": self._status,
            "name": lambda: machine.name,
            "version": lambda: ".".join(map(str, SPOKEN)),
            "uuid": lambda: str(machine.identity.uuid or "00000000-0000-0000-0000-000000000000"),
            "chardev": self._chardev,
            "cpus": self._cpus,
            "pci": self._pci,
            "block": self._block,
        }
        self._words: dict[str, Callable[[str], str]] = {
            "info": self._info,
            "help": self._help,
            "stop": lambda rest: self._do(machine.pause),
            "cont": lambda rest: self._do(machine.resume),
            "c": lambda rest: self._do(machine.resume),
            "system_reset": lambda rest: self._do(lambda: machine.request_reset(ResetReason.HOST)),
            "system_powerdown": lambda rest: self._do(machine.request_powerdown),
            "quit": lambda rest: self._do(lambda: machine.request_shutdown(ShutdownReason.HOST_QUIT)),
            "screendump": self._screendump,
            "q": lambda rest: self._do(lambda: machine.request_shutdown(ShutdownReason.HOST_QUIT)),
        }

    def commands(self) -> dict[str, Function]:
        """By name."""
        return {"human-monitor-command": self.human_monitor_command}

    def human_monitor_command(self, command_line: str, cpu_index: int | None = None) -> str:
        """What the monitor for people says to `command_line`."""
        word, _, rest = command_line.strip().partition(" ")
        if not word:
            return ""
        function = self._words.get(word)
        if function is None:
            return f"unknown command: '{word}'\r\n"
        said = function(rest.strip())
        return said.replace("\n", "\r\n") + "\r\n" if said else ""

    def _info(self, topic: str) -> str:
        if not topic:
            return self._help("")
        function = self._topics.get(topic)
        return f"unknown command: 'info {topic}'" if function is None else function()

    def _help(self, rest: str) -> str:
        lines = [f"info {topic}" for topic in self._topics] + [word for word in self._words if word != "info"]
        return "\n".join(sorted(lines))

    def _screendump(self, rest: str) -> str:
        path, _, options = rest.partition(" ")
        format = options.removeprefix("-f").strip() if options.startswith("-f") else None
        if not path:
            return "screendump: expected a file"
        from ..display.screendump import screendump  # only now: a machine without a screen needs no arrays

        return self._do(lambda: screendump(self._machine, Path(path), format or "ppm"))

    def _do(self, action: Callable[[], None]) -> str:
        try:
            action()
        except SouthbridgeError as error:
            return f"Error: {error}"
        return ""

    def _status(self) -> str:
        state = self._machine.state
        why = f" ({state.value})" if state not in (RunState.RUNNING, RunState.PAUSED) else ""
        return f"VM status: {'running' if state is RunState.RUNNING else 'paused'}{why}"

    def _chardev(self) -> str:
        return "\n".join(
            f"{item['label']}: filename={item['filename']}" for item in CharacterCommands(self._machine).query_chardev()
        )

    def _cpus(self) -> str:
        cpus = CpuCommands(self._machine).query_cpus_fast()
        return "\n".join(
            f"{'*' if not cpu['cpu-index'] else ' '} CPU #{cpu['cpu-index']}: thread_id={cpu['thread-id']}"
            for cpu in cpus
        )

    def _pci(self) -> str:
        lines = []
        for bus in PciCommands(self._machine).query_pci():
            for function in bus["devices"]:
                about, ids = function["class_info"], function["id"]
                lines.append(f"  Bus {bus['bus']:2}, device {function['slot']:3}, function {function['function']}:")
                name = about.get("desc", f"Class {about['class']:04x}")
                lines.append(f"    {name}: PCI device {ids['vendor']:04x}:{ids['device']:04x}")
                lines.append(f'      id "{function["qdev_id"]}"')
        return "\n".join(lines)

    def _block(self) -> str:
        return "\n".join(
            f"{id}: {backend.name} ({'read-write' if backend.writable else 'read-only'})"
            for id, backend in self._machine.backends["blockdevs"].items()
        )
