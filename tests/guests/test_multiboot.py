"""A small Multiboot kernel: without firmware, through it, and in QEMU, which loads such kernels too."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.guests.build import GUESTS, assemble, need
from tests.guests.conversation import Result, plain, talk
from tests.guests.southbridge import PROGRAM

TIMEOUT_S = 60.0
STATUS = 7
MIB = 1 << 20


@pytest.fixture(scope="module")
def kernel(images: Path) -> Path:
    return assemble(GUESTS / "multiboot" / "boot.asm", images)


def check(result: Result) -> list[tuple[int, int, int]]:
    """Checks what the kernel says; gives the memory map."""
    text = plain(result.output).decode()
    assert result.status == STATUS, text
    assert "loader: multiboot" in text
    assert re.search(r"^cmdline: .*one two=3 *$", text, re.MULTILINE)
    assert "module: from the module\n" in text
    assert "bss: 0\n" in text
    ranges = [tuple(int(number, 16) for number in line.split()) for line in re.findall(r"range: (.*)", text)]
    return [(start, size, kind) for start, size, kind in ranges]


@pytest.mark.parametrize("firmware", ["none", "rom"])
def test_on_our_machine(firmware: str, kernel: Path, tmp_path: Path) -> None:
    (tmp_path / "module").write_bytes(b"from the module")
    (tmp_path / "machine.yaml").write_text(f"""\
extends: pc
memory: 32M
firmware: {firmware}
kernel: '{kernel}'
initrd: module
cmdline: one two=3
devices:
  exit: {{type: isa-debug-exit}}
""")
    found = check(talk([PROGRAM, "run", tmp_path / "machine.yaml"], timeout_s=TIMEOUT_S))
    assert found[0] == (0, 0x9FC00, 1)
    assert [start for start, _, _ in found] == sorted(start for start, _, _ in found)
    extended = next(size for start, size, _ in found if start == MIB)
    assert extended <= 31 * MIB
    assert firmware != "none" or extended == 31 * MIB


def test_on_qemu(kernel: Path, tmp_path: Path) -> None:
    (tmp_path / "module").write_bytes(b"from the module")
    command: list[str | Path] = [
        need("qemu-system-x86_64", "qemu-system-x86"),
        *("-machine", "pc", "-accel", "tcg", "-m", "32M", "-nodefaults", "-display", "none", "-serial", "stdio"),
        *("-device", "isa-debug-exit,iobase=0x501,iosize=2", "-kernel", kernel, "-initrd", tmp_path / "module"),
        *("-append", "one two=3"),
    ]
    found = check(talk(command, timeout_s=TIMEOUT_S))
    assert found[0][:2] == (0, 0x9FC00)
