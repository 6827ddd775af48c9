"""iperf3 in Debian's Linux, on the e1000 card and the user network, beside QEMU; and what a card costs that is idle."""

from __future__ import annotations

import re
import socket
import statistics
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from rich.table import Table

from tests.guests.build import need
from tests.linux.guest import CMDLINE, describe, qemu_command
from tests.linux.initramfs import initramfs
from tests.linux.packages import programs

from . import ours
from .processes import cpu_time

RUNS = 3
SECONDS = 4
IDLE_SECONDS = 5
MARK = "idle now"
WAYS = {"sent": "", "received": "-R"}

_SCRIPT = """\
busybox ip link set eth0 up
busybox ip addr add 10.0.2.15/24 dev eth0
until [ "$(cat /sys/class/net/eth0/carrier)" = 1 ]; do usleep 20000; done
"""
_IDLE = f"sleep 3; echo '{MARK}'; while true; do sleep 1000; done\n"


def compare() -> Table | str:
    """The table; or why there is none."""
    try:
        return _table()
    except pytest.skip.Exception as reason:  # how the tests say that something can't be had
        return f"iperf3 is left out: {reason}"


def _table() -> Table:
    libraries = {"libiperf.so.0": "libiperf0", "libcrypto.so.3": "libssl3", "libsctp.so.1": "libsctp1"}
    tools = programs({"usr/bin/iperf3": "iperf3"}, libraries)
    table = Table("Linux, e1000, user network", "Southbridge", "QEMU TCG", "ratio", title=f"median of {RUNS} runs")
    with tempfile.TemporaryDirectory() as name, _server() as port:
        folder = Path(name)
        tests = "".join(
            f"echo {way}; /iperf3 -c 10.0.2.2 -p {port} -t {SECONDS} -f k {option} | grep receiver\n"
            for way, option in WAYS.items()
        )
        initrd = initramfs(_SCRIPT + tests + _IDLE, ["e1000"], programs=tools)
        runs = [[_run(command) for command in _commands(folder, initrd)] for _ in range(RUNS)]
        idle = _run(_commands(folder, initramfs(_IDLE))[0])[1]
    for number, way in enumerate(WAYS):
        own, other = (statistics.median(run[who][0][number] for run in runs) for who in range(2))
        table.add_row(f"TCP, {way}", f"{own:.0f} Mbit/s", f"{other:.0f} Mbit/s", f"{own / other:.2f}")
    own, other = (statistics.median(run[who][1] for run in runs) for who in range(2))
    table.add_row("idle, CPU time a second", f"{own:.1f} ms", f"{other:.1f} ms", f"{own / other:.2f}")
    table.add_row("the same without a card", f"{idle:.1f} ms", "", "")
    return table


def _commands(folder: Path, initrd: bytes) -> list[list[str]]:
    """Ours and QEMU's."""
    devices, netdevs = ["nic0: {type: e1000, netdev: net0}"], ["net0: {type: user}"]
    if b"iperf3" not in initrd:
        devices, netdevs = [], []
    path = describe(folder, initrd, devices=devices, netdevs=netdevs)
    theirs = qemu_command(folder / "initrd.cpio", cmdline=CMDLINE)
    card = ["-netdev", "user,id=net0", "-device", "e1000,netdev=net0,romfile="]
    return [[str(ours.program()), "run", str(path)], [*theirs, *card]]


def _run(command: list[str]) -> tuple[list[float], float]:
    """Mbit/s of each way, and milliseconds of CPU time that a second takes when all is done."""
    with subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        try:
            rates = []
            for line in process.stdout:
                found = re.search(rb"(\d+) Kbits/sec.*receiver", line)
                if found:
                    rates.append(int(found.group(1)) / 1000)
                if MARK.encode() in line:
                    break
            before = cpu_time(process.pid)
            time.sleep(IDLE_SECONDS)
            return rates, (cpu_time(process.pid) - before) * 1000 / IDLE_SECONDS
        finally:
            process.kill()


@contextmanager
def _server() -> Iterator[int]:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [need("iperf3", "iperf3"), "-s", "-p", str(port), "-B", "127.0.0.1"]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL) as process:
        try:
            yield port
        finally:
            process.kill()
