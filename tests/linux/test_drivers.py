"""Real drivers in Debian's kernel, however it was started: disks, clock, serial port, keyboard and mouse."""

from __future__ import annotations

import hashlib
import re
import time
from pathlib import Path
from random import Random
from typing import NamedTuple

import pytest

from tests.guests.build import assemble
from tests.linux.guest import WAYS, answer, describe, run_linux, said
from tests.linux.initramfs import initramfs
from tests.once import once

MIB = 1 << 20

SCRIPT = """\
until size=$(grep -l '^8192$' /sys/block/sd*/size); do usleep 20000; done
disk=/dev/$(echo $size | cut -d/ -f4)
until_can_read $disk
until_can_read /dev/sr0
echo "disk: $(sha256sum < $disk)"
echo "cd: $(sha256sum < /dev/sr0)"
dd if=/data of=$disk bs=64k seek=32 conv=fsync 2>/dev/null
echo 3 > /proc/sys/vm/drop_caches
echo "written: $(dd if=$disk bs=64k skip=32 count=16 2>/dev/null | sha256sum)"
dd if=$disk of=/dev/null bs=4k skip=1 count=1 iflag=direct 2>/dev/null
echo "dma: $(cat /sys/class/ata_device/dev?.0/dma_mode | tr '\\n' ' ')"
echo "driver: $(readlink -f /sys/bus/pci/drivers/ata_piix/0000:00:01.1)"
echo "rtc: $(cat /sys/class/rtc/rtc0/name) $(cat /sys/class/rtc/rtc0/since_epoch)"
/alarm
echo "alarm: $? $(awk '/ (rtc0|acpi)$/ {print $2}' /proc/interrupts | tr '\\n' ' ')"
echo "uart: $(awk 'NR == 2 {print}' /proc/tty/driver/serial)"
echo "ports: $(cat /sys/bus/serio/devices/*/description | tr '\\n' ',')"
echo "inputs: $(sed -n 's/^N: Name=//p' /proc/bus/input/devices | tr '\\n' ',')"
echo "errors: $(bugs 'ata.*(error|exception)' | wc -l)"
grep . /proc/interrupts
"""


@pytest.fixture(scope="module")
def data() -> bytes:
    return Random("written").randbytes(MIB)


@pytest.fixture(scope="module")
def alarm(images: Path) -> bytes:
    """A program that has the clock's update interrupt, which Linux makes of alarms, and waits for one."""
    return assemble(Path(__file__).parent / "alarm.asm", images).read_bytes()


class Started(NamedTuple):
    """The folder of the machine's disks, and all that Linux said."""

    disks: Path
    text: str


@pytest.fixture(scope="module", params=WAYS)
def started(
    request: pytest.FixtureRequest, data: bytes, alarm: bytes, tmp_path_factory: pytest.TempPathFactory
) -> Started:
    """Linux, started in each way."""

    def start() -> Started:
        folder = tmp_path_factory.mktemp("drivers")
        (folder / "disk.img").write_bytes(Random("disk").randbytes(4 * MIB))
        (folder / "cd.iso").write_bytes(Random("cd").randbytes(2 * MIB))
        description = describe(
            folder,
            initramfs(SCRIPT, ["ata_piix", "sd_mod", "sr_mod", "psmouse"], {"data": data}, {"alarm": alarm}),
            firmware=request.param,
            devices=["hd0: {type: ide-hd, drive: disk0}", "cd0: {type: ide-cd, drive: cd0, bus: ide.1}"],
            blockdevs=["disk0: {type: raw, path: disk.img}", "cd0: {type: raw, path: cd.iso, read_only: true}"],
        )
        return Started(folder, said(run_linux(description)))

    return once(tmp_path_factory, f"drivers-{request.param}", start)


@pytest.fixture(scope="module")
def text(started: Started) -> str:
    return started.text


def digest(data: bytes) -> str:
    return f"{hashlib.sha256(data).hexdigest()}  -"


def test_ata_piix_reads_the_disk(text: str) -> None:
    assert answer(text, "disk") == digest(Random("disk").randbytes(4 * MIB))
    assert answer(text, "driver").endswith("/0000:00:01.1")


def test_it_reads_the_cd(text: str) -> None:
    assert answer(text, "cd") == digest(Random("cd").randbytes(2 * MIB))


def test_it_writes_the_disk(started: Started, data: bytes) -> None:
    assert answer(started.text, "written") == digest(data)
    contents = (started.disks / "disk.img").read_bytes()
    assert contents[2 * MIB : 3 * MIB] == data
    before = Random("disk").randbytes(4 * MIB)
    assert contents[: 2 * MIB] + contents[3 * MIB :] == before[: 2 * MIB] + before[3 * MIB :]


def test_both_by_dma(text: str) -> None:
    assert set(answer(text, "dma").split()) == {"XFER_MW_DMA_2"}


def test_rtc_cmos_tells_the_time_and_its_alarm_fires(text: str) -> None:
    name, *_, seconds = answer(text, "rtc").split()
    assert name == "rtc_cmos"
    assert abs(int(seconds) - time.time()) < 3600
    status, *interrupts = answer(text, "alarm").split()
    assert status == "0"
    assert sum(map(int, interrupts)) >= 1  # by IRQ 8, or as an ACPI event, as the kernel chooses


def test_the_serial_port_is_a_16550a(text: str) -> None:
    assert "uart:16550A port:000003F8 irq:4" in answer(text, "uart")


def test_the_keyboard_controller_has_both_ports(text: str) -> None:
    assert answer(text, "ports") == "i8042 KBD port,i8042 AUX port,"
    assert answer(text, "inputs") == '"AT Translated Set 2 keyboard","ImExPS/2 Generic Explorer Mouse",'


@pytest.mark.parametrize(
    ("line", "user"), [(1, "i8042"), (4, "ttyS0"), (8, "rtc0"), (12, "i8042"), (14, "ata_piix"), (15, "ata_piix")]
)
def test_interrupts_come_by_the_io_apic(line: int, user: str, text: str) -> None:
    found = re.search(rf"^ +{line}: +(\d+) +IO-APIC +{line}-edge +(.*)$", text, re.MULTILINE)
    assert found, text[-3000:]
    assert found[2] == user
    assert int(found[1]) > 0 or user in ("ttyS0", "rtc0")  # which may be polled; which may use ACPI's events


def test_nothing_went_wrong(text: str) -> None:
    assert answer(text, "errors") == "0"
