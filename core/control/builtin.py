"""The commands that every machine knows, with QEMU's names and shapes where QEMU has them.

Those that change whether the machine runs, or what it runs on, have their turns: one that comes during a save waits.
"""

from __future__ import annotations

import asyncio
from functools import partial
from typing import TYPE_CHECKING, Literal, NotRequired, TypedDict, cast

from ..builder import accelerator_named
from ..discovery import KINDS, plugins
from ..errors import SouthbridgeError
from ..exchange import name_of
from ..life import OFF, ResetReason, RunState, ShutdownReason
from ..qmp.all import commands as qemu_commands
from ..qmp.human import HumanCommand
from .commands import CommandError, Commands, early
from .input import InputCommands
from .schema_entries import SchemaEntry

if TYPE_CHECKING:
    from ..machine import Machine

Status = Literal[
    "debug", "inmigrate", "internal-error", "io-error", "paused", "postmigrate", "prelaunch", "finish-migrate",
    "restore-vm", "running", "save-vm", "shutdown", "suspended", "watchdog", "guest-panicked",
]  # fmt: skip


class StatusInfo(TypedDict):
    """What query-status tells."""

    running: bool
    singlestep: bool
    status: Status


class NameInfo(TypedDict):
    """What query-name tells."""

    name: NotRequired[str]


class Named(TypedDict):
    """Something by its name."""

    name: str


class DisplayLink(TypedDict):
    """Where a display is."""

    id: str
    link: str


class PluginInfo(TypedDict):
    """An installed plugin; `source` is its distribution."""

    kind: str
    name: str
    source: str
    enabled: bool


class MachineCommands:
    """Commands for `machine`, served on its main loop."""

    def __init__(self, machine: Machine) -> None:
        self._machine = machine
        self._turn = asyncio.Lock()
        self.commands = Commands()
        self.commands.waiting = lambda: machine.preconfig
        human = HumanCommand(machine, self.commands)
        for name, make in qemu_commands(machine).items():
            self.commands.add_later(name, make)
        for name, function in (
            ("query-status", self.query_status),
            ("query-name", self.query_name),
            ("query-commands", self.query_commands),
            ("query-events", self.query_events),
            ("query-qmp-schema", self.query_schema),
            ("x-exit-preconfig", self.exit_preconfig),
            ("guest-errors", self.guest_errors),
            ("plugins", self.plugins),
            ("query-accelerator", self.query_accelerator),
            ("query-displays", self.query_displays),
            ("stop", self.stop),
            ("cont", self.cont),
            ("quit", self.quit),
            ("system_reset", self.system_reset),
            ("swap-accelerator", self.swap_accelerator),
            ("snapshot-save", self.snapshot_save),
            ("input-send-event", InputCommands(machine).send),
            ("send-key", InputCommands(machine).send_key),
            ("human-monitor-command", human.human_monitor_command),
            ("human-monitor-completions", human.human_monitor_completions),
        ):
            self.commands.add_own(name, function)

    @early
    def query_status(self) -> StatusInfo:
        """Whether the machine runs, and if not, why."""
        state = self._machine.state
        status = self._machine.paused_for if state is RunState.PAUSED else state.value
        if self._machine.incoming is not None and self._machine.incoming.waiting:
            status = "inmigrate"
        return {"running": state is RunState.RUNNING, "singlestep": False, "status": cast(Status, status)}

    @early
    def query_name(self) -> NameInfo:
        """The machine's name."""
        return {"name": self._machine.name}

    @early
    def query_commands(self) -> list[Named]:
        """The names of all commands."""
        return [{"name": command.name} for command in self.commands.all()]

    @early
    def query_events(self) -> list[Named]:
        """The names of all events."""
        from ..qmp.events import all_events  # only now: few ask

        return [{"name": name} for name in sorted(all_events(self._machine))]

    @early
    def query_schema(self) -> list[SchemaEntry]:
        """Every command, event and type, in QEMU's form."""
        from ..qmp.events import all_events
        from .schema import introspection  # only now: few ask

        return introspection(self.commands.all(), all_events(self._machine))

    @early
    def exit_preconfig(self) -> None:
        """The machine is as it is to be: it begins, or waits for `cont` if it was started so."""
        machine = self._machine
        if not machine.preconfig:
            raise CommandError("The command is permitted only before machine initialization")
        machine.preconfig = False
        if not machine.starts_paused:
            machine.resume()

    def query_accelerator(self) -> Named:
        """The name of what the machine's CPUs run on."""
        assert self._machine.accelerator is not None
        return {"name": name_of(self._machine.accelerator)}

    def query_displays(self) -> list[DisplayLink]:
        """Where the machine can be looked at."""
        displays = self._machine.backends.get("displays", {})
        return [{"id": id, "link": display.link} for id, display in displays.items()]

    def guest_errors(self) -> list[str]:
        """The last things that the guest did wrong, oldest first."""
        with self._machine.lock:
            return list(self._machine.guest_errors)

    def plugins(self) -> list[PluginInfo]:
        """The plugins that are installed."""
        return [
            {"kind": kind, "name": plugin.name, "source": plugin.source, "enabled": not plugin.switched_off_by}
            for kind in KINDS
            for plugin in plugins(kind)
        ]

    async def stop(self) -> None:
        """Pauses the machine."""
        async with self._turn:
            self._machine.pause()

    async def cont(self) -> None:
        """Goes on."""
        async with self._turn:
            incoming = self._machine.incoming
            if incoming is not None and incoming.waiting:
                incoming.runs = True
                return
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
        from ..qmp.events import PROGRESS
        from ..snapshot import save_running  # only now: numpy and zstandard take time to import

        loop, machine = asyncio.get_running_loop(), self._machine

        def tell(done: int, total: int) -> None:
            data = {"done": done, "total": total}
            event = partial(machine.hooks.call.machine_event, machine=machine, name=PROGRESS, data=data)
            loop.call_soon_threadsafe(event)

        async with self._turn:
            await save_running(machine, path, tell)
