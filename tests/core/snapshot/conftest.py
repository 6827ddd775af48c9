"""Machines built from descriptions, of devices that have a bit of everything, run on a thread and saved."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from southbridge import Machine, ShutdownReason
from southbridge.builder import build
from southbridge.control.client import MachineClient, find_machine
from southbridge.control.folder import Claim, claim
from southbridge.control.server import ControlServer
from southbridge.description import load

PATIENCE_S = 60.0

PARTS = '''
"""Devices with state, timers, memory and disks; an accelerator that halts at once."""

import threading

from kit import Still
from southbridge import Device, Link, Property, ResetReason, State, timer
from southbridge.block import BlockBackend, BlockError, BlockQueue
from southbridge.memory.ram import RamBlock
from southbridge.memory.regions import Ram


class Notes(Device):
    """Remembers things."""

    number: int = State(0, ge=0, le=1000)
    text: bytes = State(b"", max_length=100)

    @timer
    def expire(self, what: int) -> None:
        self.number = what


class Card(Device):
    """Has memory that the guest doesn't see, and a ROM that it does."""

    def realize(self):
        self.vram = RamBlock("vram", 1 << 20)
        rom = RamBlock("rom", 1 << 16)
        rom.view[:] = b"R" * (1 << 16)
        self.claim_memory(Ram("rom", rom, readonly=True, owner=self), 0xF0000000)


class Reader(Device):
    """Uses a disk."""

    drive: BlockBackend = Link("blockdevs", doc="Its disk.")

    def realize(self):
        self.results = []
        self.queue = BlockQueue(self.drive, self.machine.executor, self.machine.lock)

    def done(self, data, error):
        self.results.append(error or data)


class Slow(BlockBackend):
    """A disk whose requests take until they are let go."""

    patience = 60

    def open(self):
        self.name, self.size, self.writable = "slow", 1 << 16, True
        self.entered, self.go = threading.Event(), threading.Event()

    def read(self, offset, length): return bytes(length)

    def write(self, offset, data):
        self.entered.set()
        self.go.wait(self.patience)

    def flush(self): pass
    def close(self): self.go.set()


class Lingering(Slow):
    """A disk whose changes take as long."""

    def write(self, offset, data): pass

    def changes(self):
        self.entered.set()
        self.go.wait(self.patience)
        return iter(())
'''

ENTRY_POINTS = """
[southbridge.devices]
notes = parts:Notes
video = parts:Card
reader = parts:Reader

[southbridge.blockdevs]
slow = parts:Slow
lingering = parts:Lingering
"""

DESCRIPTION = """
name: saved
accelerator: still
memory: 4M
devices:
  notes: {type: notes}
  video: {type: video}
  reader: {type: reader, drive: disk}
blockdevs:
  disk: {type: raw, path: disk.img, overlay: true}
"""


@pytest.fixture(autouse=True)
def runtime(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "run").mkdir()
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path / "run"))


MakeDistribution = Callable[..., Path]


@pytest.fixture
def parts(kit: Path, distribution: MakeDistribution) -> Path:
    """The distribution `parts`, version 2.1."""
    return distribution("parts", "2.1", ENTRY_POINTS, parts=PARTS)


@pytest.fixture
def description(parts: Path, tmp_path: Path) -> Path:
    """The machine that most tests save, and its disk."""
    (tmp_path / "disk.img").write_bytes(bytes(range(256)) * 1024)
    path = tmp_path / "machine.yaml"
    path.write_text(DESCRIPTION)
    return path


class Running:
    """A machine that runs on a thread, with a control socket."""

    def __init__(self, machine: Machine) -> None:
        self.machine = machine
        self._claim: Claim = claim(machine.name)
        machine.services.append(ControlServer(machine, self._claim.listener))
        self._failure: BaseException | None = None
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()
        self.run("query-name")  # it listens once it has its state

    def device(self, id: str) -> Any:
        return self.machine.devices[id]

    def client(self) -> MachineClient:
        return find_machine(self._claim.id, PATIENCE_S)

    def run(self, command: str, **arguments: Any) -> Any:
        with self.client() as client:
            return client.run(command, **arguments)

    def save(self, path: Path) -> None:
        self.run("snapshot-save", path=str(path))

    @property
    def status(self) -> str:
        return str(self.run("query-status")["status"])

    def end(self) -> None:
        self.machine.request_shutdown(ShutdownReason.HOST_UI)
        self.join()

    def join(self) -> None:
        self._thread.join(PATIENCE_S)
        assert not self._thread.is_alive(), "the machine doesn't end"
        if self._failure:
            raise self._failure

    def _run(self) -> None:
        try:
            self.machine.run()
        except BaseException as error:
            self._failure = error
        finally:
            self._claim.close()
            self.machine.close()


Start = Callable[..., Running]


@pytest.fixture
def start() -> Iterator[Start]:
    """Runs a machine, or the description at a path; it is ended after the test."""
    started: list[Running] = []

    def start(what: Machine | Path, *settings: str) -> Running:
        machine = what if isinstance(what, Machine) else build(load(str(what), settings))
        started.append(Running(machine))
        return started[-1]

    yield start
    for running in started:
        running.end()
