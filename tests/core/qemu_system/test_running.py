"""The program runs: signals and exit statuses, the background, files, a disk that fails and works again."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.core.qemu_system.program import PROGRAM, running
from tests.guests.build import GUESTS, assemble

BARE = ["-nodefaults", "-display", "none", "-accel", "tcg", "-m", "16"]
PATIENCE_S = 60.0


class Monitor:
    """A QMP client."""

    def __init__(self, connection: socket.socket) -> None:
        self._lines = connection.makefile("rw")
        self.events: list[str] = []
        assert "QMP" in json.loads(self._lines.readline())
        self.say("qmp_capabilities")

    def say(self, command: str) -> Any:
        """A command, and its result."""
        return self.answer(command)["return"]

    def answer(self, command: str) -> dict[str, Any]:
        """A command, and what comes back: its result or its error."""
        self._lines.write(json.dumps({"execute": command}) + "\n")
        self._lines.flush()
        while True:
            answer: dict[str, Any] = json.loads(self._lines.readline())
            if "event" not in answer:
                return answer
            self.events.append(answer["event"])

    def wait_for(self, event: str) -> None:
        """Until an event of that name has come."""
        while event not in self.events:
            self.events.append(json.loads(self._lines.readline()).get("event", ""))


@contextmanager
def monitor(path: Path) -> Iterator[Monitor]:
    """One at the socket `path`, once somebody listens there."""
    deadline = time.monotonic() + PATIENCE_S
    while True:
        with closing(socket.socket(socket.AF_UNIX)) as connection:
            connection.settimeout(PATIENCE_S)
            try:
                connection.connect(str(path))
            except OSError:
                assert time.monotonic() < deadline, "nobody listens"
                continue
            yield Monitor(connection)
            return


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_signals_end_it(number: int, tmp_path: Path) -> None:
    options = [*BARE, "-S", "-qmp", f"unix:{tmp_path}/q,server=on,wait=off", "-pidfile", f"{tmp_path}/pid"]
    with running(options, tmp_path / "log") as process, monitor(tmp_path / "q") as client:
        assert client.say("query-status")["status"] == "prelaunch"
        assert int((tmp_path / "pid").read_text()) == process.pid
        process.send_signal(number)
        assert process.wait(PATIENCE_S) == 0, (tmp_path / "log").read_text()
    assert not (tmp_path / "pid").exists()
    assert not (tmp_path / "q").exists()


def test_a_test_program_has_it_connect_to_both_of_its_sockets(tmp_path: Path) -> None:
    """As QEMU's own test programs start it."""
    with closing(socket.socket(socket.AF_UNIX)) as tests, closing(socket.socket(socket.AF_UNIX)) as monitors:
        for listener, name in ((tests, "t"), (monitors, "q")):
            listener.bind(str(tmp_path / name))
            listener.listen()
            listener.settimeout(PATIENCE_S)
        options = [
            *("-qtest", f"unix:{tmp_path}/t", "-qtest-log", "/dev/null"),
            *("-chardev", f"socket,path={tmp_path}/q,id=char0", "-mon", "chardev=char0,mode=control"),
            *("-display", "none", "-machine", "pc", "-accel", "qtest"),
        ]
        with running(options, tmp_path / "log"), tests.accept()[0] as test, monitors.accept()[0] as peer:
            client = Monitor(peer)
            assert client.say("query-status")["status"] == "running"
            test.settimeout(PATIENCE_S)
            test.sendall(b"outb 0x70 0x0d\ninb 0x71\n")
            answers = test.makefile("rb")
            assert [answers.readline() for _ in range(2)] == [b"OK\n", b"OK 0x0080\n"]
            client.say("quit")


def test_preconfig(tmp_path: Path) -> None:
    """The monitor says when the machine is complete; with -S it waits for `cont` then."""
    options = [*BARE, "-preconfig", "-S", "-qmp", f"unix:{tmp_path}/q,server=on,wait=off"]
    with running(options, tmp_path / "log"), monitor(tmp_path / "q") as client:
        assert "error" in client.answer("cont")
        client.say("x-exit-preconfig")
        assert client.say("query-status")["status"] == "prelaunch"
        client.say("cont")
        assert client.say("query-status")["status"] == "running"


def test_the_background(tmp_path: Path) -> None:
    """When the parent ends the monitor is there; the child has no terminal and no folder."""
    options = [
        *BARE,
        "-S",
        "-daemonize",
        "-qmp",
        f"unix:{tmp_path}/q,server=on,wait=off",
        "-pidfile",
        f"{tmp_path}/pid",
    ]
    with running(options, tmp_path / "log") as process:
        assert process.wait(PATIENCE_S) == 0, (tmp_path / "log").read_text()
    child = int((tmp_path / "pid").read_text())
    try:
        with socket.socket(socket.AF_UNIX) as connection:
            connection.connect(str(tmp_path / "q"))
            client = Monitor(connection)
            assert os.readlink(f"/proc/{child}/cwd") == "/"
            assert os.readlink(f"/proc/{child}/fd/0") == "/dev/null"
            assert os.getsid(child) == child
            client.say("quit")
            assert connection.recv(1) in (b"", b"{")
    finally:
        if Path(f"/proc/{child}").exists():
            os.kill(child, signal.SIGTERM)


def test_a_background_that_cannot_be(tmp_path: Path) -> None:
    with running([*BARE, "-daemonize", "-bios", "/none"], tmp_path / "log") as process:
        assert process.wait(PATIENCE_S) == 1
    assert "/none" in (tmp_path / "log").read_text()


def test_a_failing_disk_stops_the_machine_until_it_is_told_to_go_on(tmp_path: Path, images: Path) -> None:
    """Firmware's first read of the disk fails; made again, it boots."""
    disk = tmp_path / "disk.img"
    disk.write_bytes(assemble(GUESTS / "floppy" / "boot.asm", images).read_bytes().ljust(1 << 20, b"\0"))
    rules = '[inject-error]\nevent = "read_aio"\niotype = "read"\nonce = "on"\n'
    (tmp_path / "rules").write_text(rules)
    options = [
        *(
            *BARE,
            "-device",
            "isa-debug-exit",
            "-drive",
            f"file=blkdebug:{tmp_path}/rules:{disk},format=raw,rerror=stop",
        ),
        *("-S", "-qmp", f"unix:{tmp_path}/q,server=on,wait=off"),
    ]
    with running(options, tmp_path / "log") as process, monitor(tmp_path / "q") as client:
        client.say("cont")
        client.wait_for("STOP")
        assert "BLOCK_IO_ERROR" in client.events
        assert client.say("query-status") == {"running": False, "singlestep": False, "status": "io-error"}
        client.say("cont")
        assert process.wait(PATIENCE_S) & 1, (tmp_path / "log").read_text()


def test_exit_statuses(tmp_path: Path) -> None:

    for options, status in ((["-frob"], 1), (["-version"], 0), ([*BARE, "-hda", "/none"], 1)):
        assert subprocess.run([PROGRAM, *options], capture_output=True, timeout=PATIENCE_S).returncode == status
