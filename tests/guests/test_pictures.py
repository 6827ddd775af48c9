"""Every mode of the video BIOSes, drawn by a guest: pixel by pixel what it must be, here and in QEMU."""

from __future__ import annotations

import json
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from tests.core.qemu_system.program import PROGRAM
from tests.guests.build import assemble, need
from tests.guests.pictures.expected import Picture, Said, picture

PATIENCE_S = 120.0
WIDEST = {"std": 1280, "cirrus": 1280, "isa": 640}
"""Pixels of a row. Wider modes are not other ones, only slower; the ISA card's chip is the other one's."""
GUEST = Path(__file__).parent / "pictures" / "boot.asm"


class Running:
    """A program with QEMU's command line that runs the guest."""

    def __init__(self, command: list[str], folder: Path, image: Path, card: list[str]) -> None:
        self._folder = folder
        options = [
            *("-machine", "pc", "-m", "64", "-nodefaults", "-display", "none", *card, "-S"),
            *("-chardev", f"socket,id=com1,path={folder}/com1,server=on,wait=off", "-serial", "chardev:com1"),
            *("-chardev", f"socket,id=qmp,path={folder}/qmp,server=on,wait=off", "-mon", "chardev=qmp,mode=control"),
            *("-drive", f"file={image},format=raw,if=ide,index=0,media=disk,readonly=off"),
        ]
        self._process = subprocess.Popen([*command, *options], stdin=subprocess.DEVNULL)
        self._qmp = self._connect("qmp").makefile("rw")
        self._qmp.readline()
        self.say("qmp_capabilities")
        self._com1 = self._connect("com1")
        self._lines = self._com1.makefile("r", encoding="ascii")
        self.say("cont")

    def _connect(self, name: str) -> socket.socket:
        deadline = time.monotonic() + PATIENCE_S
        while True:
            connection = socket.socket(socket.AF_UNIX)
            connection.settimeout(PATIENCE_S)
            try:
                connection.connect(str(self._folder / name))
            except OSError:
                connection.close()
                assert time.monotonic() < deadline and self._process.poll() is None, "it doesn't run"
                time.sleep(0.01)
            else:
                return connection

    def say(self, command: str, **arguments: Any) -> None:
        """Has a QMP command done."""
        self._qmp.write(json.dumps({"execute": command, "arguments": arguments}) + "\n")
        self._qmp.flush()
        while "event" in (answer := json.loads(self._qmp.readline())):
            pass
        assert "return" in answer, answer

    def pictures(self) -> Iterator[tuple[Said, Picture]]:
        """What the guest says of each mode, and the picture there."""
        file = self._folder / "picture.ppm"
        while (line := self._lines.readline()).strip() != "E":
            self.say("screendump", filename=str(file))
            with Image.open(file) as image:
                parts: Any = np.asarray(image.convert("RGB")).astype(np.uint32)
            yield Said.of(line), parts[:, :, 0] << 16 | parts[:, :, 1] << 8 | parts[:, :, 2]
            self._com1.sendall(b"\n")

    def end(self) -> None:
        """Ends it."""
        self._process.terminate()
        self._process.wait(PATIENCE_S)


def unlike(said: Said, shown: Picture, program: str) -> str:
    """How the picture differs from what it must be; "" if it doesn't.

    QEMU leaves out the low bits of a colour's five in modes of 15 bits, which make white white; and it has no planes in
    VBE's modes of 4 bits: the map mask (SR02) has no effect there. It doesn't underline in the monochrome mode, which a
    monochrome adapter does on the line that CR14 says.
    """
    expected = picture(said, underlines=program != "qemu")
    if program == "qemu" and said.bits == 15:
        expected, shown = (drawn & np.uint32(0xF8F8F8) for drawn in (expected, shown))
    if program == "qemu" and said.bits == 4:
        return ""
    if expected.shape != shown.shape:
        return f"{said}: {shown.shape}, not {expected.shape}"
    wrong = np.argwhere(expected != shown)
    if not len(wrong):
        return ""
    y, x = wrong[0].tolist()
    return f"{said}: {len(wrong)} pixels, the first at {x}, {y}: {shown[y, x]:06x}, not {expected[y, x]:06x}"


CARDS = {"std": ["-vga", "std"], "cirrus": ["-vga", "cirrus"], "isa": ["-vga", "none", "-device", "isa-cirrus-vga"]}


@pytest.mark.parametrize("card", CARDS)
@pytest.mark.parametrize("program", ["southbridge", "qemu"])
def test_every_mode(images: Path, program: str, card: str) -> None:
    ours = [str(PROGRAM), "-accel", "unicorn"]
    theirs = [need("qemu-system-x86_64", "qemu-system-x86"), "-accel", "tcg"]
    with tempfile.TemporaryDirectory() as folder:
        image = Path(folder, "guest.img")
        image.write_bytes(assemble(GUEST, images, {"WIDEST": WIDEST[card]}).read_bytes().ljust(1 << 20, b"\0"))
        running = Running(ours if program == "southbridge" else theirs, Path(folder), image, CARDS[card])
        try:
            found = [(said, unlike(said, shown, program)) for said, shown in running.pictures()]
        finally:
            running.end()
    wrong = [problem for _, problem in found if problem]
    assert not wrong, "\n".join(wrong)
    assert {said.mode for said, _ in found if not said.vbe} >= {*range(8), *range(0xD, 0x14)}
    assert {said.bits for said, _ in found if said.vbe} == (
        {4, 8, 15, 16, 24, 32} if card == "std" else {8, 15, 16, 24}
    )
