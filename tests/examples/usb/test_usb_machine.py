"""The example with USB, as users start it: firmware finds the keyboard, and who has which port."""

from __future__ import annotations

from pathlib import Path

from tests.guests.conversation import talk
from tests.guests.southbridge import PROGRAM

EXAMPLE = Path(__file__).parents[3] / "examples" / "usb" / "machine.yaml"
LONG_ENOUGH_S = 120.0


def test_firmware_finds_the_keyboard(tmp_path: Path) -> None:
    description = tmp_path / "machine.yaml"
    description.write_text(
        f"extends: '{EXAMPLE}'\nmemory: 64M\n"
        "devices:\n  debug: {type: debugcon, chardev: debug}\n"
        "chardevs:\n  debug: {type: stdio}\n  serial0: {type: 'null'}\n"
    )
    result = talk([PROGRAM, "run", description], until=b"No bootable device.", timeout_s=LONG_ENOUGH_S)
    for line in (b"UHCI init on dev 00:01.2", b"USB keyboard initialized"):
        assert line in result.output
