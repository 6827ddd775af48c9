"""Firmware and a boot loader on USB devices: SeaBIOS starts GRUB from a USB disk; a USB keyboard is all it has."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from southbridge.control.client import find_machine
from southbridge.control.folder import live

from tests.guests import expect
from tests.guests.conversation import talk
from tests.guests.southbridge import PROGRAM
from tests.linux.guest import control_sockets

LONG_ENOUGH_S = 180.0
"""Only a guest that hangs meets this."""

MACHINE = """\
extends: pc
memory: 64M
devices:
  keyboard: null  # that of the keyboard controller
  usb: {{type: piix3-usb-uhci, addr: "01.2"}}
  usb-keyboard: {{type: usb-kbd, port: 2}}
  stick: {{type: usb-storage, port: 1, drive: image, bootindex: 0}}
  debug: {{type: debugcon, chardev: debug}}
chardevs:
  debug: {{type: file, path: debug.log}}
blockdevs:
  image: {{type: raw, path: '{image}', overlay: true}}
"""


@pytest.fixture(autouse=True)
def sockets() -> Iterator[None]:
    with control_sockets():
        yield


def press(key: str) -> Callable[[], None]:
    """Has a key of the only machine there go down and up."""

    def run() -> None:
        (id,) = live()
        with find_machine(id) as machine:
            for down in (True, False):
                event = {"type": "key", "data": {"down": down, "key": {"type": "qcode", "data": key}}}
                machine.run("input-send-event", events=[event])

    return run


def test_seabios_starts_grub_from_a_usb_disk_and_hears_a_usb_keyboard(grub_disk: Path, tmp_path: Path) -> None:
    description = tmp_path / "machine.yaml"
    description.write_text(MACHINE.format(image=grub_disk))
    talk(
        [PROGRAM, "run", description],
        send=[(expect.GRUB_ENTRY.encode(), b""), (expect.GRUB_LAST_ENTRY.encode(), press("ret"))],
        until=expect.GRUB_CHOSEN.encode(),
        timeout_s=LONG_ENOUGH_S,
    )
    log = (tmp_path / "debug.log").read_text("ascii", "replace")
    for line in ("UHCI init on dev 00:01.2", "USB keyboard initialized", "USB MSC vendor='SBRIDGE' product='USB DISK'"):
        assert line in log
