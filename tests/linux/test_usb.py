"""Debian's USB drivers: uhci_hcd, usbhid and usb-storage. Devices are plugged in and out as the guest runs."""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from random import Random
from typing import Any

import pytest
from southbridge.control.client import find_machine
from southbridge.control.folder import live

from tests.guests.conversation import plain
from tests.linux.guest import CMDLINE, answer, control_sockets, describe, run_linux, said
from tests.linux.initramfs import initramfs
from tests.linux.snapshots import go_on

MIB = 1 << 20
DISK, OTHER, DATA = (Random(name).randbytes(MIB) for name in ("usb disk", "usb other", "usb data"))
MODULES = ("uhci_hcd", "usb_storage", "sd_mod", "usbhid", "hid_generic", "evdev")
CONTROLLER = "usb: {type: piix3-usb-uhci, addr: '01.2'}"

EVENT = struct.Struct("<qqHHi")
SYN, KEY, REL, ABS, MSC = range(5)
A, SHIFT, B, LEFT_BUTTON = 30, 42, 48, 0x110

FUNCTIONS = """
until_is() { while ! eval "$1"; do usleep 20000; done; }
event_of() { for e in /sys/class/input/event*; do [ "$(cat $e/device/name)" = "$1" ] && echo ${e##*/}; done; }
record() {  # the input device of that name, so many events
    until_is "[ -n \\"\\$(event_of '$1')\\" ]"
    dd if=/dev/input/$(event_of "$1") bs=24 count=$2 of=/tmp/events 2>/dev/null &
    until_is "ls -l /proc/$!/fd | grep -q input"
    echo "ready: $1"
    wait $!
    echo "$1: $(hexdump -v -e '24/1 "%02x" " "' /tmp/events)"
}
"""

ERRORS = """
dmesg | grep -i -e usb -e uhci -e scsi -e 'sd ' -e BUG: > /tmp/messages
echo "errors: $(grep -c -i -e error -e 'timed out' -e BUG: /tmp/messages)"
echo "low speed: $(dmesg | grep -c 'new low-speed USB device')"
cat /tmp/messages
"""

STORAGE = f"""{FUNCTIONS}
until_can_read /dev/sda
echo "disk: $(sha256sum < /dev/sda)"
dd if=/data of=/dev/sda bs=64k seek=4 count=8 conv=fsync 2>/dev/null
echo 3 > /proc/sys/vm/drop_caches
echo "written: $(dd if=/dev/sda bs=64k skip=4 count=8 2>/dev/null | sha256sum)"
echo "size: $(cat /sys/block/sda/size) $(cat /sys/block/sda/ro) $(cat /sys/block/sda/device/model)"
echo "speed: $(cat /sys/bus/usb/devices/1-1/speed) $(cat /sys/bus/usb/devices/1-1/serial)"
echo "pull: stick"
until_is '[ ! -e /sys/block/sda ]'
echo "push: other"
until_is '[ -e /sys/block/sd?/device ]'
until_can_read '/dev/sd?'
echo "other: $(sha256sum < $(ls /dev/sd?))"
echo "read-only: $(cat /sys/block/sd?/ro)"
until_is 'cat /proc/interrupts | grep -q uhci_hcd'
echo "interrupt: $(grep uhci_hcd /proc/interrupts)"
{ERRORS}"""

INPUT = f"""{FUNCTIONS}
record "Southbridge USB Keyboard" 18
record "Southbridge USB Tablet" 5
echo "pull: tablet"
until_is '[ -z "$(event_of "Southbridge USB Tablet")" ]'
echo "push: mouse"
record "Southbridge USB Mouse" 4
{ERRORS}"""


@pytest.fixture(autouse=True)
def sockets() -> Iterator[None]:
    with control_sockets():
        yield


def tell(*commands: tuple[str, dict[str, Any]]) -> Callable[[], None]:
    """What gives the only machine there these commands by its control socket."""

    def run() -> None:
        (id,) = live()
        with find_machine(id) as machine:
            for name, arguments in commands:
                machine.run(name, **arguments)

    return run


def event(kind: str, **data: Any) -> dict[str, Any]:
    """One of `input-send-event`."""
    return {"type": kind, "data": data}


