"""screendump: a picture of what a graphics device shows, in a file."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from ..control.commands import Function
    from ..machine import Machine


class ScreenCommands:
    """What is on the machine's screens."""

    def __init__(self, machine: Machine) -> None:
        self._machine = machine

    def commands(self) -> dict[str, Function]:
        """By name."""
        return {"screendump": self.screendump}

    async def screendump(
        self,
        filename: str,
        device: str | None = None,
        head: int | None = None,
        format: Literal["ppm", "png"] | None = None,
    ) -> None:
        """Writes what `device`, by default the first one, shows to a file; PPM if `format` doesn't say otherwise."""
        from ..display.screendump import screendump  # only now: a machine without a screen needs no arrays

        await asyncio.to_thread(screendump, self._machine, Path(filename), format or "ppm", device)
