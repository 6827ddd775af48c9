"""`x /i` and `xp /i`, beside QEMU's: of firmware's 16-bit code, and of a guest's of 32 and 64 bits."""

from __future__ import annotations

import re
import sys
import time
from collections.abc import Iterable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from southbridge import GuestMemoryError, SouthbridgeError
from southbridge.hmp.disassembly import instructions

from tests.core.qemu_system.program import PROGRAM
from tests.core.qmp.talking import PATIENCE_S, Requests, connected
from tests.guests.build import GUESTS, assemble, need

OPTIONS = ("-machine", "pc", "-nodefaults", "-display", "none", "-m", "32")
WAITS = re.compile(r"[ER]IP=0*1[0-9a-f]{5} .*HLT=1")
"""How `info registers` shows a guest above 1 MiB that is halted."""
LINE = re.compile(r"0x([0-9a-f]{8}):  ((?:[0-9a-f]{2} ?)+) *(.*)")
TARGET = re.compile(r"(j\w+|callw|loop\w*) +0x([0-9a-f]+)")
"""A jump in 16-bit code."""


def listing(text: str) -> list[tuple[str, str, str]]:
    """Address, bytes and instruction of each line, as the capstone 4.0 has them that QEMU uses: ours is newer.

    It doesn't know all prefixes, and of 16-bit jumps it shows the offset.
    """
    found = []
    for line in text.splitlines():
        match = LINE.fullmatch(line.rstrip())
        assert match is not None, line
        address, data, shown = match.groups()
        shown = {"pause": "nop"}.get(shown, shown).replace("movzww ", "movzwl ")
        if (jump := TARGET.fullmatch(shown)) and len(address.lstrip("0")) == 5:
            shown = f"{jump[1]} {int(jump[2], 16) & 0xFFFF:#x}"
        found.append((address, data.strip(), shown))
    return found


def beside(options: Iterable[str | Path], folder: Path, lines: list[str], *, waits: bool = False) -> list[list[str]]:
    """What both say to `lines`. `waits`: once the guest waits."""
    programs = (("southbridge-system-x86_64", "unicorn"), (need("qemu-system-x86_64", "qemu-system-x86"), "tcg"))
    said = []
    for name, accelerator in programs:
        program = PROGRAM.with_name(name) if accelerator == "unicorn" else Path(name)
        with connected(program, [*OPTIONS, "-accel", accelerator, *options], folder) as client:
            requests = Requests(client)
            give_up = time.monotonic() + PATIENCE_S
            while waits and not WAITS.search(registers := requests.human(["info registers"])[0]):
                assert time.monotonic() < give_up, registers
            said.append(requests.human(lines))
    return said


def test_at_the_reset_vector(tmp_path: Path) -> None:
    lines = ["x /i $pc", "x /i $eip", "xp /i 0xffff0", "x /20i 0xffff0"]
    ours, theirs = beside(["-S"], tmp_path, lines)
    assert ours == theirs
    assert ours[0] == "0xfffffff0:  ea 5b e0 00 f0           ljmpw    $0xf000:$0xe05b\r\n"


@pytest.mark.parametrize("address", ["0xf0000", "0xfd000", "0xe05b + 0xf0000"])
def test_firmware(address: str, tmp_path: Path) -> None:
    ours, theirs = beside(["-S"], tmp_path, [f"xp /200i {address}"])
    assert listing(ours[0]) == listing(theirs[0])
    assert len(ours[0].splitlines()) >= 200


@pytest.mark.parametrize("bits", [32, 64])
def test_a_guest(bits: int, tmp_path: Path) -> None:
    kernel = assemble(GUESTS / "multiboot" / "code.asm", tmp_path, {"LONG": 1} if bits == 64 else {})
    lines = ["x /60i $pc", "xp /60i $pc", "x /2i 0x7fff0000", "xp /2i 0x100000"]
    ours, theirs = beside(["-kernel", kernel], tmp_path, lines, waits=True)
    for our, their in zip(ours[:2], theirs[:2], strict=True):
        assert listing(our) == listing(their)
    assert ours[2:] == theirs[2:]


def test_without_capstone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "capstone", None)
    with pytest.raises(
        SouthbridgeError, match=r"^there is no disassembler: the package capstone isn't installed \(pip "
    ):
        instructions(lambda address, length: bytes(length), 0, 1, 32, 0xFFFF_FFFF)


@given(st.binary(min_size=1, max_size=40), st.sampled_from([16, 32, 64]), st.integers(1, 12))
def test_every_byte_is_shown_once(data: bytes, bits: int, count: int) -> None:
    start = 0x5000 - len(data)

    def read(address: int, length: int) -> bytes:
        if address != 0x4000:
            raise GuestMemoryError(address, "not mapped")
        return bytes(length - len(data)) + data

    text = instructions(read, start, count, bits, (1 << 64) - 1)
    shown = b"".join(
        bytes.fromhex(match[2]) for line in text.splitlines() if (match := re.match(LINE, f"{line} ")) is not None
    )
    assert data.startswith(shown)
    if text.endswith("unable to read memory"):
        assert shown == data and f"0x{start + len(data):08x}: " in text
