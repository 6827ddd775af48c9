"""A runtime folder of the test's own, and machines that run on a thread with a control socket."""

from __future__ import annotations

import contextlib
import os
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from southbridge import Machine, ShutdownReason
from southbridge.control.client import MachineClient, find_machine
from southbridge.control.folder import claim
from southbridge.control.server import ControlServer

from tests.core.fake_cpu import Guest
from tests.core.fake_pc import Pc, spins

PATIENCE_S = 60.0


@pytest.fixture(autouse=True)
def runtime(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where the sockets are."""
    path = tmp_path / "run"
    path.mkdir(mode=0o700)
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(path))
    return path / "southbridge"


class RunningPc:
    """A machine that runs on a thread, and its id."""

    def __init__(self, name: str, guest: Guest) -> None:
        self.pc = Pc(guest)
        self.machine.name = name
        self.claim = claim(name)
        self.server = ControlServer(self.machine, self.claim.listener)
        self.machine.services.append(self.server)
        self.outcome: object = None
        self._thread = threading.Thread(target=self._run, daemon=True)

    @property
    def machine(self) -> Machine:
        return self.pc.machine

    @property
    def id(self) -> str:
        return self.claim.id

    def start(self) -> None:
        self._thread.start()

    def client(self) -> MachineClient:
        return find_machine(self.id, PATIENCE_S)

    def end(self) -> None:
        self.machine.request_shutdown(ShutdownReason.HOST_UI)
        self.join()

    def join(self) -> None:
        self._thread.join(PATIENCE_S)
        assert not self._thread.is_alive(), "the machine doesn't end"

    def _run(self) -> None:
        try:
            self.outcome = self.machine.run()
        finally:
            self.claim.close()
            self.machine.close()


StartPc = Callable[..., RunningPc]


@pytest.fixture
def start_pc() -> Iterator[StartPc]:
    """Starts a machine of that name; it is ended after the test."""
    started: list[RunningPc] = []

    def start(name: str = "pc", guest: Guest = spins, prepare: Callable[[RunningPc], None] | None = None) -> RunningPc:
        running = RunningPc(name, guest)
        if prepare:
            prepare(running)
        running.start()
        started.append(running)
        return running

    yield start
    for running in started:
        running.end()


@contextlib.contextmanager
def descriptors_kept() -> Iterator[None]:
    """Fails if a descriptor is left open."""
    before = set(os.listdir("/proc/self/fd"))
    yield
    assert set(os.listdir("/proc/self/fd")) == before
