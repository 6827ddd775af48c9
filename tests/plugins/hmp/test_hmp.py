"""The monitor for people where people are: at a socket, at a terminal, and at one that a serial port shares."""

from __future__ import annotations

import os
import pty
import socket
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from tests.core.qemu_system.program import PROGRAM, running
from tests.guests.build import need_file
from tests.terminal import PATIENCE_S, Terminal

MACHINE = ("-machine", "pc", "-nodefaults", "-m", "32", "-display", "none")
PROMPT = b"(qemu) "


@contextmanager
def at_a_terminal(*options: str) -> Iterator[tuple[Terminal, subprocess.Popen[bytes]]]:
    """The program, with the user's side of its terminal."""
    inner, outer = pty.openpty()
    try:
        with subprocess.Popen([PROGRAM, *options], stdin=outer, stdout=outer, stderr=outer) as process:
            try:
                yield Terminal(inner), process
            finally:
                process.kill()
    finally:
        os.close(inner)
        os.close(outer)


@contextmanager
def at_a_socket(folder: Path) -> Iterator[tuple[list[socket.socket], subprocess.Popen[bytes]]]:
    """The program, and two clients of its monitor."""
    path = folder / "monitor"
    with ExitStack() as stack:
        listener, *clients = [stack.enter_context(socket.socket(socket.AF_UNIX)) for _ in range(3)]
        listener.bind(str(path))
        listener.listen()
        options = [*MACHINE, "-accel", "qtest", "-chardev", f"socket,id=m,fd={listener.fileno()},server=on,wait=off"]
        inherited = [listener.fileno()]
        process = stack.enter_context(running([*options, "-mon", "m"], folder / "log", inherited=inherited))
        for client in clients:
            client.connect(str(path))
        yield clients, process


def test_several_clients_at_a_socket(tmp_path: Path) -> None:
    with at_a_socket(tmp_path) as (clients, process):
        one, other = (Terminal(client.fileno()) for client in clients)
        for terminal in (one, other):
            assert b"Southbridge monitor" in terminal.until(PROMPT)
        one.press(b"info sta\t\r")
        one.until(b"info status \r\nVM status: running\r\n")
        other.press(b"xp /2bx 0xfffffff0\r\n")
        other.until(b"00000000fffffff0: 0xea 0x5b")
        one.press(b"quit\n")
        assert process.wait(PATIENCE_S) == 0


def test_a_client_that_never_reads_harms_nobody(tmp_path: Path) -> None:
    with at_a_socket(tmp_path) as ((deaf, hearing), process):
        deaf.setblocking(False)
        sent = 0
        with pytest.raises(BlockingIOError):
            while sent < 1 << 26:  # until it isn't read any more
                sent += deaf.send(b"info qtree\r" * 1000)
        terminal = Terminal(hearing.fileno())
        terminal.until(PROMPT)
        terminal.press(b"quit\r")
        assert process.wait(PATIENCE_S) == 0


def test_the_terminal() -> None:
    with at_a_terminal(*MACHINE, "-accel", "qtest", "-monitor", "stdio") as (terminal, process):
        terminal.until(PROMPT)
        terminal.press(b"info name\r")
        terminal.until(b"pc\r")
        terminal.until(PROMPT)
        terminal.press(b"\x10\r")
        terminal.until(b"pc\r")
        terminal.press(b"\x01x")
        assert process.wait(PATIENCE_S) == 0


@pytest.mark.parametrize("how", [("-serial", "mon:stdio"), ("-nographic", "-serial", "mon:stdio")])
def test_a_terminal_that_a_serial_port_shares(how: tuple[str, ...], tmp_path: Path) -> None:
    need_file(Path("/usr/share/seabios/bios-256k.bin"), "seabios")
    echo = tmp_path / "boot.img"
    echo.write_bytes(ECHO.ljust(510, b"\0") + b"\x55\xaa")
    options = [
        "-machine",
        "pc",
        "-nodefaults",
        "-m",
        "32",
        "-accel",
        "tcg",
        "-display",
        "none",
        *how,
        "-hda",
        str(echo),
    ]
    with at_a_terminal(*options) as (terminal, process):
        terminal.until(b"!")  # the guest runs
        terminal.press(b"guest")
        terminal.until(b"guest")
        terminal.press(b"\x01cinfo status\r")
        terminal.until(PROMPT)
        terminal.until(b"VM status: running\r")
        terminal.press(b"\x01cagain")
        terminal.until(b"again")
        terminal.press(b"\x01h")
        terminal.until(b"C-a c")
        terminal.press(b"\x01cquit\r")
        assert process.wait(PATIENCE_S) == 0


ECHO = bytes(
    [
        *(0xBA, 0xF8, 0x03, 0xB0, 0x21, 0xEE),  # mov dx, 3F8h; mov al, "!"; out dx, al
        *(0xBA, 0xFD, 0x03, 0xEC, 0xA8, 0x01, 0x74, 0xFB),  # mov dx, 3FDh; in al, dx; test al, 1; jz -5
        *(0xBA, 0xF8, 0x03, 0xEC, 0xEE, 0xEB, 0xF1),  # mov dx, 3F8h; in al, dx; out dx, al; jmp -15
    ]
)
"""A boot sector that says "!" on COM1, and then what it hears there."""


def test_nographic_has_both() -> None:
    with at_a_terminal("-machine", "pc", "-m", "32", "-accel", "qtest", "-net", "none", "-nographic") as (
        terminal,
        process,
    ):
        terminal.press(b"\x01c")
        terminal.until(PROMPT)
        terminal.press(b"info chardev\r")
        assert b"serial0: filename=stdio\r" in terminal.until(PROMPT)
        terminal.press(b"q\r")
        assert process.wait(PATIENCE_S) == 0


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["-mon", "chardev=none"], "there is no chardev 'none'"),
        (["-chardev", "null,id=n", "-serial", "chardev:n", "-mon", "n"], "can't be shared"),
        (["-monitor", "foo"], "expected pty, null, stdio"),
    ],
)
def test_mistakes(options: list[str], message: str) -> None:
    command: list[str | Path] = [PROGRAM, *MACHINE, "-accel", "qtest", *options]
    done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=PATIENCE_S)
    assert done.returncode == 1
    assert done.stderr.count("\n") == 1 and message in done.stderr
