"""The program, started as libxl starts it, hears what libxl says, in the way in which libxl says it."""

from __future__ import annotations

import json
import os
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.core.qemu_system.program import libxl_options, make_files, running
from tests.core.qmp.conversations import VERBS, Said, form

PATIENCE_S = 60.0
FIRST_ID = 2020372736
"""libxl's: its ids count from here."""


class Libxl:
    """One connection of libxl's: a number for each request, and files with the first byte of their request."""

    def __init__(self, connection: socket.socket) -> None:
        connection.settimeout(PATIENCE_S)
        self._connection = connection
        self._lines = connection.makefile("rb")
        self._next = FIRST_ID
        greeting = self._receive()
        assert greeting["QMP"]["version"]["qemu"].keys() == {"major", "minor", "micro"}
        self.say(Said("qmp_capabilities", {}, {}))

    def say(self, said: Said, file: int | None = None) -> Any:
        """Says it, and gives what is returned."""
        request: dict[str, Any] = {"execute": said.command, "id": self._next}
        if said.arguments:
            request["arguments"] = said.arguments
        self._next += 1
        text = json.dumps(request).encode() + b"\r\n"
        if file is None:
            self._connection.sendall(text)
        else:
            socket.send_fds(self._connection, [text[:1]], [file])
            self._connection.sendall(text[1:])
        while "event" in (answer := self._receive()):
            assert answer["timestamp"].keys() == {"seconds", "microseconds"}
        assert answer["id"] == request["id"]
        assert "return" in answer, answer
        return answer["return"]

    def close(self) -> None:
        self._lines.close()
        self._connection.close()

    def _receive(self) -> Any:
        line = self._lines.readline()
        assert line, "the program has hung up"
        return json.loads(line)


def connect(path: Path) -> Libxl:
    connection = socket.socket(socket.AF_UNIX)
    connection.connect(str(path))
    return Libxl(connection)


def start(folder: Path) -> Iterator[Path]:
    """The program runs, with its monitor's socket at the path."""
    make_files(folder)
    # libxl finds the socket once xenstore says that the program runs; here, it inherits one that listens already.
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(folder / "qmp"))
        listener.listen()
        options = libxl_options(folder, monitor=f"fd={listener.fileno()}")
        log = folder / "log"
        with running([*options, "-accel", "unicorn"], log, inherited=[listener.fileno()]) as process:
            listener.close()
            yield folder / "qmp"
            assert process.poll() is None, log.read_text()


@pytest.fixture
def monitor(tmp_path: Path) -> Iterator[Path]:
    yield from start(tmp_path)


def test_all_that_libxl_was_recorded_to_say(monitor: Path) -> None:
    folder = monitor.parent
    state = folder / "state"
    given: int | None = None
    for verb, connections in VERBS.items():
        for conversation in connections:
            libxl = connect(monitor)
            for said in conversation:
                file = None
                if said.file:
                    opaque = "opaque" in said.arguments
                    flags = os.O_RDONLY if opaque else os.O_RDWR | os.O_CREAT | os.O_TRUNC
                    file = os.open(folder / "cd2.iso" if opaque else state, flags, 0o600)
                if "filename" in said.arguments and given is not None:
                    said = said._replace(arguments={**said.arguments, "filename": f"/dev/fdset/{given}"})
                returned = libxl.say(said, file)
                if file is not None:
                    os.close(file)
                assert form(returned) == form(said.answer), (verb, said.command)
                if said.command == "human-monitor-command":
                    assert returned == said.answer
                if said.command == "query-chardev":
                    assert [item["label"] for item in returned] == [item["label"] for item in said.answer]
                    assert returned[2] == said.answer[2]
                if said.file:
                    given = returned["fdset-id"]
            libxl.close()
    assert state.stat().st_size > 1000


def test_a_machine_goes_on_from_the_state_that_another_one_saved(tmp_path: Path) -> None:
    first = tmp_path / "first"
    first.mkdir()
    state = tmp_path / "state"
    starting = start(first)
    libxl = connect(next(starting))
    with state.open("wb") as file:
        libxl.say(Said("stop", {}, {}))
        libxl.say(Said("add-fd", {}, {}, file=True), file.fileno())
        libxl.say(Said("xen-save-devices-state", {"live": True, "filename": "/dev/fdset/0"}, {}))
    # Its images are free for the other one, as in a migration, while it is still there.
    with state.open("rb") as file, socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(tmp_path / "qmp"))
        listener.listen()
        numbers = [listener.fileno(), file.fileno()]
        options = libxl_options(
            first, domain=2, monitor=f"fd={numbers[0]}", restrict=[], incoming=["-S", "-incoming", f"fd:{numbers[1]}"]
        )
        with running([*options, "-accel", "unicorn"], tmp_path / "log", inherited=numbers):
            listener.close()
            other = connect(tmp_path / "qmp")
            status = Said("query-status", {}, {})
            assert other.say(status) == {"running": False, "singlestep": False, "status": "paused"}
            other.say(Said("cont", {}, {}))
            assert other.say(status)["status"] == "running"
            other.close()
    libxl.close()
    assert next(starting, None) is None


def test_a_machine_that_waits_says_prelaunch(tmp_path: Path) -> None:
    make_files(tmp_path)
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(tmp_path / "qmp"))
        listener.listen()
        options = [*libxl_options(tmp_path, monitor=f"fd={listener.fileno()}"), "-S", "-accel", "unicorn"]
        with running(options, tmp_path / "log", inherited=[listener.fileno()]) as process:
            listener.close()
            libxl = connect(tmp_path / "qmp")
            status = Said("query-status", {}, {})
            assert libxl.say(status) == {"running": False, "singlestep": False, "status": "prelaunch"}
            libxl.say(Said("cont", {}, {}))
            assert libxl.say(status)["status"] == "running"
            libxl.say(Said("quit", {}, {}))
            assert process.wait(PATIENCE_S) == 0, (tmp_path / "log").read_text()
            libxl.close()
