"""Memtest86+ finds nothing wrong with our memory, and finds what is; whichever way it is started."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import pytest

from tests.guests import stuck_bit
from tests.guests.build import GRUB_TERMINAL, grub_disk_image
from tests.guests.memtest import CONSOLE, errors, program, run_memtest, shown
from tests.guests.southbridge import PROGRAM


def describe(folder: Path, *lines: str) -> Path:
    """A machine with 16 MiB."""
    path = folder / "machine.yaml"
    path.write_text("\n".join(["extends: pc", "memory: 16M", "accelerator: unicorn", *lines]) + "\n")
    return path


def kernel(width: int = 64) -> list[str]:
    return [f"kernel: '{program(width)}'", f"cmdline: '{CONSOLE}'"]


def by_kernel(width: int) -> list[str]:
    return ["firmware: none", *kernel(width)]


def by_grub(images: Path) -> list[str]:
    """Lines of a machine with a disk on which GRUB has Memtest86+ in its menu."""
    menu = f"{GRUB_TERMINAL}set timeout=0\nmenuentry 'Memory test' {{\n  linux /memtest.bin {CONSOLE}\n}}\n"
    image = grub_disk_image(images, "grub-memtest", menu, {"memtest.bin": program()})
    return [
        "devices: {drive0: {type: ide-hd, drive: image, bootindex: 0}}",
        f"blockdevs: {{image: {{type: raw, path: '{image}', overlay: true}}}}",
    ]


@pytest.mark.parametrize("way", ["none-64", "none-32", "grub"])
def test_it_passes(way: str, images: Path, tmp_path: Path) -> None:
    lines = by_grub(images) if way == "grub" else by_kernel(int(way[-2:]))
    result = run_memtest([PROGRAM, "run", describe(tmp_path, *lines)])
    text = shown(result)
    assert errors(text) == 0
    assert "Southbridge portable CPU" in text
    assert re.search(r"Memory +: +1[56]MB", text)
    assert "CPU: 1 Cores 1 Threads" in text
    assert "Slot 0: 16MB SDRAM-100" in text  # read from the module over the SMBus
    assert "Southbridge PC" in text  # SMBIOS


def test_it_finds_a_bit_that_is_stuck(tmp_path: Path) -> None:
    machine = describe(tmp_path, *by_kernel(64))
    result = run_memtest([sys.executable, "-m", "tests.guests.stuck_bit", machine])
    text = shown(result)
    assert errors(text) > 0
    word = stuck_bit.ADDRESS & -8
    found = re.search(rf"{word:012x} \(10MB\) +([0-9a-f]{{16}}) +([0-9a-f]{{16}})", text)
    assert found, text
    assert int(found[1], 16) ^ int(found[2], 16) == stuck_bit.BIT << 8 * (stuck_bit.ADDRESS - word)
