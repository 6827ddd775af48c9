"""How a client gets there, how it goes; the log; beside another accelerator; the machine's state."""

from __future__ import annotations

import socket
import subprocess
import sysconfig
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from southbridge import Machine
from southbridge.builder import accelerator_named, build
from southbridge.description import load
from southbridge.errors import SouthbridgeError
from southbridge.life import ShutdownReason
from southbridge.testing.qtest import Begun, QtestClient

PROGRAM = Path(sysconfig.get_path("scripts"), "southbridge")
QUIET = "chardevs.serial0={type: 'null'}"


def described(monitor: str, *settings: str, accelerator: str = "qtest") -> Machine:
    return build(
        load("pc", [f"accelerator={accelerator}", QUIET, f"monitors.test={{type: qtest, {monitor}}}", *settings])
    )


@contextmanager
def running(machine: Machine) -> Iterator[Machine]:
    machine.hooks.register(begun := Begun(), "begun")
    thread = threading.Thread(target=machine.run)
    thread.start()
    try:
        assert begun.event.wait(30)
        yield machine
    finally:
        machine.request_shutdown(ShutdownReason.HOST_QUIT)
        thread.join(30)
        machine.close()
    assert not thread.is_alive()


def connect(path: Path) -> QtestClient:
    peer = socket.socket(socket.AF_UNIX)
    peer.connect(str(path))
    return QtestClient(peer)


def test_a_server_has_one_client_after_the_other(tmp_path: Path) -> None:
    path = tmp_path / "s"
    with running(described(f"path: {path}, server: true")):
        for _ in range(2):
            with connect(path) as client:
                assert client.raw("endianness") == "OK little"
                client.intercept("ioapic")
                client.command("set_irq_in ioapic unnamed-gpio-in 5 1")
                assert client.history == ["IRQ raise 5"]
                client.command("set_irq_in ioapic unnamed-gpio-in 5 0")
    assert not path.exists()


def test_a_client_connects_when_it_is_built(tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(tmp_path / "s"))
        listener.listen()
        with (
            running(described(f"path: {tmp_path}/s, log: {tmp_path}/log")),
            QtestClient(listener.accept()[0]) as client,
        ):
            assert client.raw("inb 0x92") == "OK 0x0002"
    log = (tmp_path / "log").read_text().splitlines()
    assert [line.partition("] ")[2] for line in log] == ["OPENED", "inb 0x92", "OK 0x0002", "CLOSED"]
    assert log[1].startswith("[R +0.") and log[2].startswith("[S +0.")


def test_tcp() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        with running(described(f"port: {port}")), QtestClient(listener.accept()[0]) as client:
            assert client.raw("endianness") == "OK little"


@pytest.mark.parametrize(
    ("monitor", "message"),
    [
        ("server: true", "expected one of path, port, fd and stdio"),
        ("path: /nonexistent/s", "can't connect to unix:/nonexistent/s: No such file or directory"),
        ("path: /nonexistent/s, server: true", "can't listen at unix:/nonexistent/s,server=on: No such file"),
        ("path: x, wait: true", "only a server can wait for a client"),
        ("fd: 987", "can't connect to fd:987: Bad file descriptor"),
        ("port: 0, server: true, wait: true, wait_timeout: 0.01", "no client has connected to tcp:127.0.0.1"),
    ],
)
def test_what_is_wrong_is_said(monitor: str, message: str) -> None:
    with pytest.raises(SouthbridgeError, match=message.replace("(", "[(]")):
        described(monitor)


def test_standard_input_and_output(tmp_path: Path) -> None:
    settings = ["accelerator=qtest", QUIET, "monitors.test={type: qtest, stdio: true}"]
    command = [str(PROGRAM), "run", "pc", *(word for setting in settings for word in ("--set", setting))]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdin and process.stdout
        process.stdin.write(b"inb 0x92\nclock_step 7\n")
        process.stdin.flush()
        assert [process.stdout.readline(), process.stdout.readline()] == [b"OK 0x0002\n", b"OK 7\n"]
        process.terminate()
        assert process.wait(30) == 0


def test_beside_a_guest_that_runs() -> None:
    """The test watches and meddles, but time isn't its own."""
    ours, theirs = socket.socketpair()
    with running(described(f"fd: {theirs.detach()}", accelerator="unicorn")) as machine, QtestClient(ours) as client:
        assert client.raw("clock_step 1") == "FAIL Unknown command 'clock_step'"
        client.intercept("ioapic")
        with machine.lock:
            machine.isa.wires[5].pin().set(True)  # on another thread than the client's
        assert client.irq(5)
        assert client.read_memory(0xFFFF_FFF0, 1) == b"\xea"


def test_a_test_hands_over_to_a_cpu_and_back() -> None:
    """Time is the CPU's while it has the machine."""
    ours, theirs = socket.socketpair()
    with running(described(f"fd: {theirs.detach()}", "devices.bios=null")) as machine, QtestClient(ours) as client:
        client.write_memory(0x10_0000, b"kept")
        assert client.clock.advance(ms=5) == 5_000_000
        machine.swap_accelerator(accelerator_named(machine, "unicorn"))
        assert client.raw("clock_step 1").startswith("FAIL")
        assert machine.clock.running
        machine.swap_accelerator(accelerator_named(machine, "qtest"))
        assert not machine.clock.running
        assert client.clock.now() >= 5_000_000
        assert client.read_memory(0x10_0000, 4) == b"kept"


def test_a_saved_state_takes_the_time_along() -> None:
    states: list[dict[str, Any]] = []
    for _ in range(2):
        ours, theirs = socket.socketpair()
        with running(described(f"fd: {theirs.detach()}")) as machine, QtestClient(ours) as client:
            client.command("endianness")
            if states:
                machine.load_state(states[0])
            else:
                client.write_port(0x70, 0x10)
                client.clock.advance(ms=3)
            states.append(machine.save_state())
            assert client.clock.now() == 3_000_000
    assert states[0] == states[1]


def test_a_client_that_never_reads_harms_nobody() -> None:
    ours, theirs = socket.socketpair()
    with running(described(f"fd: {theirs.detach()}")) as machine:
        ours.setblocking(False)
        sent = b"read 0x100000 0x10000\n" * 1000
        while sent:
            try:
                sent = sent[ours.send(sent) :]
            except BlockingIOError:
                break
        machine.pause()
        machine.resume()
    ours.close()


def test_a_long_step_ends_with_the_machine() -> None:
    """A year of a timer that fires every few microseconds."""
    ours, theirs = socket.socketpair()
    with running(described(f"fd: {theirs.detach()}")), QtestClient(ours) as client:
        client.commands(["outb 0x43 0x34", "outb 0x40 10", "outb 0x40 0"])
        client.intercept("ioapic")
        ours.sendall(b"clock_step 31536000000000000\n")
        client._receive()  # it is under way
