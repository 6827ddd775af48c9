"""Debian's drivers for graphics cards: text on a VGA, and the DRM drivers bochs and cirrus. What shows is looked at."""

from __future__ import annotations

from hashlib import md5
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from southbridge.display.edid import edid

from tests.linux.guest import CMDLINE, answer, control_sockets, describe, run_linux, said, say
from tests.linux.initramfs import initramfs

READY = b"screen: ready"
TEXT = "the quick brown fox"
SCRIPT = f"""\
dmesg -n 1
for i in $(seq 50); do [ -s /proc/fb -o -z "$(cat /modules)" ] && break; usleep 100000; done
printf '\\033[2J\\033[H\\033[?25l' > /dev/tty1
printf '\\033[44m{TEXT}\\033[0m' > /dev/tty1
echo "fb: $(cat /proc/fb)"
echo "driver: $(readlink -f /sys/class/drm/card0/device/driver | sed 's,.*/,,')"
echo "edid: $(cat /sys/class/drm/card0-*/edid | md5sum | cut -d' ' -f1)"
echo "errors: $(dmesg | grep -c -e 'BUG:' -e 'Call Trace' -e 'drm.*ERROR')"
echo "{READY.decode()}, waiting"
read line < /dev/console
"""

BLUE = 0x0000A8
"""A VGA's, as its converters show it; fbcon's has AAh."""


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
    with control_sockets():
        dump = say("screendump", "ID", str(picture))
        result = run_linux(machine, then=[(READY, dump), (b", waiting", b"go\n")])
    text = said(result)
    assert answer(text, "driver") == (driver and f"{driver}-drm" if driver == "bochs" else driver)
    assert answer(text, "errors") == "0"
    told = edid(*size) if driver == "bochs" else b""
    assert answer(text, "edid") == md5(told, usedforsecurity=False).hexdigest()
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
