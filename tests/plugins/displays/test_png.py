"""The display `png`."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image
from southbridge.display import GraphicConsole, Rectangle
from southbridge.errors import SouthbridgeError
from southbridge.machine import Machine
from southbridge.plugins.displays.none import NoDisplay
from southbridge.plugins.displays.png import PngDisplay
from southbridge.units import MiB


@pytest.fixture
def machine() -> Machine:
    machine = Machine(memory=1 * MiB)
    machine.consoles.append(GraphicConsole("card", lambda: None))
    return machine


def paint(machine: Machine, color: int) -> None:
    """The guest draws."""
    console = machine.consoles[0]
    console.surface.pixels[:] = color
    console.changed(Rectangle(0, 0, 5, 5))


def shown(path: Path) -> tuple[int, ...]:
    """The left upper pixel."""
    with Image.open(path) as image:
        pixel = image.convert("RGB").getpixel((0, 0))
    assert isinstance(pixel, tuple)
    return tuple(int(part) for part in pixel)


def run(machine: Machine, display: PngDisplay, meanwhile: Callable[[], None] = lambda: None) -> None:
    """From the machine's start to its end."""

    async def life() -> None:
        await display.start()
        meanwhile()
        await display.stop()

    display.machine = machine
    display.open()
    asyncio.run(life())
    display.close()
    display.close()


def test_the_last_picture_is_there_at_the_end(machine: Machine, tmp_path: Path) -> None:
    path = tmp_path / "screen.png"
    run(machine, PngDisplay(path=path), lambda: paint(machine, 0x112233))
    assert shown(path) == (0x11, 0x22, 0x33)
    assert list(tmp_path.iterdir()) == [path]
    assert not machine.consoles[0].is_watched


def test_changes_are_written_as_it_goes_on(machine: Machine, tmp_path: Path) -> None:
    path = tmp_path / "screen.png"
    display = PngDisplay(path=path, interval=20)
    display.machine = machine

    async def life() -> None:
        await display.start()
        for color in (0x010101, 0x020202):
            paint(machine, color)
            while not path.exists() or shown(path)[0] != color & 0xFF:
                await asyncio.sleep(0.005)
        await display.stop()

    asyncio.run(asyncio.wait_for(life(), 30))


def test_what_is_refused(machine: Machine, tmp_path: Path) -> None:
    with pytest.raises(SouthbridgeError, match=r"can't write to .*nowhere"):
        PngDisplay(path=tmp_path / "nowhere" / "screen.png").open()
    with pytest.raises(SouthbridgeError, match="no screen 'x'"):
        run(machine, PngDisplay(path=tmp_path / "screen.png", device="x"))


def test_none(machine: Machine) -> None:
    display = NoDisplay()
    display.machine = machine
    display.open()
    asyncio.run(display.start())
    asyncio.run(display.stop())
    display.close()
    assert not machine.consoles[0].is_watched
