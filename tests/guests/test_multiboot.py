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


def ours(folder: Path, kernel: Path, firmware: str, memory: str = "32M") -> list[tuple[int, int, int]]:
    """What the kernel is told of memory on our machine."""
    (folder / "module").write_bytes(b"from the module")
    (folder / "machine.yaml").write_text(f"""\
extends: pc
memory: {memory}
firmware: {firmware}
kernel: '{kernel}'
initrd: module
cmdline: one two=3
devices:
  exit: {{type: isa-debug-exit}}
""")
    return check(talk([PROGRAM, "run", folder / "machine.yaml"], timeout_s=TIMEOUT_S))


def qemus(folder: Path, kernel: Path, memory: str = "32M") -> list[tuple[int, int, int]]:
    """The same on QEMU's."""
    (folder / "module").write_bytes(b"from the module")
    command: list[str | Path] = [
        need("qemu-system-x86_64", "qemu-system-x86"),
        *("-machine", "pc", "-accel", "tcg", "-m", memory, "-nodefaults", "-display", "none", "-serial", "stdio"),
        *("-device", "isa-debug-exit,iobase=0x501,iosize=2", "-kernel", kernel, "-initrd", folder / "module"),
        *("-append", "one two=3"),
    ]
    return check(talk(command, timeout_s=TIMEOUT_S))


@pytest.mark.parametrize("firmware", ["none", "rom"])
def test_on_our_machine(firmware: str, kernel: Path, tmp_path: Path) -> None:
    found = ours(tmp_path, kernel, firmware)
    assert found[0] == (0, 0x9FC00, 1)
    assert [start for start, _, _ in found] == sorted(start for start, _, _ in found)
    extended = next(size for start, size, _ in found if start == MIB)
    assert 30 * MIB <= extended <= 31 * MIB


def test_on_qemu(kernel: Path, tmp_path: Path) -> None:
    assert qemus(tmp_path, kernel)[0][:2] == (0, 0x9FC00)


def rounded(ranges: list[tuple[int, int, int]]) -> list[tuple[int, int]]:
    """Where RAM is, above 1 MiB; firmware takes less than a MiB of its top for tables."""
    return [(start, -(-(start + size) // MIB)) for start, size, kind in ranges if kind == 1 and start >= MIB]


@pytest.mark.parametrize("memory", ["3583M", "3584M", "5G"])
def test_memory_lies_where_qemu_has_it(memory: str, kernel: Path, tmp_path: Path) -> None:
    expected = rounded(qemus(tmp_path, kernel, memory))
    assert len(expected) == (1 if memory == "3583M" else 2)
    assert rounded(ours(tmp_path, kernel, "rom", memory)) == expected
    assert rounded(ours(tmp_path, kernel, "none", memory)) == expected


@pytest.mark.parametrize("firmware", ["none", "rom"])
def test_64_gib(firmware: str, kernel: Path, tmp_path: Path) -> None:
    """Which the host needn't have: nobody touches them."""
    assert rounded(ours(tmp_path, kernel, firmware, "64G")) == [(MIB, 3 << 10), (4 << 30, 65 << 10)]
