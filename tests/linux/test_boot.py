"""Debian's kernel comes up to our /init in each way that there is to start it."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.guests.conversation import plain
from tests.linux.guest import CMDLINE, answer, describe, run_linux, said
from tests.linux.initramfs import UP, initramfs

GIB = 1 << 30

SCRIPT = """\
echo "cmdline: $(cat /proc/cmdline)"
grep -E 'System RAM|Reserved' /proc/iomem
echo "memory: $(sed -n 's/^MemTotal: *//p' /proc/meminfo)"
echo "errors: $(bugs WARNING: | wc -l)"
"""


@pytest.fixture(scope="module")
def initrd() -> bytes:
    return initramfs(SCRIPT)


def ram(text: str) -> list[tuple[int, int]]:
    """The ranges of RAM that the kernel was told of, with the ACPI tables at an end."""
    found = re.findall(r"BIOS-e820: \[mem 0x(\w+)-0x(\w+)\] (?:usable|ACPI data)", text)
    ranges: list[tuple[int, int]] = []
    for start, end in ((int(first, 16), int(last, 16) + 1) for first, last in found):
        if ranges and ranges[-1][1] == start:
            start = ranges.pop()[0]
        ranges.append((start, end))
    return ranges


@pytest.mark.parametrize("protocol", ["vmlinux", "pvh", "bzimage"])
def test_without_firmware(protocol: str, initrd: bytes, tmp_path: Path) -> None:
    settings = {"boot_protocol": protocol, "memory": "200M"}
    text = said(run_linux(describe(tmp_path, initrd, cmdline=f"{CMDLINE} mark=7", settings=settings)))
    assert answer(text, "cmdline").endswith("mark=7")
    assert answer(text, "errors") == "0"
    assert ram(text) == [(0, 0x9FC00), (0x100000, 200 << 20)]


@pytest.mark.parametrize("protocol", ["bzimage", "pvh", "vmlinux"])
def test_through_the_firmware(protocol: str, initrd: bytes, tmp_path: Path) -> None:
    """The kernel has the firmware's memory map."""
    settings = {"boot_protocol": protocol, "memory": "4G"}
    cmdline = f"{CMDLINE} mark=7"
    text = said(run_linux(describe(tmp_path, initrd, cmdline=cmdline, firmware="rom", settings=settings)))
    assert answer(text, "cmdline").endswith("mark=7")
    assert answer(text, "errors") == "0"
    base, extended, high = ram(text)
    assert base == (0, 0x9FC00)
    assert 3 * GIB - (1 << 20) <= extended[1] <= 3 * GIB
    assert high == (4 * GIB, 5 * GIB)


def test_by_grub_from_a_disk(initrd: bytes, tmp_path: Path) -> None:
    """GRUB passes on what the firmware says of memory."""
    text = said(run_linux(describe(tmp_path, initrd, cmdline=f"{CMDLINE} mark=7", firmware="grub")))
    assert answer(text, "cmdline") == f"BOOT_IMAGE=/vmlinuz {CMDLINE} mark=7"
    assert answer(text, "errors") == "0"
    base, extended = ram(text)
    assert base == (0, 0x9FC00)
    assert 255 << 20 <= extended[1] <= 256 << 20


def test_64_gib_of_which_the_host_has_less(initrd: bytes, tmp_path: Path) -> None:
    """RAM is found when it is touched: all but what Linux itself needs for so much of it stays untouched."""
    text = said(run_linux(describe(tmp_path, initrd, settings={"memory": "64G"})))
    assert ram(text) == [(0, 0x9FC00), (0x100000, 3 * GIB), (4 * GIB, 65 * GIB)]
    kib = int(answer(text, "memory").split()[0])
    assert 62 * GIB < kib * 1024 < 64 * GIB


def test_a_reset_boots_again(tmp_path: Path) -> None:
    """The kernel and its initrd are loaded anew, whatever became of memory."""
    description = describe(tmp_path, initramfs("reboot -f\nsleep 100\n"))
    output = plain(run_linux(description, until=[UP] * 3).output)
    assert output.count(b"Linux version") == 3
