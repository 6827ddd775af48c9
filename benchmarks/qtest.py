"""The qtest protocol: requests a second of a Python client, one by one and all at once, beside QEMU's.

QEMU serves the protocol beside its software CPU, which stands still: Debian's has no accelerator qtest.
"""

from __future__ import annotations

import shutil
import socket
import subprocess
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from rich.table import Table

from . import ours

ONE_BY_ONE, AT_ONCE = 20_000, 100_000
ROUNDS = 5
LINES = ("inb 0x64", "outb 0x80 0x1", "readl 0xfec00000", "readl 0x1000", "writel 0x1000 0x12345678")
LEAST_ONE_BY_ONE, LEAST_AT_ONCE = 60_000, 250_000


def compare(folder: Path) -> Table:
    """The best of several rounds for each of `LINES`."""
    table = Table("", "one by one", "QEMU", "all at once", "QEMU", title="qtest requests a second")
    own, theirs = rates(_southbridge(folder), folder / "ours"), {}
    if qemu := shutil.which("qemu-system-x86_64"):
        theirs = rates(_qemu(qemu, folder), folder / "theirs")
    table.add_row("at least", f"{LEAST_ONE_BY_ONE:,}", "", f"{LEAST_AT_ONCE:,}", "")
    for line, (single, many) in own.items():
        other = theirs.get(line, (0, 0))
        table.add_row(line, f"{single:,.0f}", f"{other[0]:,.0f}", f"{many:,.0f}", f"{other[1]:,.0f}")
    return table


def _southbridge(folder: Path) -> list[str]:
    description = ours.description(folder, accelerator="qtest")
    monitor = f"monitors.test={{type: qtest, path: {folder}/ours}}"
    return [str(ours.program()), "run", str(description), "--set", monitor]


def _qemu(program: str, folder: Path) -> list[str]:
    plain = ["-machine", "pc", "-accel", "tcg", "-S", "-nodefaults", "-display", "none"]
    return [program, *plain, "-qtest", f"unix:{folder}/theirs", "-qtest-log", "none"]


def rates(command: Sequence[str], path: Path) -> dict[str, tuple[float, float]]:
    """Requests a second for each line, of a program that connects to the socket at `path`."""
    with _client(command, path) as peer:
        found: dict[str, tuple[float, float]] = {}
        for line in LINES:
            request = f"{line}\n".encode()
            single = min(_one_by_one(peer, request) for _ in range(ROUNDS))
            many = min(_at_once(peer, request) for _ in range(ROUNDS))
            found[line] = ONE_BY_ONE / single, AT_ONCE / many
        return found


@contextmanager
def _client(command: Sequence[str], path: Path) -> Iterator[socket.socket]:
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path))
        listener.listen()
        listener.settimeout(30)
        with subprocess.Popen(command) as process:
            try:
                with listener.accept()[0] as peer:
                    yield peer
            finally:
                process.terminate()


def _one_by_one(peer: socket.socket, request: bytes) -> float:
    start = time.perf_counter()
    for _ in range(ONE_BY_ONE):
        peer.send(request)
        peer.recv(4096)
    return time.perf_counter() - start


def _at_once(peer: socket.socket, request: bytes) -> float:
    writer = threading.Thread(target=peer.sendall, args=(request * AT_ONCE,))
    start = time.perf_counter()
    writer.start()
    answers = 0
    while answers < AT_ONCE:
        answers += peer.recv(1 << 20).count(b"\n")
    took = time.perf_counter() - start
    writer.join()
    return took
