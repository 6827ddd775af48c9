"""Two machines on one cable: both of ours, and ours with a QEMU (its `-netdev stream`, and the older `socket`)."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from hashlib import sha256
from pathlib import Path
from random import Random

import pytest

from tests.guests.southbridge import PROGRAM
from tests.linux.guest import answer, control_sockets, describe, qemu_command, run_linux, said
from tests.linux.initramfs import initramfs
from tests.linux.test_network import UP

DATA = Random("cable").randbytes(1 << 20)

SERVER = (
    UP
    + """\
busybox ip addr add 10.0.2.2/24 dev eth0
while true; do busybox nc -l -p 5000 < /data; done
"""
)
CLIENT = (
    UP
    + """\
busybox ip addr add 10.0.2.15/24 dev eth0
until busybox ping -c 1 -W 1 10.0.2.2 > /dev/null; do true; done
busybox ping -c 20 -i 0.05 -s 1400 10.0.2.2 > /tmp/ping
echo "ping: $(grep transmitted /tmp/ping)"
until busybox nc 10.0.2.2 5000 > /tmp/data && [ -s /tmp/data ]; do true; done
echo "data: $(sha256sum < /tmp/data)"
"""
)


@contextmanager
def southbridge(folder: Path, server: bytes, path: Path) -> Iterator[None]:
    machine = describe(
        folder,
        server,
        devices=["nic0: {type: e1000, netdev: net0, mac: '02:00:00:00:00:01'}"],
        netdevs=[f"net0: {{type: socket, path: {path}, server: true}}"],
        settings={"name": "other"},
    )
    with running([str(PROGRAM), "run", str(machine)]):
        yield


@contextmanager
def qemu(folder: Path, server: bytes, path: Path) -> Iterator[None]:
    initrd = folder / "initrd.cpio"
    initrd.write_bytes(server)
    net = ["-netdev", f"stream,id=net0,server=on,addr.type=unix,addr.path={path}"]
    card = ["-device", "e1000,netdev=net0,mac=02:00:00:00:00:01,romfile="]
    with running([*qemu_command(initrd), *net, *card]):
        yield


@contextmanager
def running(command: list[str]) -> Iterator[None]:
    with subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL) as process:
        try:
            yield
        finally:
            process.terminate()


@pytest.mark.parametrize("other", [southbridge, qemu])
def test_two_machines_on_a_cable(other: object, tmp_path: Path) -> None:
    folders = tmp_path / "one", tmp_path / "other"
    for folder in folders:
        folder.mkdir()
    path = tmp_path / "cable"
    server = initramfs(SERVER, ["e1000"], {"data": DATA})
    machine = describe(
        folders[0],
        initramfs(CLIENT, ["e1000"]),
        devices=["nic0: {type: e1000, netdev: net0}"],
        netdevs=[f"net0: {{type: socket, path: {path}}}"],
    )
    assert callable(other)
    with control_sockets(), other(folders[1], server, path):
        wait_for(path)
        text = said(run_linux(machine))
    assert answer(text, "ping").startswith("20 packets transmitted, 20 packets received")
    assert answer(text, "data") == f"{sha256(DATA).hexdigest()}  -"


def wait_for(path: Path) -> None:
    """Until somebody listens at `path`."""
    deadline = time.monotonic() + 60
    while not path.exists():
        assert time.monotonic() < deadline, f"nobody listens at {path}"
        time.sleep(0.01)
