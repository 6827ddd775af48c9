"""What a packet costs a guest that drives the e1000 card by its rings, beside QEMU, on KVM and on the software CPU.

Packets are sent to a network that nobody is on, and come from a stream socket that always has more of them, once the
guest has sent one.
"""

from __future__ import annotations

import contextlib
import socket
import statistics
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from rich.table import Table

from . import kvm, ours, qemu
from .processes import assembled

RUNS = 3
COUNT = 50_000
"""Packets of each kind."""
MANY = 1_000_000
"""Of those that a software CPU sends: it sends millions a second, and should not be timed while it begins."""
SIZES = (64, 1514)
EACH = (1, 64)
MARKS = [f"<{letter}>".encode() for letter in "abcde"]
MAC = bytes.fromhex("525400123456")
"""Both cards'."""
FRAMES = 64
"""How many the other end writes at once."""
ACCELERATORS = {"unicorn": "tcg", "kvm": "kvm"}
"""Ours, and QEMU's."""


def compare(folder: Path) -> list[Table]:
    """A table for each accelerator that is there."""
    take = assembled(folder, "packets", f"COUNT={COUNT}", "RECEIVE")
    names = [name for name in ACCELERATORS if name != "kvm" or kvm.missing() is None]
    return [_table(folder, name, take) for name in names]


def _table(folder: Path, accelerator: str, take: Path) -> Table:
    sent = MANY if accelerator == "unicorn" else COUNT
    send = assembled(folder, "packets", f"COUNT={sent}")
    title = f"the e1000 card, {accelerator}, median of {RUNS} runs"
    table = Table("packets a second", "Southbridge", f"QEMU {ACCELERATORS[accelerator]}", "ratio", title=title)
    pairs = _runs(folder, accelerator, send, "{type: 'null'}", "hubport,hubid=0", MARKS)
    for step, (size, each) in enumerate((size, each) for size in SIZES for each in EACH):
        _row(table, f"sent, {size} bytes, a doorbell per {each}", pairs, step, sent)
    path = folder / "network"
    for size in SIZES:
        with _source(path, size):
            own, other = f"{{type: socket, path: '{path}'}}", f"stream,addr.type=unix,addr.path={path}"
            pairs = _runs(folder, accelerator, take, own, other, MARKS[:3])
        for step, each in enumerate(EACH):
            _row(table, f"received, {size} bytes, a doorbell per {each}", pairs, step, COUNT)
    return table


Seconds = dict[bytes, float]


def _runs(
    folder: Path, accelerator: str, image: Path, netdev: str, qemus: str, marks: list[bytes]
) -> list[tuple[Seconds, Seconds | None]]:
    """Ours and QEMU's in turn: when each mark came. QEMU's is None if it came to a standstill."""
    runs: list[tuple[Seconds, Seconds | None]] = []
    theirs: Seconds | None = {}
    for _ in range(RUNS):
        own = ours.machine_start(ours.description(folder, image, accelerator, netdev), marks)
        if theirs is not None:
            theirs = _qemu(image, qemus, marks, ACCELERATORS[accelerator])
        runs.append((own, theirs))
    return runs


def _qemu(image: Path, netdev: str, marks: list[bytes], accelerator: str) -> Seconds | None:
    card = ("-netdev", f"{netdev},id=net0", "-device", "e1000,netdev=net0,romfile=")
    try:
        return qemu.run(marks, *card, "-drive", f"file={image},format=raw,snapshot=on", accelerator=accelerator).seconds
    except SystemExit:
        return None


def _row(table: Table, name: str, runs: list[tuple[Seconds, Seconds | None]], step: int, count: int) -> None:
    own = _rate([mine for mine, _ in runs], step, count)
    others = [theirs for _, theirs in runs if theirs is not None]
    if len(others) < len(runs):
        table.add_row(name, f"{own:,.0f}", "stands still", "")
    else:
        other = _rate(others, step, count)
        table.add_row(name, f"{own:,.0f}", f"{other:,.0f}", f"{own / other:.2f}")


def _rate(runs: list[Seconds], step: int, count: int) -> float:
    return count / statistics.median(run[MARKS[step + 1]] - run[MARKS[step]] for run in runs)


@contextmanager
def _source(path: Path, size: int) -> Iterator[None]:
    """Inside, whoever connects and sends something is sent frames of `size` bytes, in QEMU's framing, as fast as it
    takes them.
    """
    data = (size.to_bytes(4, "big") + MAC + bytes(size - len(MAC))) * FRAMES
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path))
        listener.listen()
        thread = threading.Thread(target=_serve, args=(listener, data))
        thread.start()
        try:
            yield
        finally:
            listener.shutdown(socket.SHUT_RDWR)
            thread.join()
            path.unlink()


def _serve(listener: socket.socket, data: bytes) -> None:
    while True:
        try:
            connection, _ = listener.accept()
        except OSError:
            return
        with connection, contextlib.suppress(OSError):
            going = bool(connection.recv(1))
            while going:
                connection.sendall(data)
