"""SeaBIOS starts iPXE from the card's ROM, which boots Debian's kernel over the network: DHCP, TFTP, HTTP."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tests.linux.guest import CMDLINE, answer, run_linux, said
from tests.linux.initramfs import initramfs
from tests.linux.packages import kernel
from tests.linux.web import web_server

ROM = Path("/usr/lib/ipxe/qemu/pxe-e1000.rom")

SCRIPT = """\
echo "command line: $(cat /proc/cmdline)"
echo "card: $(cat /sys/bus/pci/devices/0000:00:03.0/vendor) $(cat /sys/bus/pci/devices/0000:00:03.0/device)"
"""


def test_ipxe_boots_a_kernel(tmp_path: Path) -> None:
    if not ROM.exists():
        pytest.skip(f"needs {ROM}, of Debian's ipxe-qemu")
    files = tmp_path / "files"
    files.mkdir()
    shutil.copy(kernel(), files / "vmlinuz")
    (files / "initrd").write_bytes(initramfs(SCRIPT))
    with web_server(files) as port:
        place = f"http://10.0.2.2:{port}"
        lines = [
            "#!ipxe",
            f"kernel {place}/vmlinuz {CMDLINE} from=ipxe initrd=initrd",
            f"initrd {place}/initrd",
            "boot",
        ]
        (files / "boot.ipxe").write_text("\n".join(lines) + "\n")
        machine = tmp_path / "machine.yaml"
        machine.write_text(
            "extends: pc\nmemory: 256M\naccelerator: unicorn\ndevices:\n"
            "  exit: {type: isa-debug-exit}\n"
            '  nic0: {type: e1000, netdev: net0, addr: "03.0", bootindex: 0}\n'
            "netdevs:\n  net0: {type: user, tftp: files, bootfile: boot.ipxe}\n"
        )
        text = said(run_linux(machine))
    assert "from=ipxe" in answer(text, "command line")
    assert answer(text, "card") == "0x8086 0x100e"
