"""An X server without a screen (Xvfb), for real clients with windows: what it shows, and keys and a pointer for it."""

from __future__ import annotations

import contextlib
import mmap
import os
import struct
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from southbridge.display.surface import Pixels

PATIENCE_S = 60


class Desktop:
    """One of 1024 by 768 pixels, and `environment` for programs that open windows on it."""

    def __init__(self, folder: Path, number: str) -> None:
        self.environment = {**os.environ, "DISPLAY": f":{number}", "HOME": str(folder), "XDG_CONFIG_HOME": str(folder)}
        self._file = folder / "Xvfb_screen0"

    def shot(self) -> Pixels:
        """What it shows. Xvfb keeps it in a file of xwd's format: a header, a colour map, and rows of pixels."""
        with self._file.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
            header = struct.unpack(">25I", data[:100])
            size, width, height, little, row, colours = (header[index] for index in (0, 4, 5, 7, 12, 19))
            assert header[11] == 32
            start = size + 12 * colours
            pixels = np.frombuffer(data[start : start + row * height], dtype="<u4" if not little else ">u4")
            return (pixels.reshape(height, row // 4)[:, :width] & 0xFFFFFF).astype(np.uint32)

    def xdotool(self, *words: str) -> str:
        """What a user does, in xdotool's words."""
        return subprocess.run(
            ["xdotool", *words], env=self.environment, check=True, capture_output=True, text=True, timeout=PATIENCE_S
        ).stdout

    def shows(self, picture: Pixels) -> bool:
        """Whether that picture is on it somewhere."""
        shot = self.shot()
        height, width = picture.shape
        firsts = np.argwhere(shot[: 1 - height or None, : 1 - width or None] == picture[0, 0])
        return any((shot[y : y + height, x : x + width] == picture).all() for y, x in firsts.tolist())


@contextmanager
def desktop(folder: Path) -> Iterator[Desktop]:
    """A desktop, while the block lasts."""
    reader, writer = os.pipe()
    words = ["Xvfb", "-displayfd", str(writer), "-screen", "0", "1024x768x24", "-fbdir", str(folder)]
    server = subprocess.Popen(
        [*words, "-nolisten", "tcp"], pass_fds=[writer], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    os.close(writer)
    try:
        with os.fdopen(reader) as pipe:
            number = pipe.readline().strip()
        assert number, "Xvfb doesn't start"
        yield Desktop(folder, number)
    finally:
        server.terminate()
        server.wait(PATIENCE_S)


@contextmanager
def program(desktop: Desktop, log: Path, *words: str) -> Iterator[subprocess.Popen[bytes]]:
    """A program with a window, while the block lasts."""
    with log.open("wb") as output:
        process = subprocess.Popen(words, env=desktop.environment, stdout=output, stderr=output)
    try:
        yield process
    finally:
        process.terminate()
        process.wait(PATIENCE_S)


def until(condition: Callable[[], bool], what: str, process: subprocess.Popen[bytes], log: Path) -> None:
    """Looks again and again until `condition()`; fails if the program ends, or time does."""
    deadline = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < deadline, f"{what}: {log.read_text()}"
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(0.02)
            raise AssertionError(f"the program has ended: {log.read_text()}")
