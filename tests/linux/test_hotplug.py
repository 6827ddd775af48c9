"""PCI devices come and go under Debian's kernel: its acpiphp driver, our registers, events and AML methods."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.guests.conversation import talk
from tests.guests.southbridge import PROGRAM
from tests.linux.guest import CMDLINE, PATIENCE_S, answer, control_sockets, describe, run_linux, said, say
from tests.linux.initramfs import initramfs

SCRIPT = """
card=/sys/bus/pci/devices/0000:00:05.0
for time in first second; do
    echo "ready: $time"
    while [ ! -e $card/enable ]; do usleep 20000; done
    echo 1 > $card/enable
    base=$(head -n 1 $card/resource | cut -d ' ' -f 1)
    echo "$time identity: $(cat $card/vendor) $(cat $card/device) $(devmem $base)"
    devmem $((base + 4)) 32 0x12345678
    echo "$time inverse: $(devmem $((base + 4)))"
    echo "used: $time"
    while [ -e $card ]; do usleep 20000; done
    echo "gone: $time"
done
echo "errors: $(bugs 'ACPI.*error|WARNING:|fail to' | wc -l)"
bugs 'ACPI.*error|WARNING:|fail to'
"""

DRIVEN = """
echo "ready"
while [ ! -e /dev/watchdog ]; do usleep 20000; done
echo V > /dev/watchdog && echo "used: $(ls /sys/module/i6300esb/drivers/*/ | grep -c 06.0)"
while [ -e /dev/watchdog ]; do usleep 20000; done
echo "gone: $(ls /sys/bus/pci/devices | grep -c 06.0)"
"""


@pytest.fixture(autouse=True)
def sockets() -> Iterator[None]:
    with control_sockets():
        yield


def test_a_card_comes_works_goes_and_comes_again(tmp_path: Path) -> None:
    description = describe(tmp_path, initramfs(SCRIPT), cmdline=CMDLINE, firmware="rom")
    text = said(
        run_linux(
            description,
            then=[
                (b"ready: first", say("plug", "ID", "edu", "card", "--set", "addr=05.0")),
                (b"used: first", say("unplug", "ID", "card")),
                (b"ready: second", say("plug", "ID", "edu", "card", "--set", "addr=05.0")),
                (b"used: second", say("unplug", "ID", "card")),
            ],
        )
    )
    for time in ("first", "second"):
        assert answer(text, f"{time} identity") == "0x1234 0x11e8 0x010000ED"
        assert answer(text, f"{time} inverse") == "0xEDCBA987"
        assert f"gone: {time}" in text


def test_a_driver_takes_a_card_that_comes_and_a_snapshot_has_it(tmp_path: Path) -> None:
    """The card goes on being there in another process, and is let go of there too."""
    description = describe(tmp_path, initramfs(DRIVEN, ["i6300esb"]), cmdline=CMDLINE)
    snapshot = str(tmp_path / "snapshot")
    save, unplug = say("snapshot", "save", "ID", snapshot), say("unplug", "ID", "dog", to="running")

    def save_and_unplug() -> None:
        save()
        unplug()

    plug = say("plug", "ID", "i6300esb", "dog", "--set", "addr=06.0")
    first = said(run_linux(description, then=[(b"ready", plug), (b"used", save_and_unplug)]))
    again = said(talk([PROGRAM, "snapshot", "restore", snapshot], send=[(b"", unplug)], timeout_s=PATIENCE_S))
    assert answer(first, "used") == "1"
    assert answer(first, "gone") == answer(again, "gone") == "0"
    assert "ready" not in again
