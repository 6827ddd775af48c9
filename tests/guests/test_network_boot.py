"""The firmware's iPXE, from the card's ROM, starts GRUB over the network, and that a Multiboot kernel."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from tests.guests.build import GRUB_TERMINAL, GUESTS, assemble, need
from tests.guests.conversation import talk
from tests.guests.southbridge import PROGRAM
from tests.guests.test_multiboot import check

ROM = Path("/usr/lib/ipxe/qemu/pxe-e1000.rom")
MODULES = Path("/usr/lib/grub/i386-pc")
TIMEOUT_S = 300.0


def test_grub_comes_by_tftp_and_loads_a_kernel_that_way(images: Path, tmp_path: Path) -> None:
    for path, package in ((ROM, "ipxe-qemu"), (MODULES, "grub-pc-bin")):
        if not path.exists():
            pytest.skip(f"needs {path}, of Debian's {package}")
    files = tmp_path / "files"
    places = [f"--net-directory={files}", "--subdir=grub", "-d", str(MODULES)]
    subprocess.run([need("grub-mknetdir", "grub-common"), *places], check=True, capture_output=True)
    shutil.copy(assemble(GUESTS / "multiboot" / "boot.asm", images), files / "kernel")
    (files / "module").write_bytes(b"from the module")
    menu = f"{GRUB_TERMINAL}echo from $net_default_server\nmultiboot /kernel one two=3\nmodule /module\nboot\n"
    (files / "grub" / "grub.cfg").write_text(menu)
    machine = tmp_path / "machine.yaml"
    machine.write_text(
        "extends: pc\nmemory: 64M\naccelerator: unicorn\ndevices:\n"
        "  exit: {type: isa-debug-exit}\n  nic0: {type: e1000, netdev: net0, bootindex: 0}\n"
        "netdevs:\n  net0: {type: user, tftp: files, bootfile: grub/i386-pc/core.0}\n"
    )
    result = talk([PROGRAM, "run", machine], send=[(b"from 10.0.2.2", b"")], timeout_s=TIMEOUT_S)
    assert check(result)
