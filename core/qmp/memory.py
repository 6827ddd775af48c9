"""query-memory-size-summary, pmemsave."""

from __future__ import annotations

import asyncio
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
        return {"query-memory-size-summary": self.query_memory_size_summary, "pmemsave": self.pmemsave}

    def query_memory_size_summary(self) -> MemoryInfo:
        """How much there is."""
        return {"base-memory": self._machine.ram.size, "plugged-memory": 0}

    async def pmemsave(self, val: int, size: int, filename: str) -> None:
        """Writes `size` bytes of physical memory, from the address `val` on, to a file; there must be memory."""
        if val < 0 or size < 0:
            raise SouthbridgeError("expected val and size from 0 on")
        await asyncio.to_thread(self._save, val, size, Path(filename))

    def _save(self, address: int, size: int, path: Path) -> None:
        machine = self._machine
        try:
            with path.open("wb") as file:
                for at in range(address, address + size, MiB):
                    with machine.lock:
                        data = machine.hooks.memory_read(at, min(MiB, address + size - at))
                    file.write(data)
        except OSError as error:
            raise SouthbridgeError(f"{path}: {error.strerror}") from None
        except GuestMemoryError as error:
            path.unlink(missing_ok=True)
            raise SouthbridgeError(str(error)) from None
