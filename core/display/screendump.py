"""Screenshots: what a console shows, as a picture in a file."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

import numpy as np

from ..errors import SouthbridgeError

if TYPE_CHECKING:
    from ..machine import Machine
    from .console import GraphicConsole
    from .surface import Pixels

FORMATS = ("png", "ppm")


def console_named(machine: Machine, name: str | None) -> GraphicConsole:
    """The console of the device `name`, by default the first. Raises SouthbridgeError if there is none."""
    found = next((console for console in machine.consoles if name in (None, console.name)), None)
    if found is None:
        there = ", ".join(console.name for console in machine.consoles)
        what = "the machine has no screen" if name is None else f"there is no screen {name!r}"
        raise SouthbridgeError(f"{what}{f' (there are: {there})' if there else ''}")
    return found


def picture(machine: Machine, console: GraphicConsole) -> Pixels:
    """What `console` shows now."""
    with machine.lock:
        view = console.view()
        try:
            view.refresh()
            return console.surface.pixels.copy()
        finally:
            view.close()


def write_picture(file: BinaryIO, pixels: Pixels, format: str) -> None:
    """Writes `pixels` as a picture of `format`, one of FORMATS."""
    height, width = pixels.shape
    shifts = np.array([16, 8, 0], np.uint32)
    parts = (pixels[:, :, None] >> shifts).astype(np.uint8)
    if format == "ppm":
        file.write(b"P6\n%d %d\n255\n" % (width, height) + parts.tobytes())
        return
    from PIL import Image  # only now: it takes time to import

    Image.fromarray(parts).save(file, "PNG", compress_level=1)


def screendump(machine: Machine, path: Path, format: str | None = None, name: str | None = None) -> None:
    """Writes what the screen of device `name` shows to `path`; by default the first screen's.

    `format` is one of FORMATS; by default what the file's name says, else PPM. Raises SouthbridgeError.
    """
    console = console_named(machine, name)
    if format is None:
        format = "png" if path.suffix.lower() == ".png" else "ppm"
    if format not in FORMATS:
        raise SouthbridgeError(f"there is no picture format {format!r}; expected {' or '.join(FORMATS)}")
    pixels = picture(machine, console)
    try:
        with path.open("wb") as file:
            write_picture(file, pixels, format)
    except OSError as error:
        raise SouthbridgeError(f"can't write {path}: {error.strerror}") from None
