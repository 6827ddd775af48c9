"""Screenshots."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from southbridge.display import GraphicConsole
from southbridge.display.screendump import screendump
from southbridge.errors import SouthbridgeError
from southbridge.machine import Machine
from southbridge.units import MiB


@pytest.fixture
def machine() -> Machine:
    """With two screens: a blue one, and a red one whose device draws when it is asked to."""
    machine = Machine(memory=1 * MiB)
    for name, color in (("blue", 0x0000FF), ("red", 0xFE0102)):
        console = GraphicConsole(name, lambda: None)
        console.resize(5, 3)
        machine.consoles.append(console)
        console.update = lambda console=console, color=color: console.surface.pixels.fill(color)  # type: ignore[misc]
    return machine


def pixels(path: Path) -> list[int]:
    """The colours in a picture of five by three."""
    with Image.open(path) as image:
        assert image.size == (5, 3)
        values = np.asarray(image.convert("RGB"), np.uint32) @ np.array([65536, 256, 1], np.uint32)
        return sorted({int(value) for value in values.flat})


def test_formats(machine: Machine, tmp_path: Path) -> None:
    for name, format, kind in (
        ("a.png", None, "PNG"),
        ("a", "png", "PNG"),
        ("b", None, "PPM"),
        ("c.png", "ppm", "PPM"),
    ):
        screendump(machine, tmp_path / name, format)
        with Image.open(tmp_path / name) as image:
            assert image.format == kind
        assert pixels(tmp_path / name) == [0x0000FF]


def test_another_screen(machine: Machine, tmp_path: Path) -> None:
    screendump(machine, tmp_path / "red.png", name="red")
    assert pixels(tmp_path / "red.png") == [0xFE0102]
    assert not machine.consoles[1].is_watched


def test_what_is_refused(machine: Machine, tmp_path: Path) -> None:
    with pytest.raises(SouthbridgeError, match=r"no screen 'green' \(there are: blue, red\)"):
        screendump(machine, tmp_path / "x", name="green")
    with pytest.raises(SouthbridgeError, match="no picture format 'gif'; expected png or ppm"):
        screendump(machine, tmp_path / "x", "gif")
    with pytest.raises(SouthbridgeError, match=r"can.t write .*: No such file or directory"):
        screendump(machine, tmp_path / "nowhere" / "x")
    machine.consoles.clear()
    with pytest.raises(SouthbridgeError, match="the machine has no screen"):
        screendump(machine, tmp_path / "x")
