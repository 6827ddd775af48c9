"""The commands that every machine knows, with QEMU's names and shapes where QEMU has them.

Those that change whether the machine runs, or what it runs on, have their turns: one that comes during a save waits.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from ..builder import accelerator_named
from ..errors import SouthbridgeError
from ..exchange import name_of
from ..life import OFF, ResetReason, RunState, ShutdownReason
from ..qmp.all import commands as qemu_commands
from .commands import Commands
from .input import InputCommands

if TYPE_CHECKING:
    from ..machine import Machine

PROGRESS = "X_SNAPSHOT_SAVE_PROGRESS"
"""An event of ours: bytes done of bytes in all."""

Emit = Callable[[str, dict[str, Any]], None]


class MachineCommands:
    """Commands for `machine`, served on its main loop; `emit` sends an event to every client."""

    def __init__(self, machine: Machine, emit: Emit) -> None:
        self._machine = machine
        self._emit = emit
        self._turn = asyncio.Lock()
        self.commands = Commands()
        for name, function in qemu_commands(machine).items():
            self.commands.add_own(name, function)
        for name, function in (
            ("query-status", self.query_status),
            ("query-name", self.query_name),
            ("query-commands", self.query_commands),
            ("query-accelerator", self.query_accelerator),
            ("query-displays", self.query_displays),
            ("stop", self.stop),
            ("cont", self.cont),
            ("quit", self.quit),
            ("system_reset", self.system_reset),
            ("swap-accelerator", self.swap_accelerator),
            ("snapshot-save", self.snapshot_save),
            ("input-send-event", InputCommands(machine).send),
        ):
            self.commands.add_own(name, function)

    def query_status(self) -> dict[str, Any]:
        """Whether the machine runs, and if not, why."""
        state = self._machine.state
        status = self._machine.paused_for if state is RunState.PAUSED else state.value
        return {"running": state is RunState.RUNNING, "singlestep": False, "status": status}

    def query_name(self) -> dict[str, Any]:
        """The machine's name."""
        return {"name": self._machine.name}

    def query_commands(self) -> list[dict[str, Any]]:
        """The names of all commands."""
        names = ["qmp_capabilities", *(command.name for command in self.commands.all())]
        return [{"name": name} for name in sorted(names)]

    def query_accelerator(self) -> dict[str, Any]:
        """The name of what the machine's CPUs run on."""
        assert self._machine.accelerator is not None
        return {"name": name_of(self._machine.accelerator)}

    def query_displays(self) -> list[dict[str, Any]]:
        """Where the machine can be looked at."""
        displays = self._machine.backends.get("displays", {})
        return [{"id": id, "link": display.link} for id, display in displays.items()]

    async def stop(self) -> None:
        """Pauses the machine."""
        async with self._turn:
            self._machine.pause()

    async def cont(self) -> None:
        """Goes on."""
        async with self._turn:
            if self._machine.state is RunState.PAUSED and self._machine.paused_for == OFF:
                raise SouthbridgeError("Resetting the Virtual Machine is required")
            for disk in self._machine.backends["blockdevs"].values():
                if self._machine.state is RunState.PAUSED:
                    disk.take_back()
            self._machine.resume()

    def quit(self) -> None:
        """Ends the machine, and its process."""
        self._machine.request_shutdown(ShutdownReason.HOST_QUIT)

    async def system_reset(self) -> None:
        """Resets the machine."""
        async with self._turn:
            self._machine.request_reset(ResetReason.HOST)

    async def swap_accelerator(self, name: str) -> None:
        """The machine's CPUs run on the accelerator `name` from now on; the guest doesn't notice."""
        async with self._turn:
            self._machine.swap_accelerator(accelerator_named(self._machine, name))

    async def snapshot_save(self, path: str) -> None:
        """Writes the machine's state to the file `path`, which is absolute; then the machine goes on as it did."""
        if not path.startswith("/"):
            raise SouthbridgeError(f"{path}: expected an absolute path")
        from ..snapshot import save_running  # only now: numpy and zstandard take time to import

        loop = asyncio.get_running_loop()

        def tell(done: int, total: int) -> None:
            loop.call_soon_threadsafe(self._emit, PROGRESS, {"done": done, "total": total})

        async with self._turn:
            await save_running(self._machine, path, tell)
