"""Debian's kernel switches itself off, begins anew, listens to the power button, sleeps and wakes."""

from __future__ import annotations

import hashlib
import random
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.guests.conversation import Result, plain, talk
from tests.guests.southbridge import PROGRAM
from tests.linux.guest import CMDLINE, PATIENCE_S, answer, control_sockets, describe, run_linux, said, say
from tests.linux.initramfs import UP, initramfs

BUTTON = """
for name in /sys/class/input/event*/device/name; do
    if [ "$(cat $name)" = "Power Button" ]; then event=$(echo $name | cut -d / -f 5); fi
done
echo "ready"
dd if=/dev/input/$event bs=24 count=1 2>/dev/null | hexdump -v -e '24/1 "%02x" "\\n"' | sed 's/^/event: /'
poweroff -f
sleep 100
"""

SLEEP = """
echo "states: $(cat /sys/power/state), $(cat /sys/power/mem_sleep)"
echo remembered > /tmp/file
echo 0 > /sys/class/rtc/rtc0/wakealarm
{alarm}
echo mem > /sys/power/state && echo "woke: $(cat /tmp/file)"
echo "count: $(cat /sys/power/suspend_stats/success)"
bugs 'ACPI.*error|firmware bug' | sed 's/^/trouble: /'
echo "errors: $(bugs 'ACPI.*error|firmware bug' | wc -l)"
"""

HIBERNATE = """
until_can_read /dev/sda
echo 8:0 > /sys/power/resume
mkswap /dev/sda
swapon /dev/sda
echo remembered > /tmp/file
echo "hibernates"
echo platform > /sys/power/disk
echo disk > /sys/power/state
echo "woke: $(cat /tmp/file)"
"""

DISK = """
until_can_read /dev/sda
echo "before: $(sha256sum < /dev/sda)"
echo 3 > /proc/sys/vm/drop_caches
echo +6 > /sys/class/rtc/rtc0/wakealarm
echo mem > /sys/power/state
echo "after: $(sha256sum < /dev/sda)"
echo "errors: $(dmesg | grep -c -E 'ata[0-9].*(failed|exception)')"
"""

FIRMWARE = pytest.mark.parametrize("firmware", ["none", "rom"])


@pytest.fixture(autouse=True)
def sockets() -> Iterator[None]:
    with control_sockets():
        yield


def text_of(result: Result) -> str:
    return plain(result.output).decode("ascii", "replace")


@FIRMWARE
def test_poweroff_ends_the_process(firmware: str, tmp_path: Path) -> None:
    initrd = initramfs("poweroff -f\nsleep 100\n")
    result = run_linux(describe(tmp_path, initrd, cmdline=CMDLINE, firmware=firmware))
    assert result.status == 0
    assert "reboot: Power down" in text_of(result)


def test_reboot_begins_anew(tmp_path: Path) -> None:
    description = describe(tmp_path, initramfs("reboot -f\nsleep 100\n"), cmdline=CMDLINE, firmware="rom")
    text = text_of(run_linux(description, until=[UP] * 2))
    boots = text.split(UP.decode())
    assert [boot.count("Linux version") for boot in boots[:2]] == [1, 1], text


def test_reboot_ends_the_process_if_asked_to(tmp_path: Path) -> None:
    description = describe(tmp_path, initramfs("reboot -f\nsleep 100\n"), cmdline=CMDLINE)
    result = run_linux(description, options=["--no-reboot"])
    assert result.status == 0
    assert text_of(result).count("Linux version") == 1


@pytest.mark.parametrize("interrupts", ["", "noapic nolapic"])
def test_the_hosts_power_button_shuts_it_down(interrupts: str, tmp_path: Path) -> None:
    """As acpid has it: the button is a key (KEY_POWER, 116) of an input device. By the I/O APIC, and by the 8259s."""
    description = describe(tmp_path, initramfs(BUTTON, ["button", "evdev"]), cmdline=f"{CMDLINE} {interrupts}")
    result = run_linux(description, then=[(b"ready", say("powerdown", "ID"))])
    assert result.status == 0
    assert answer(text_of(result), "event")[32:] == "0100" + "7400" + "01000000"


@FIRMWARE
def test_the_clocks_alarm_wakes_it(firmware: str, tmp_path: Path) -> None:
    initrd = initramfs(SLEEP.format(alarm="echo +6 > /sys/class/rtc/rtc0/wakealarm"))
    text = said(run_linux(describe(tmp_path, initrd, cmdline=CMDLINE, firmware=firmware)))
    assert answer(text, "states").startswith("freeze mem disk, s2idle [deep]")
    assert answer(text, "woke") == "remembered"
    assert answer(text, "count") == "1"
    assert answer(text, "errors") == "0"


def test_a_machine_that_sleeps_is_saved_and_wakes_in_another_process(tmp_path: Path) -> None:
    initrd = initramfs(SLEEP.format(alarm="echo 'it sleeps'"))
    snapshot = str(tmp_path / "snapshot")
    save = say("snapshot", "save", "ID", snapshot, to="suspended")
    wake = say("wakeup", "ID", to="suspended")
    description = describe(tmp_path, initrd, cmdline=CMDLINE)

    def save_and_wake() -> None:
        save()
        wake()

    first = said(run_linux(description, then=[(b"it sleeps", save_and_wake)]))
    again = said(talk([PROGRAM, "snapshot", "restore", snapshot], send=[(b"", wake)], timeout_s=PATIENCE_S))
    assert UP.decode() not in again
    for text in (first, again):
        assert answer(text, "woke") == "remembered"
        assert answer(text, "errors") == "0"


def test_it_hibernates_and_goes_on_in_another_process(tmp_path: Path) -> None:
    """S4: memory is on the disk, and the process ends. The next kernel finds it there, and becomes the one before."""
    with (tmp_path / "swap.img").open("wb") as image:
        image.truncate(400 << 20)
    description = describe(
        tmp_path,
        initramfs(HIBERNATE, ["ata_piix", "sd_mod"]),
        cmdline=CMDLINE,
        devices=["hd0: {type: ide-hd, drive: disk0}"],
        blockdevs=["disk0: {type: raw, path: swap.img}"],
    )
    first = run_linux(description)
    assert first.status == 0
    assert "hibernates" in text_of(first) and "woke" not in text_of(first)
    again = said(run_linux(description))
    assert answer(again, "woke") == "remembered"
    assert "hibernates" not in again


def test_its_disk_is_there_when_it_wakes(tmp_path: Path) -> None:
    contents = random.Random(7).randbytes(1 << 20)
    (tmp_path / "disk.img").write_bytes(contents)
    description = describe(
        tmp_path,
        initramfs(DISK, ["ata_piix", "sd_mod"]),
        cmdline=CMDLINE,
        firmware="rom",
        devices=["hd0: {type: ide-hd, drive: disk0}"],
        blockdevs=["disk0: {type: raw, path: disk.img, read_only: true}"],
    )
    text = said(run_linux(description))
    digest = hashlib.sha256(contents).hexdigest()
    assert answer(text, "before").split()[0] == answer(text, "after").split()[0] == digest
    assert answer(text, "errors") == "0"
