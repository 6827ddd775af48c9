"""What libxl needs to save, restore and migrate a domain: the devices' state, and which pages they write."""

from __future__ import annotations

import asyncio
import os
from typing import TYPE_CHECKING, NotRequired, TypedDict

from ..errors import SouthbridgeError
from ..fdsets import FD_SETS
from ..life import RunState

if TYPE_CHECKING:
    from ..control.commands import Function
    from ..machine import Machine


class ReplicationStatus(TypedDict):
    """What query-xen-replication-status tells."""

    error: bool
    desc: NotRequired[str]


class XenCommands:
    """The domain's memory and CPUs are the hypervisor's to save; the devices are ours."""

    def __init__(self, machine: Machine) -> None:
        self._machine = machine

    def commands(self) -> dict[str, Function]:
        """By name."""
        return {
            "xen-set-global-dirty-log": self.set_global_dirty_log,
            "xen-save-devices-state": self.save_devices_state,
            "xen-load-devices-state": self.load_devices_state,
            "query-xen-replication-status": self.query_replication,
        }

    def set_global_dirty_log(self, enable: bool) -> None:
        """Somebody copies the guest's memory while it runs, and is told of each page that we write, or no longer."""
        with self._machine.lock:
            self._machine.hooks.call.dirty_log_everywhere(machine=self._machine, enabled=enable)

    async def save_devices_state(self, filename: str, live: bool = True) -> None:
        """Writes the devices' state to `filename`; the machine is paused for that, and if it is `live`, it has moved.

        Its images are then given up, for whoever runs it from now on; `cont` takes them back.
        """
        from ..device_state import devices_state

        machine = self._machine
        if machine.state is RunState.RUNNING:
            machine.pause()
        disks = list(machine.backends["blockdevs"].values())
        for disk in disks:
            for queue in disk.queues:
                await asyncio.to_thread(queue.drain)
        state = devices_state(machine)
        await asyncio.to_thread(_write, filename, state)
        for disk in disks:
            await asyncio.to_thread(disk.flush)
            if live:
                await asyncio.to_thread(disk.give_up)

    async def load_devices_state(self, filename: str) -> None:
        """The machine, which stands still, takes the devices' state from the file `filename`."""
        from ..device_state import load_devices_state

        if self._machine.state is RunState.RUNNING:
            raise SouthbridgeError("Cannot update device state while vm is running")
        try:
            descriptor = await asyncio.to_thread(FD_SETS.open, filename, os.O_RDONLY | os.O_CLOEXEC)
        except OSError as error:
            raise SouthbridgeError(f"Unable to open {filename}: {error.strerror}") from None
        load_devices_state(self._machine, descriptor)

    def query_replication(self) -> ReplicationStatus:
        """Whether images that are kept alike on two hosts went wrong: there are none."""
        return {"error": False}


def _write(filename: str, state: bytes) -> None:
    try:
        descriptor = FD_SETS.open(filename, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC)
        with os.fdopen(descriptor, "wb") as file:
            file.write(state)
    except OSError as error:
        raise SouthbridgeError(f"{filename}: can't write the devices' state: {error.strerror}") from None
