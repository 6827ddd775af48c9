"""Clients that others wrote: vncdotool, and TigerVNC's viewer with a window. They draw, type, point and click."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from southbridge.display.surface import Pixels
from southbridge.input import LARGEST_POSITION, LEFT

from tests.core.rfb.certificate import make_certificate
from tests.core.rfb.stage import Keys, noise

from .desktop import Desktop, desktop, program, until
from .test_display import Served, on_a_thread

PATIENCE_S = 60

Program = subprocess.Popen[bytes]


def with_input(served: Served) -> Keys:
    keys = Keys()
    served.machine.input.keyboards.append(keys)
    served.machine.input.pointers.append(keys)
    return keys


def show(served: Served, picture: Pixels) -> None:
    height, width = picture.shape
    with served.machine.lock:
        served.console.resize(width, height)
        served.console.surface.pixels[:] = picture
        served.console.changed(served.console.surface.rectangle)


def vncdotool(served: Served, *words: str) -> None:
    where = "{}::{}".format(*served.display.address)
    command = [str(Path(sys.executable).parent / "vncdo"), "-s", where, *words]
    done = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE_S)
    assert done.returncode == 0, done.stderr


def picture_in(file: Path) -> Pixels:
    with Image.open(file) as image:
        red, green, blue = np.moveaxis(np.asarray(image.convert("RGB"), dtype=np.uint32), 2, 0)
        picture: Pixels = red << 16 | green << 8 | blue
        return picture


def test_vncdotool_captures(tmp_path: Path) -> None:
    served = Served()
    picture = noise(320, 200)
    with on_a_thread(served.display):
        show(served, picture)
        vncdotool(served, "capture", str(tmp_path / "shot.png"))
    assert (picture_in(tmp_path / "shot.png") == picture).all()


def test_vncdotool_types_and_clicks() -> None:
    served = Served(password="letmein")
    keys = with_input(served)
    with on_a_thread(served.display):
        show(served, noise(320, 200))
        words = ("type", "Ls -l", "key", "enter", "key", "ctrl-c", "move", "319", "0", "click", "1")
        vncdotool(served, "-p", "letmein", *words)
    pressed = [key for key, down in keys.keys if down]
    assert pressed == ["shift", "l", "s", "spc", "minus", "l", "ret", "ctrl", "c"]
    last = keys.moves[-1]
    assert (last.x, last.y, last.released) == (LARGEST_POSITION, 0, LEFT)


def see(
    screen: Desktop, served: Served, log: Path, *options: str, then: Callable[[Program], None] | None = None
) -> None:
    """TigerVNC's viewer shows the console's picture, and another one, of another size."""
    where = "{}::{}".format(*served.display.address)
    command = ["xtigervncviewer", "-AutoSelect=0", "-NoJPEG", *options, where]
    with program(screen, log, *command) as viewer:
        for picture in (noise(640, 480), noise(800, 600, 2)):
            show(served, picture)
            until(lambda: screen.shows(picture), "the picture isn't there", viewer, log)  # noqa: B023
        if then is not None:
            then(viewer)


@pytest.mark.parametrize("encoding", ["Raw", "Hextile", "Tight", "ZRLE"])
def test_tigervnc_draws(encoding: str, tmp_path: Path) -> None:
    served = Served()
    with on_a_thread(served.display), desktop(tmp_path) as screen:
        see(screen, served, tmp_path / "log", "-SecurityTypes=None", f"-PreferredEncoding={encoding}")


def test_tigervnc_types_and_points(tmp_path: Path) -> None:
    served = Served()
    keys = with_input(served)

    def use(viewer: Program) -> None:
        (window,) = screen.xdotool("search", "--onlyvisible", "--name", "TigerVNC").split()[:1]
        screen.xdotool("windowfocus", "--sync", window, "mousemove", "--window", window, "400", "300", "click", "1")
        screen.xdotool("type", "--delay", "1", "Hello")
        until(lambda: ("o", False) in keys.keys, "the keys don't come", viewer, tmp_path / "log")

    with on_a_thread(served.display), desktop(tmp_path) as screen:
        see(screen, served, tmp_path / "log", "-SecurityTypes=None", then=use)
    assert [key for key, down in keys.keys if down] == ["shift", "h", "e", "l", "l", "o"]
    click = next(move for move in keys.moves if move.pressed == LEFT)
    assert click.x is not None
    assert abs(click.x - LARGEST_POSITION // 2) < 100


def test_tigervnc_by_tls_and_a_password(tmp_path: Path) -> None:
    certificate, key = make_certificate(tmp_path)
    served = Served(tls_certificate=certificate, tls_key=key, password="letmein")
    secret = tmp_path / "passwd"
    secret.write_bytes(obfuscated(b"letmein"))
    options = ("-SecurityTypes=X509Vnc", f"-X509CA={certificate}", f"-PasswordFile={secret}")
    with on_a_thread(served.display), desktop(tmp_path) as screen:
        see(screen, served, tmp_path / "log", *options)


def obfuscated(password: bytes) -> bytes:
    """As vncpasswd writes it: by a key that is everybody's."""
    from southbridge.rfb import des

    everybodys = bytes([23, 82, 107, 6, 35, 78, 88, 7])
    return des.answer(everybodys, password.ljust(8, b"\0"))
