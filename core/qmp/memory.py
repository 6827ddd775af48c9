"""query-memory-size-summary, memsave, pmemsave."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, NotRequired, TypedDict

from ..errors import GuestMemoryError, SouthbridgeError
from ..units import MiB

if TYPE_CHECKING:
    from ..control.commands import Function
    from ..machine import Machine

MemoryInfo = TypedDict("MemoryInfo", {"base-memory": int, "plugged-memory": NotRequired[int]})
"""In bytes: what the machine was started with, and what came later."""


class MemoryCommands:
    """The guest's memory."""

    def __init__(self, machine: Machine) -> None:
        self._machine = machine

    def commands(self) -> dict[str, Function]:
        """By name."""
        return {
            "query-memory-size-summary": self.query_memory_size_summary,
            "memsave": self.memsave,
            "pmemsave": self.pmemsave,
        }

    def query_memory_size_summary(self) -> MemoryInfo:
        """How much there is."""
        return {"base-memory": self._machine.ram.size, "plugged-memory": 0}

    async def memsave(self, val: int, size: int, filename: str, cpu_index: int = 0) -> None:
        """Writes `size` bytes of what a CPU sees from the virtual address `val` on to a file; it must be mapped."""
        from ..paging import read_virtual  # only now: few ask

        machine = self._machine
        thread = machine.cpus.thread_of(cpu_index)
        if thread is None:
            raise SouthbridgeError("Parameter 'cpu-index' expects a CPU number")
        with machine.standing_still():
            state = thread.save()
        await self._save(val, size, filename, partial(read_virtual, machine, state))

    async def pmemsave(self, val: int, size: int, filename: str) -> None:
        """Writes `size` bytes of physical memory, from the address `val` on, to a file; there must be memory."""
        await self._save(val, size, filename, self._machine.hooks.memory_read)

    async def _save(self, address: int, size: int, filename: str, read: Callable[[int, int], bytes]) -> None:
        if address < 0 or size < 0:
            raise SouthbridgeError("expected val and size from 0 on")
        await asyncio.to_thread(self._write, address, size, Path(filename), read)

    def _write(self, address: int, size: int, path: Path, read: Callable[[int, int], bytes]) -> None:
        try:
            with path.open("wb") as file:
                for at in range(address, address + size, MiB):
                    with self._machine.lock:
                        data = read(at, min(MiB, address + size - at))
                    file.write(data)
        except OSError as error:
            raise SouthbridgeError(f"{path}: {error.strerror}") from None
        except GuestMemoryError as error:
            path.unlink(missing_ok=True)
            raise SouthbridgeError(str(error)) from None
