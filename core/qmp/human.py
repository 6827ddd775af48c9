"""human-monitor-command: the monitor for people, for programs."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..errors import SouthbridgeError

if TYPE_CHECKING:
    from ..control.commands import Commands
    from ..hmp.monitor import HumanMonitor
    from ..machine import Machine


class HumanCommand:
    """For `machine`, whose `commands` it says. What one line chooses, a CPU or how values are shown, holds on."""

    def __init__(self, machine: Machine, commands: Commands) -> None:
        self._machine = machine
        self._commands = commands
        self._monitor: HumanMonitor | None = None

    async def human_monitor_command(self, command_line: str, cpu_index: int | None = None) -> str:
        """What the monitor for people says to `command_line`, with `cpu_index` as its CPU."""
        if self._monitor is None:
            from ..hmp.monitor import HumanMonitor  # only now: few ask

            self._monitor = HumanMonitor(self._machine, self._commands)
        before = self._monitor.cpu
        if cpu_index is not None:
            if cpu_index not in self._machine.cpus.plugged:
                raise SouthbridgeError("Parameter 'cpu-index' expects a CPU number")
            self._monitor.cpu = cpu_index
        try:
            answer = await self._monitor.say(command_line)
        finally:
            if cpu_index is not None:
                self._monitor.cpu = before
        return answer.replace("\n", "\r\n")
