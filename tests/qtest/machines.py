"""A PC that a test drives over the qtest protocol: ours, or QEMU's.

QEMU is Debian's, which has no accelerator qtest: its software CPU has the machine, and executes HLT if it executes at
all. So its time is the host's, and passes only while a test waits for something.
"""

from __future__ import annotations

import json
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from southbridge.testing.qtest import QtestClient, driven
from southbridge.units import MiB

from tests.guests.build import need

OURS, QEMU = "southbridge", "qemu"
IDLE = bytes.fromhex("faf4ebfd")
"""CLI; HLT; and again: what QEMU's CPU executes from the reset vector on."""
ROM_SIZE = 64 << 10
MEMORY = 128 * MiB
PATIENCE = 20.0
"""Seconds of the host's time."""
LONGEST = 3_000_000_000
"""Nanoseconds of a machine's time."""
STEPS = 3000


class Pc(QtestClient):
    """One of them. `ours`: its time is the test's."""

    def __init__(self, peer: socket.socket, go: Callable[[], None], stand: Callable[[], None], *, ours: bool) -> None:
        super().__init__(peer)
        self.ours = ours
        self._go, self._stand = go, stand

    def until(self, condition: Callable[[], bool]) -> None:
        """Time passes until `condition` holds, or it is an error."""
        if condition():
            return
        end = time.monotonic() + PATIENCE
        self._go()
        try:
            passed = 0
            while not condition():
                assert time.monotonic() < end and passed < LONGEST, "it never happens"
                if self.ours:
                    self.clock.advance(ns=LONGEST // STEPS)
                    passed += LONGEST // STEPS
        finally:
            self._stand()

    def soon(self, condition: Callable[[], bool]) -> None:
        """The host does something meanwhile, such as reading an image, but no time passes."""
        end = time.monotonic() + PATIENCE
        while not condition():
            assert time.monotonic() < end, "it never happens"


def rom(folder: Path) -> Path:
    """Firmware that does nothing."""
    path = folder / "idle.bin"
    path.write_bytes(bytes(ROM_SIZE - 16) + IDLE.ljust(16, b"\0"))
    return path


@contextmanager
def ours(folder: Path, disk: Path | None, disc: Path | None, floppy: Path | None) -> Iterator[Pc]:
    """Southbridge's, in this process."""
    settings = [f"memory={MEMORY}", f"devices.bios.image={rom(folder)}"]
    for id, kind, bus, image in (("hd", "ide-hd", 0, disk), ("cd", "ide-cd", 1, disc)):
        if image is not None:
            settings.append(f"blockdevs.{id}={{type: raw, path: '{image}'}}")
            settings.append(f"devices.{id}={{type: {kind}, drive: {id}, bus: ide.{bus}}}")

    if floppy is not None:
        settings += ["devices.dma={type: i8257}", "devices.fdc={type: fdc}", "devices.a={type: floppy, drive: fd}"]
        settings.append(f"blockdevs.fd={{type: raw, path: '{floppy}'}}")

    def nothing() -> None:
        pass

    with driven("pc", *settings) as client:
        yield Pc(client.peer, nothing, nothing, ours=True)


@contextmanager
def qemu(folder: Path, disk: Path | None, disc: Path | None, floppy: Path | None) -> Iterator[Pc]:
    """QEMU's."""
    with ExitStack() as stack:
        listeners = {name: stack.enter_context(_listener(folder / name)) for name in ("qtest", "qmp")}
        command = [
            *(need("qemu-system-x86_64", "qemu-system-x86"), "-machine", "pc", "-accel", "tcg", "-S", "-nodefaults"),
            *("-display", "none", "-m", f"{MEMORY >> 20}", "-bios", str(rom(folder)), "-serial", "null"),
            *("-qtest", f"unix:{folder}/qtest", "-qtest-log", "none", "-qmp", f"unix:{folder}/qmp"),
        ]
        for index, media, image in ((0, "disk", disk), (2, "cdrom", disc)):
            if image is not None:
                command += ["-drive", f"file={image},format=raw,if=ide,index={index},media={media}"]
        if floppy is not None:
            command += ["-drive", f"file={floppy},format=raw,if=floppy"]
        process = stack.enter_context(subprocess.Popen(command))
        stack.callback(process.kill)
        qtest, qmp = (stack.enter_context(_accepted(listeners[name])) for name in ("qtest", "qmp"))
        monitor = _Monitor(qmp)
        yield Pc(qtest, lambda: monitor.run("cont"), lambda: monitor.run("stop"), ours=False)


class _Monitor:
    """As much of QMP as is needed."""

    def __init__(self, peer: socket.socket) -> None:
        self._file = peer.makefile("rw")
        self._file.readline()
        self.run("qmp_capabilities")

    def run(self, command: str) -> None:
        self._file.write(json.dumps({"execute": command}) + "\n")
        self._file.flush()
        answer: dict[str, Any] = {}
        while "return" not in answer:
            answer = json.loads(self._file.readline())
            assert "error" not in answer, answer


@contextmanager
def _listener(path: Path) -> Iterator[socket.socket]:
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path))
        listener.listen()
        listener.settimeout(PATIENCE)
        yield listener


def _accepted(listener: socket.socket) -> socket.socket:
    peer = listener.accept()[0]
    peer.settimeout(PATIENCE)
    return peer


MACHINES = {OURS: ours, QEMU: qemu}
