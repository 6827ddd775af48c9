"""A driver for the edu card in user space, on Linux: QEMU's card and ours give it the same answers."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.guests.build import assemble
from tests.guests.conversation import talk
from tests.linux.guest import CMDLINE, PATIENCE_S, describe, qemu_command, run_linux, said
from tests.linux.initramfs import initramfs

SCRIPT = """\
echo 1234 11e8 > /sys/bus/pci/drivers/uio_pci_generic/new_id
for card in /sys/bus/pci/devices/*; do [ "$(cat $card/device)" = 0x11e8 ] && break; done
/edu $card
echo "status: $?"
"""

ANSWERS = {
    "identification": 0x0100_00ED,
    "liveness": 0xEDCB_A987,
    "factorial-reason": 1,
    "factorial": 3628800,
    "raised-reason": 0x1234,
    "reasons-left": 0,
    "there-reason": 0x100,
    "back-reason": 0x100,
    "bytes-that-differ-from": 4096 - 4000 - 1,
}


@pytest.fixture(scope="module")
def initrd(images: Path) -> bytes:
    program = assemble(Path(__file__).parent / "edu.asm", images).read_bytes()
    return initramfs(SCRIPT, ["uio_pci_generic"], programs={"edu": program})


def judge(text: str) -> None:
    answers = dict(re.findall(r"^([\w-]+): ([0-9a-f]{8})$", text, re.MULTILINE))
    assert {name: int(value, 16) for name, value in answers.items()} == ANSWERS
    assert "status: 0\n" in text


def test_on_qemu(initrd: bytes, tmp_path: Path) -> None:
    (tmp_path / "initrd").write_bytes(initrd)
    command = [*qemu_command(tmp_path / "initrd", cmdline=CMDLINE), "-device", "edu"]
    judge(said(talk(command, timeout_s=PATIENCE_S)))


def test_on_southbridge(initrd: bytes, tmp_path: Path) -> None:
    description = describe(tmp_path, initrd, cmdline=CMDLINE, devices=["card: {type: edu}"])
    judge(said(run_linux(description)))
