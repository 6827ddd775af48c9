"""Debian's drivers for graphics cards: text on a VGA, and the DRM drivers bochs and cirrus. What shows is looked at."""

from __future__ import annotations

import json
import subprocess
import sys
from hashlib import sha256
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import numpy as np
import pytest
from PIL import Image
from southbridge.display.edid import edid

from tests.guests.southbridge import PROGRAM
from tests.linux.guest import CMDLINE, PATIENCE_S, answer, control_sockets, describe, only_machine, run_linux, said, say
from tests.linux.initramfs import initramfs

READY, SHELL = b"screen: ready", b"shell: ready"
TEXT = "the quick brown fox"
SCRIPT = f"""\
dmesg -n 1
for i in $(seq 50); do [ -s /proc/fb -o -z "$(cat /modules)" ] && break; usleep 100000; done
printf '\\033[2J\\033[H\\033[?25l' > /dev/tty1
printf '\\033[44m{TEXT}\\033[0m' > /dev/tty1
echo "fb: $(cat /proc/fb)"
echo "driver: $(readlink -f /sys/class/drm/card0/device/driver | sed 's,.*/,,')"
echo "edid: $(cat /sys/class/drm/card0-*/edid | sha256sum | cut -d' ' -f1)"
echo "errors: $(bugs 'drm.*error' | wc -l)"
echo "{READY.decode()}, waiting"
read line < /dev/console
echo "{SHELL.decode()}"
sh < /dev/tty1 > /dev/tty1 2>&1 3> /dev/console
"""
TYPED = "echo typed: $((6*7))>&3"

BLUE = 0x0000A8
"""A VGA's, as its converters show it; fbcon's has AAh."""


def type_by_vnc() -> None:
    """Has vncdotool type a command for the shell on the guest's first terminal, and leave that."""
    (display,) = json.loads(subprocess.check_output([PROGRAM, "displays", only_machine(), "--json"]))
    client = Path(sys.executable).parent / "vncdo"
    where = urlsplit(display["link"]).netloc.replace(":", "::")
    words = ("type", TYPED, "key", "enter", "type", "exit", "key", "enter")
    subprocess.run([client, "-s", where, "--delay=60", *words], check=True, timeout=PATIENCE_S)


@pytest.mark.parametrize(
    ("card", "driver", "size", "cell", "blue"),
    [
        ("std_vga", "", (720, 400), (9, 16), BLUE),
        ("cirrus_vga", "", (720, 400), (9, 16), BLUE),
        ("std_vga", "bochs", (1280, 800), (8, 16), 0x0000AA),
        ("cirrus_vga", "cirrus", (1024, 768), (8, 16), None),
    ],
)
def test_a_console(
    tmp_path: Path, card: str, driver: str, size: tuple[int, int], cell: tuple[int, int], blue: int | None
) -> None:
    picture = tmp_path / "screen.png"
    initrd = initramfs(SCRIPT, [driver] if driver else [])
    machine = describe(
        tmp_path, initrd, firmware="rom", cmdline=f"console=tty0 {CMDLINE}", devices=[f"video: {{type: {card}}}"]
    )
    with machine.open("a") as description:
        description.write("displays:\n  screen: {type: vnc, display: 1, to: 200}\n")
    with control_sockets():
        dump = say("screendump", "ID", str(picture))
        result = run_linux(machine, then=[(READY, dump), (b", waiting", b"go\n"), (SHELL, type_by_vnc)])
    text = said(result)
    assert answer(text, "driver") == (driver and f"{driver}-drm" if driver == "bochs" else driver)
    assert answer(text, "errors") == "0"
    told = edid(*size) if driver == "bochs" else b""
    assert answer(text, "edid") == sha256(told).hexdigest()
    assert answer(text, "typed") == "42"
    with Image.open(picture) as image:
        assert image.size == size
        parts: Any = np.asarray(image.convert("RGB")).astype(np.uint32)
    pixels = parts[:, :, 0] << 16 | parts[:, :, 1] << 8 | parts[:, :, 2]
    width, height = cell
    shown = pixels[:height, : width * len(TEXT)]
    colors, counts = np.unique(shown, return_counts=True)
    assert len(colors) == 2, "letters on a ground"
    ground = int(colors[counts.argmax()])
    assert ground & 0xFFFF00 == 0 and ground >= 0xA0 if blue is None else ground == blue
    letters = [shown[:, width * index : width * (index + 1)] != ground for index in range(len(TEXT))]
    for index, letter in enumerate(TEXT):
        assert letters[index].any() is np.bool_(letter != " ")
        first = TEXT.index(letter)
        assert np.array_equal(letters[index], letters[first])
    assert not pixels[height:, :].any()
