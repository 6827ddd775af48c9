"""A machine with a console that a test draws on, a server that shows it, and viewers on pairs of sockets."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Awaitable, Callable
from typing import Any

import numpy as np
from southbridge.display import GraphicConsole, Rectangle
from southbridge.display.surface import Pixels
from southbridge.input import PointerEvent
from southbridge.machine import Machine
from southbridge.rfb.security import Security
from southbridge.rfb.server import Server
from southbridge.rfb.stream import SocketStream
from southbridge.units import MiB

from .viewer import Format, Viewer


class Keys:
    """A keyboard and a pointer that the guest uses."""

    def __init__(self, absolute: bool = True) -> None:
        self.absolute = absolute
        self.takes_input = True
        self.keys: list[tuple[str, bool]] = []
        self.moves: list[PointerEvent] = []

    def key_event(self, key: str, pressed: bool) -> None:
        self.keys.append((key, pressed))

    def pointer_event(self, event: PointerEvent) -> None:
        self.moves.append(event)


class Stage:
    """What tests of the server need, inside of a running loop."""

    def __init__(self, width: int = 100, height: int = 70, **server: Any) -> None:
        self.machine = Machine(memory=1 * MiB, name="stage")
        self.updates = 0
        self.watched: list[bool] = []
        self.console = GraphicConsole("vga", self._updated, self.watched.append)
        self.console.resize(width, height)
        self.input = Keys()
        self.machine.input.keyboards.append(self.input)
        self.machine.input.pointers.append(self.input)
        self.security = server.pop("security", Security())
        self.server = Server(self.machine, self.console, self.security, **server)
        self.tasks: list[Any] = []

    def _updated(self) -> None:
        self.updates += 1

    def draw(self, pixels: Pixels, x: int = 0, y: int = 0, said: Rectangle | None = None) -> None:
        """What the guest draws; `said` is where the device says that something changed, instead of just there."""
        height, width = pixels.shape
        self.console.surface.pixels[y : y + height, x : x + width] = pixels
        self.console.changed(said or Rectangle(x, y, width, height))

    async def connect(self) -> Viewer:
        """A viewer whose handshake is still to come."""
        ours, theirs = socket.socketpair()
        self.tasks.append(self.server.serve(SocketStream(*await asyncio.open_connection(sock=ours))))
        return Viewer(*await asyncio.open_connection(sock=theirs))

    async def viewer(self, *encodings: int, pixel_format: Format | None = None) -> Viewer:
        """A viewer that is in."""
        viewer = await self.connect()
        await viewer.enter()
        if pixel_format is not None:
            viewer.set_format(pixel_format)
        if encodings:
            viewer.set_encodings(*encodings)
        return viewer

    def seen(self, viewer: Viewer) -> bool:
        """The viewer has the console's picture, in its format."""
        pixels: list[list[int]] = self.console.surface.pixels.tolist()
        if viewer.format == Format():
            return bool(viewer.picture == pixels)
        expected = [[viewer.format.expected(pixel) for pixel in row] for row in pixels]
        return viewer.picture == expected


def staged(test: Callable[[Stage], Awaitable[None]], width: int = 100, height: int = 70, **server: Any) -> None:
    """Runs `test` on a stage, within a minute."""

    async def run() -> None:
        stage = Stage(width, height, **server)
        try:
            async with asyncio.timeout(60):
                await test(stage)
        finally:
            await stage.server.stop()

    asyncio.run(run())


def noise(width: int, height: int, seed: int = 1, colours: int = 1 << 24) -> Pixels:
    """A picture of many colours."""
    return np.random.default_rng(seed).integers(0, colours, (height, width), dtype=np.uint32)
