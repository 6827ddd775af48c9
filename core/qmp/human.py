"""human-monitor-command: the monitor for people, for programs; and how a line of it may go on."""

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
        self._made: HumanMonitor | None = None

    @property
    def _monitor(self) -> HumanMonitor:
        if self._made is None:
            from ..hmp.monitor import HumanMonitor  # only now: few ask

            self._made = HumanMonitor(self._machine, self._commands)
        return self._made

    async def human_monitor_command(self, command_line: str, cpu_index: int | None = None) -> str:
        """What the monitor for people says to `command_line`, with `cpu_index` as its CPU."""
        monitor = self._monitor
        before = monitor.cpu
        if cpu_index is not None:
            if cpu_index not in self._machine.cpus.plugged:
                raise SouthbridgeError("Parameter 'cpu-index' expects a CPU number")
            monitor.cpu = cpu_index
        try:
            answer = await monitor.say(command_line)
        finally:
            if cpu_index is not None:
                monitor.cpu = before
        return answer.replace("\n", "\r\n")

    def human_monitor_completions(self, command_line: str) -> list[str]:
        """The words that the last one of `command_line` may become, or come next after a space."""
        from ..hmp.completion import completions

        return completions(self._machine, self._monitor.vocabulary, command_line)
