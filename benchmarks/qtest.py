"""The qtest protocol: requests a second of a Python client, one by one and all at once, beside QEMU's; and how long the
programs take from their start to the greeting, started as qtest programs start them.

QEMU serves the protocol beside its software CPU, which stands still: Debian's has no accelerator qtest.
"""

from __future__ import annotations

import shutil
import socket
import statistics
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
STARTS, LONGEST_START_MS = 11, 200


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


def compare_starts(folder: Path) -> Table:
    """Milliseconds to the greeting: medians of some starts, of both in turn."""
    table = Table("", "Southbridge", "QEMU", title="from the start to QMP's greeting, with qtest: median")
    program = ours.program().with_name("southbridge-system-x86_64")
    commands = [[str(program), "-accel", "qtest"]]
    if qemu := shutil.which("qemu-system-x86_64"):
        commands.append([qemu, "-accel", "tcg", "-S"])
    times: list[list[float]] = [[] for _ in commands]
    for _ in range(STARTS):
        for command, own in zip(commands, times, strict=True):
            own.append(_to_greeting(command, folder) * 1e3)
    medians = [f"{statistics.median(own):.0f} ms" for own in times]
    table.add_row(f"at most {LONGEST_START_MS} ms", *medians)
    return table


def _to_greeting(command: Sequence[str], folder: Path) -> float:
    """Seconds. As libqtest does, the client listens at both sockets."""
    tests, monitor = folder / "start.qtest", folder / "start.qmp"
    arguments = ["-qtest", f"unix:{tests}", "-qtest-log", "/dev/null", "-display", "none", "-machine", "pc"]
    arguments += ["-chardev", f"socket,path={monitor},id=char0", "-mon", "chardev=char0,mode=control"]
    with socket.socket(socket.AF_UNIX) as first, socket.socket(socket.AF_UNIX) as second:
        for listener, path in ((first, tests), (second, monitor)):
            path.unlink(missing_ok=True)
            listener.bind(str(path))
            listener.listen()
            listener.settimeout(30)
        begin = time.perf_counter()
        with subprocess.Popen([*command, *arguments]) as process:
            try:
                with second.accept()[0] as peer:
                    peer.settimeout(30)
                    assert b"QMP" in peer.recv(4096)
                    return time.perf_counter() - begin
            finally:
                process.kill()


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
