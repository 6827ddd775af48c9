"""The benchmark's guest that sends packets by the e1000 card's ring: whatever is done to spare the CPU the way out of
the guest, each packet is sent once.
"""

from __future__ import annotations

import struct
import subprocess
from collections import Counter
from pathlib import Path

import pytest
from southbridge.control.client import find_machine

from tests.accelerators.kvm.guest import need_kvm
from tests.guests.build import need
from tests.guests.conversation import talk
from tests.guests.southbridge import PROGRAM
from tests.linux.guest import control_sockets

GUESTS = Path(__file__).parents[2] / "benchmarks" / "guests"
COUNT = 1500
PATIENCE_S = 120.0

MACHINE = """\
extends: pc
accelerator: ACCELERATOR
memory: 32M
chardevs: {serial0: {type: "null"}, debug: {type: stdio}}
devices:
  debug: {type: debugcon, iobase: 0x402, chardev: debug}
  nic0: {type: e1000, netdev: seen, romfile: ''}
  disk: {type: ide-hd, drive: image}
blockdevs: {image: {type: raw, path: packets.img, overlay: true}}
netdevs: {seen: {type: dump, path: seen.pcap, netdev: net0}, net0: {type: "null"}}
"""


@pytest.mark.parametrize(
    "accelerator",
    [
        "unicorn",
        "{type: xen, hypervisor: simulated}",
        "{type: kvm, kernel_irqchip: 'on'}",
        "{type: kvm, kernel_irqchip: split}",
        "{type: kvm, kernel_irqchip: 'off'}",
    ],
)
def test_each_packet_is_sent_once(accelerator: str, tmp_path: Path) -> None:
    if "kvm" in accelerator:
        need_kvm()
    options = [f"-I{GUESTS}/", f"-DCOUNT={COUNT}", "-f", "bin", "-o", str(tmp_path / "packets.img")]
    subprocess.run([need("nasm", "nasm"), *options, str(GUESTS / "packets.asm")], check=True)
    description = tmp_path / "machine.yaml"
    description.write_text(MACHINE.replace("ACCELERATOR", accelerator))

    def end() -> None:
        with find_machine("packets") as machine:
            machine.run("quit")

    with control_sockets():
        talk([PROGRAM, "run", description, "--id", "packets"], send=[(b"<e>", end)], timeout_s=PATIENCE_S)
    capture = (tmp_path / "seen.pcap").read_bytes()
    lengths, at = Counter[int](), 24
    while at + 16 <= len(capture):
        (length,) = struct.unpack_from("<8xI", capture, at)
        lengths[length] += 1
        at += 16 + length
    assert at == len(capture)
    assert lengths == {64: 2 * COUNT, 1514: 2 * COUNT}
