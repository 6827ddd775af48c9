"""Debian's Linux by VNC, with vncdotool: its console is to be seen, and what is typed arrives in a shell."""

from __future__ import annotations

import struct
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from southbridge.control.client import find_machine
from southbridge.control.folder import live
from southbridge.input import LARGEST_POSITION

from tests.linux.guest import CMDLINE, PATIENCE_S, answer, control_sockets, describe, run_linux, said
from tests.linux.initramfs import initramfs

KEY, ABS = 1, 3
X, LEFT_BUTTON = 0, 0x110
WIDTH = 720
"""Of the text mode, in pixels."""

SHELL = """
setsid sh -c 'exec sh -i < /dev/tty1 > /dev/tty1 2>&1' &
shell=$!
echo "ready: shell"
wait $shell
echo "typed: $(cat /tmp/typed)"
"""

POINTER = """
until_is() { while ! eval "$1"; do usleep 20000; done; }
until_is 'ls /dev/input/event* >/dev/null 2>&1 && grep -q Tablet /sys/class/input/event*/device/name'
event=$(dirname $(dirname $(grep -l Tablet /sys/class/input/event*/device/name)))
dd if=/dev/input/${event##*/} bs=24 count=5 of=/tmp/events 2>/dev/null &
until_is "ls -l /proc/$!/fd | grep -q input"
echo "ready: tablet"
wait $!
echo "events: $(hexdump -v -e '24/1 "%02x" " "' /tmp/events)"
"""


@pytest.fixture(autouse=True)
def sockets() -> Iterator[None]:
    with control_sockets():
        yield


def vncdotool(*words: str) -> Callable[[], None]:
    """What has the client do these words at the only machine there."""

    def run() -> None:
        (id,) = live()
        with find_machine(id) as machine:
            server: Any = machine.run("query-vnc")
        where = f"{server['host']}::{server['service']}"
        command = [str(Path(sys.executable).parent / "vncdo"), "-s", where, *words]
        subprocess.run(command, check=True, timeout=PATIENCE_S)

    return run


def described(folder: Path, script: str, modules: tuple[str, ...] = (), devices: tuple[str, ...] = ()) -> Path:
    description = describe(
        folder,
        initramfs(script, modules),
        cmdline=f"{CMDLINE} vt.global_cursor_default=0",
        firmware="rom",
        devices=["video: {type: std_vga}", *devices],
    )
    with description.open("a") as file:
        file.write("displays:\n  screen: {type: vnc, port: 0}\n")
    return description


def test_what_is_typed_arrives_in_the_shell_and_is_seen(tmp_path: Path) -> None:
    command = "echo Hello, $((6 * 7)) \\| {VNC} > /tmp/typed"
    shots = [tmp_path / name for name in ("before.png", "after.png")]
    text = said(
        run_linux(
            described(tmp_path, SHELL),
            then=[
                (
                    b"ready: shell",
                    vncdotool(
                        *("capture", str(shots[0]), "type", command, "pause", "1", "capture", str(shots[1])),
                        *("key", "enter", "type", "exit", "key", "enter"),
                    ),
                )
            ],
        )
    )
    assert answer(text, "typed") == "Hello, 42 | {VNC}"
    before, after = (np.asarray(Image.open(shot).convert("L")) for shot in shots)
    assert after.any(), "nothing is on the screen"
    assert (before != after).any(), "what is typed isn't seen"


def test_clicks_reach_a_tablet(tmp_path: Path) -> None:
    modules = ("uhci_hcd", "usbhid", "hid_generic", "evdev")
    devices = ("usb: {type: piix3-usb-uhci, addr: '01.2'}", "tablet: {type: usb-tablet}")
    text = said(
        run_linux(
            described(tmp_path, POINTER, modules, devices),
            then=[(b"ready: tablet", vncdotool("move", "100", "0", "click", "1"))],
        )
    )
    found = [struct.unpack("<HHi", bytes.fromhex(event)[16:]) for event in answer(text, "events").split()]
    absolute = {code: value for kind, code, value in found if kind == ABS}
    assert absolute[X] == 100 * LARGEST_POSITION // (WIDTH - 1)
    assert (KEY, LEFT_BUTTON, 1) in found
