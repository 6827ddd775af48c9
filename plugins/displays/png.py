"""The display `png`: a picture of a screen in a file, kept up to date."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os

from southbridge.display import Display, View
from southbridge.display.screendump import console_named, write_picture
from southbridge.display.surface import Pixels
from southbridge.errors import SouthbridgeError
from southbridge.properties import FilePath, Property

log = logging.getLogger(__name__)


class PngDisplay(Display):
    """Keeps a picture of what a graphics device shows in a file."""

    path: FilePath = Property(doc="The file. It is replaced whole.")
    device: str | None = Property(None, doc="The graphics device's id; by default the first one.")
    interval: int = Property(1000, ge=20, le=3_600_000, doc="How often it looks, in milliseconds.")

    _view: View | None = None
    _task: asyncio.Task[None] | None = None

    def open(self) -> None:
        """Raises SouthbridgeError if there is no such folder, or it can't be written to."""
        folder = self.path.absolute().parent
        if not os.access(folder, os.W_OK | os.X_OK):
            raise SouthbridgeError(f"can't write to {folder}")

    async def start(self) -> None:
        """Raises SouthbridgeError if there is no such device."""
        console = console_named(self.machine, self.device)
        with self.machine.lock:
            self._view = console.view()
        self._task = asyncio.create_task(self._look())

    async def stop(self) -> None:
        """See Display."""
        if self._task is not None:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task
            self._task = None
            pixels = self._changed()
            if pixels is not None:
                self._write(pixels)

    def close(self) -> None:
        """See Display."""
        if self._view is not None:
            with self.machine.lock:
                self._view.close()

    async def _look(self) -> None:
        while True:
            pixels = self._changed()
            if pixels is not None:
                await asyncio.to_thread(self._write, pixels)
            await asyncio.sleep(self.interval / 1000)

    def _changed(self) -> Pixels | None:
        """What shows now, if it isn't what showed before."""
        assert self._view is not None
        with self.machine.lock:
            damage = self._view.refresh()
            return self._view.console.surface.pixels.copy() if damage.rectangles else None

    def _write(self, pixels: Pixels) -> None:
        unfinished = self.path.with_name(f".{self.path.name}.{os.getpid()}")
        try:
            with unfinished.open("wb") as file:
                write_picture(file, pixels, "png")
            unfinished.replace(self.path)
        except OSError as error:
            log.error("%s: can't write %s: %s", self.id, self.path, error.strerror)
            unfinished.unlink(missing_ok=True)