def send(*events: dict[str, Any]) -> tuple[str, dict[str, Any]]:
    """The command."""
    return "input-send-event", {"events": list(events)}


def key(name: str, down: bool) -> dict[str, Any]:
    """A key."""
    return event("key", down=down, key={"type": "qcode", "data": name})


def events(text: str, name: str) -> list[tuple[int, int, int]]:
    """Type, code and value of each event that the guest read, without scan codes."""
    found = [EVENT.unpack(bytes.fromhex(event))[2:] for event in answer(text, name).split()]
    return [(kind, code, value) for kind, code, value in found if kind != MSC]


def digest(data: bytes) -> str:
    return f"{hashlib.sha256(data).hexdigest()}  -"


def test_a_disk_is_read_written_pulled_out_and_another_one_plugged_in(tmp_path: Path) -> None:
    (tmp_path / "stick.img").write_bytes(DISK)
    (tmp_path / "other.img").write_bytes(OTHER)
    description = describe(
        tmp_path,
        initramfs(STORAGE, MODULES, {"data": DATA}),
        cmdline=CMDLINE,
        devices=[CONTROLLER, "stick: {type: usb-storage, drive: stick}"],
        blockdevs=[
            "stick: {type: raw, path: stick.img}",
            "other: {type: raw, path: other.img, read_only: true}",
        ],
    )
    other = {"driver": "usb-storage", "id": "other", "drive": "other", "port": 2}
    text = said(
        run_linux(
            description,
            then=[
                (b"pull: stick", tell(("device_del", {"id": "stick"}))),
                (b"push: other", tell(("device_add", other))),
            ],
        )
    )
    half = DATA[: MIB // 2]
    assert answer(text, "disk") == digest(DISK)
    assert answer(text, "written") == digest(half)
    assert (tmp_path / "stick.img").read_bytes() == DISK[: MIB // 4] + half + DISK[3 * MIB // 4 :]
    assert answer(text, "size").split() == ["2048", "0", "USB", "DISK"]
    assert answer(text, "speed") == "12 534200000001"
    assert answer(text, "other") == digest(OTHER)
    assert answer(text, "read-only") == "1"
    assert answer(text, "errors") == "0"


def test_keys_positions_and_movement_arrive(tmp_path: Path) -> None:
    """The tablet goes and a mouse comes in its place. Keys go to the USB keyboard, now that Linux uses it."""
    description = describe(
        tmp_path,
        initramfs(INPUT, MODULES),
        cmdline=CMDLINE,
        devices=[CONTROLLER, "kbd: {type: usb-kbd, port: 1}", "tablet: {type: usb-tablet, port: 2}"],
    )
    typed: Sequence[tuple[str, bool, int]] = (
        ("a", True, A),
        ("a", False, A),
        ("shift", True, SHIFT),
        ("b", True, B),
        ("b", False, B),
        ("shift", False, SHIFT),
    )
    pressed = event("btn", button="left", down=True)
    text = said(
        run_linux(
            description,
            then=[
                (b"ready: Southbridge USB Keyboard", tell(*(send(key(name, down)) for name, down, _ in typed))),
                (
                    b"ready: Southbridge USB Tablet",
                    tell(send(event("abs", axis="x", value=1000), event("abs", axis="y", value=32767), pressed)),
                ),
                (b"pull: tablet", tell(("device_del", {"id": "tablet"}))),
                (b"push: mouse", tell(("device_add", {"driver": "usb-mouse", "id": "mouse"}))),
                (
                    b"ready: Southbridge USB Mouse",
                    tell(
                        send(
                            event("rel", axis="x", value=-5),
                            event("rel", axis="y", value=100),
                            event("btn", button="wheel-up", down=True),
                        )
                    ),
                ),
            ],
        )
    )
    expected = [
        (kind, code, value) for _, down, code in typed for kind, code, value in ((KEY, code, int(down)), (SYN, 0, 0))
    ]
    assert events(text, "Southbridge USB Keyboard") == expected
    assert events(text, "Southbridge USB Tablet") == [
        (KEY, LEFT_BUTTON, 1),
        (ABS, 0, 1000),
        (ABS, 1, 32767),
        (SYN, 0, 0),
    ]
    assert events(text, "Southbridge USB Mouse") == [(REL, 0, -5), (REL, 1, 100), (REL, 8, 1), (REL, 11, 120)]
    assert answer(text, "errors") == "0"
    assert answer(text, "low speed") == "2"


COUNTS = 8
COUNTING = f"""{FUNCTIONS}
until_can_read /dev/sda
for i in $(seq {COUNTS}); do
    echo 3 > /proc/sys/vm/drop_caches
    echo "count: $i"
    echo "read $i: $(sha256sum < /dev/sda)"
done
{ERRORS}"""


def test_a_disk_is_read_on_across_an_exchange_of_accelerators_and_a_snapshot(tmp_path: Path) -> None:
    """The snapshot is taken while data are on their way, and goes on in a new process."""
    (tmp_path / "stick.img").write_bytes(DISK)
    description = describe(
        tmp_path,
        initramfs(COUNTING, MODULES),
        cmdline=CMDLINE,
        devices=[CONTROLLER, "kbd: {type: usb-kbd}", "stick: {type: usb-storage, drive: stick}"],
        blockdevs=["stick: {type: raw, path: stick.img, read_only: true}"],
    )
    snapshot = tmp_path / "snapshot"
    before = run_linux(
        description,
        then=[
            (b"count: 2", tell(("swap-accelerator", {"name": "unicorn"}))),
            (b"count: 4", tell(("stop", {}), ("snapshot-save", {"path": str(snapshot)}), ("quit", {}))),
        ],
    )
    text = plain(before.output + go_on(snapshot)).decode("ascii", "replace")
    assert [answer(text, f"read {count}") for count in range(1, COUNTS + 1)] == [digest(DISK)] * COUNTS
    assert answer(text, "errors") == "0"


SLEEPING = f"""{FUNCTIONS}
until_can_read /dev/sda
echo "before: $(sha256sum < /dev/sda)"
echo +3 > /sys/class/rtc/rtc0/wakealarm
echo mem > /sys/power/state && echo "woke: true"
echo 3 > /proc/sys/vm/drop_caches
echo "after: $(sha256sum < /dev/sda)"
{ERRORS}"""

RESTING = f"""{FUNCTIONS}
until_is '[ -n "$(event_of "Southbridge USB Keyboard")" ]'
dd if=/dev/input/$(event_of "Southbridge USB Keyboard") bs=24 count=6 of=/tmp/events 2>/dev/null &
until_is "ls -l /proc/$!/fd | grep -q input"
for device in 1-1 usb1; do
    power=/sys/bus/usb/devices/$device/power
    echo 300 > $power/autosuspend_delay_ms
    echo enabled > $power/wakeup
    echo auto > $power/control
    until_is "grep -q suspended $power/runtime_status"
    echo "rests: $device"
done
echo "press: now"
wait $!
echo "key: $(hexdump -v -e '24/1 "%02x" " "' /tmp/events)"
{ERRORS}"""


def test_a_machine_that_slept_has_its_disk_again(tmp_path: Path) -> None:
    (tmp_path / "stick.img").write_bytes(DISK)
    description = describe(
        tmp_path,
        initramfs(SLEEPING, MODULES),
        cmdline=CMDLINE,
        devices=[CONTROLLER, "stick: {type: usb-storage, drive: stick}"],
        blockdevs=["stick: {type: raw, path: stick.img}"],
    )
    text = said(run_linux(description))
    assert answer(text, "before") == answer(text, "after") == digest(DISK)
    assert answer(text, "woke") == "true"
    assert answer(text, "errors") == "0"


def test_a_key_wakes_a_bus_that_rests(tmp_path: Path) -> None:
    """Linux suspends the keyboard's port, then the whole bus; the key resumes both, and isn't lost."""
    description = describe(
        tmp_path,
        initramfs(RESTING, MODULES),
        cmdline=CMDLINE,
        devices=[CONTROLLER, "kbd: {type: usb-kbd, port: 1}"],
    )
    text = said(run_linux(description, then=[(b"press: now", tell(send(key("a", True)), send(key("a", False))))]))
    assert events(text, "key") == [(KEY, A, 1), (SYN, 0, 0), (KEY, A, 0), (SYN, 0, 0)]
    assert answer(text, "errors") == "0"
