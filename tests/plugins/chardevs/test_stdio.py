"""The stdio back end: a terminal, pipes, files, sockets; the escape key; and a terminal that is always given back."""

from __future__ import annotations

import os
import pty
import select
import signal
import socket
import subprocess
import sys
import termios
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from southbridge.errors import SouthbridgeError
from southbridge.plugins.chardevs.stdio import StdioChardev
from southbridge.testing.chardev import CharLoop, RecordingFrontend


@pytest.fixture
def stack() -> Iterator[ExitStack]:
    with ExitStack() as made:
        yield made


Make = Callable[[int, int], StdioChardev]


@pytest.fixture
def make(stack: ExitStack) -> Make:
    """A back end on two descriptors in the place of 0 and 1."""

    def made(input_fd: int, output_fd: int) -> StdioChardev:
        backend = StdioChardev()
        backend.input_fd, backend.output_fd = input_fd, output_fd
        stack.callback(backend.close)
        backend.open()
        return backend

    return made


@pytest.fixture
def terminal(stack: ExitStack) -> tuple[int, int]:
    """A terminal: the user's end, and the program's."""
    user, program = pty.openpty()
    stack.callback(os.close, user)
    stack.callback(os.close, program)
    return user, program


def read(fd: int) -> bytes:
    return os.read(fd, 65536) if select.select([fd], [], [], 0)[0] else b""


def test_a_terminal_is_raw_while_open(main_loop: CharLoop, make: Make, terminal: tuple[int, int]) -> None:
    user, program = terminal
    before = termios.tcgetattr(program)
    backend = make(program, program)
    frontend = main_loop.start(backend)
    assert not termios.tcgetattr(program)[3] & (termios.ECHO | termios.ICANON | termios.ISIG)
    os.write(user, b"\x03\x1a\r\x04")  # Ctrl-C, Ctrl-Z, Enter, Ctrl-D: all the guest's
    main_loop.until(lambda: frontend.received == b"\x03\x1a\r\x04")
    backend.write(b"one\n")
    assert read(user) == b"one\r\n"
    assert os.get_blocking(program), "what the terminal's other users see is unchanged"
    backend.close()
    assert termios.tcgetattr(program) == before


@pytest.mark.parametrize("chunks", [[b"a\x01xb"], [b"a", b"\x01", b"x", b"b"], [b"a\x01Xb"]])
def test_ctrl_a_x_quits(main_loop: CharLoop, make: Make, terminal: tuple[int, int], chunks: list[bytes]) -> None:
    user, program = terminal
    backend = make(program, program)
    quits: list[bool] = []
    backend.on_quit = lambda: quits.append(main_loop.lock._is_owned())  # type: ignore[attr-defined]
    frontend = main_loop.start(backend)
    for chunk in chunks:
        os.write(user, chunk)
        main_loop.settle()
    main_loop.until(lambda: frontend.received == b"ab")
    assert quits == [False]


def test_ctrl_a_x_works_while_the_guest_does_not_listen(
    main_loop: CharLoop, make: Make, terminal: tuple[int, int], caplog: pytest.LogCaptureFixture
) -> None:
    user, program = terminal
    backend = make(program, program)
    quits: list[bool] = []
    backend.on_quit = lambda: quits.append(True)
    frontend = main_loop.start(backend, RecordingFrontend(room=0))
    for _ in range(10):
        os.write(user, b"impatient" * 100)
        main_loop.settle()
    os.write(user, b"\x01x")
    main_loop.until(lambda: quits == [True])
    assert "what is typed is dropped" in caplog.text
    frontend.room = 1 << 20
    backend.accept_input()
    main_loop.until(lambda: len(frontend.received) == 4096)
    assert frontend.received == (b"impatient" * 1000)[:4096]


def test_ctrl_a_twice_sends_it_and_other_keys_after_it_do_nothing(
    main_loop: CharLoop, make: Make, terminal: tuple[int, int]
) -> None:
    user, program = terminal
    backend = make(program, program)
    frontend = main_loop.start(backend)
    os.write(user, b"1\x01\x01x2\x01c3\x01q4")
    main_loop.until(lambda: frontend.received.endswith(b"4"))
    assert frontend.received == b"1\x01x234"


def test_ctrl_a_h_shows_the_help(main_loop: CharLoop, make: Make, terminal: tuple[int, int]) -> None:
    user, program = terminal
    frontend = main_loop.start(make(program, program))
    os.write(user, b"\x01h!")
    main_loop.until(lambda: frontend.received == b"!")
    assert b"C-a x    end the machine" in read(user)


def test_pipes(main_loop: CharLoop, make: Make, stack: ExitStack) -> None:
    input_read, input_write = os.pipe()
    output_read, output_write = os.pipe()
    for fd in (input_read, output_read, output_write):
        stack.callback(os.close, fd)
    backend = make(input_read, output_write)
    frontend = main_loop.start(backend, RecordingFrontend(room=3))
    os.write(input_write, b"hello")
    os.close(input_write)
    main_loop.until(lambda: frontend.received == b"hel")
    main_loop.settle()
    frontend.room = 100
    backend.accept_input()
    main_loop.until(lambda: frontend.received == b"hello")
    assert backend.write(b"the end of input ends nothing else") == 34
    assert read(output_read) == b"the end of input ends nothing else"
    assert os.get_blocking(input_read) and os.get_blocking(output_write)


def test_a_pipe_that_is_faster_than_the_guest_loses_nothing(main_loop: CharLoop, make: Make, stack: ExitStack) -> None:
    input_read, input_write = os.pipe()
    stack.callback(os.close, input_read)
    os.set_blocking(input_write, False)
    null = os.open(os.devnull, os.O_WRONLY)
    stack.callback(os.close, null)
    backend = make(input_read, null)
    frontend = main_loop.start(backend, RecordingFrontend(room=0))
    source = bytes(byte for byte in range(256) if byte != 1) * 150
    os.write(input_write, source)
    os.close(input_write)
    main_loop.settle()
    assert len(backend._backlog) < 3 * 4096

    def guest_reads() -> bool:
        frontend.room = 16
        backend.accept_input()
        return len(frontend.received) == len(source)

    main_loop.until(guest_reads)
    assert frontend.received == source


def test_a_stopped_reader_does_not_block(main_loop: CharLoop, make: Make, stack: ExitStack) -> None:
    output_read, output_write = os.pipe()
    stack.callback(os.close, output_write)
    null = os.open(os.devnull, os.O_RDONLY)
    stack.callback(os.close, null)
    backend = make(null, output_write)
    frontend = main_loop.start(backend)
    while backend.write(bytes(10_000)) == 10_000:
        pass
    os.close(output_read)
    main_loop.until(lambda: frontend.writable_calls == 1)
    assert backend.write(bytes(100_000)) == 100_000


@pytest.mark.parametrize("content", [b"", b"typed ahead\n" * 1000])
def test_files(main_loop: CharLoop, make: Make, stack: ExitStack, tmp_path: Path, content: bytes) -> None:
    (tmp_path / "in").write_bytes(content)
    files = [(tmp_path / "in").open("rb"), (tmp_path / "out").open("wb")]
    for file in files:
        stack.callback(file.close)
    backend = make(files[0].fileno(), files[1].fileno())
    frontend = main_loop.start(backend, RecordingFrontend(room=5))
    backend.write(b"out")

    def guest_reads() -> bool:
        frontend.room = 5
        backend.accept_input()
        return len(frontend.received) == len(content)

    main_loop.until(guest_reads)
    main_loop.settle()
    assert frontend.received == content
    assert (tmp_path / "out").read_bytes() == b"out"
    assert not backend._reading


def test_a_socket_is_set_back_to_blocking(main_loop: CharLoop, make: Make, stack: ExitStack) -> None:
    ours, theirs = socket.socketpair()
    stack.enter_context(ours)
    stack.enter_context(theirs)
    backend = make(ours.fileno(), ours.fileno())
    frontend = main_loop.start(backend)
    theirs.send(b"in")
    backend.write(b"out")
    main_loop.until(lambda: frontend.received == b"in")
    assert theirs.recv(10) == b"out"
    backend.close()
    assert os.get_blocking(ours.fileno())


def test_one_back_end_has_it(make: Make, terminal: tuple[int, int]) -> None:
    first = make(terminal[1], terminal[1])
    with pytest.raises(SouthbridgeError, match="another character back end uses standard input"):
        make(terminal[1], terminal[1])
    first.close()
    make(terminal[1], terminal[1])


def test_a_process_without_standard_descriptors(main_loop: CharLoop, make: Make) -> None:
    unused = os.dup(0)
    os.close(unused)
    backend = make(unused, unused)
    main_loop.start(backend)
    assert backend.write(b"nowhere") == 7


PROGRAM = """
import asyncio, os, signal, sys, threading
from southbridge.plugins.chardevs.stdio import StdioChardev
for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT):  # whatever the tests' own parent ignores
    signal.signal(number, signal.SIG_DFL)
signal.signal(signal.SIGINT, signal.default_int_handler)
backend = StdioChardev()
backend.open()
loop = asyncio.new_event_loop()
loop.add_signal_handler(signal.SIGUSR1, print)  # so that each signal wakes it, as it does a machine's
backend.start(loop, threading.RLock())
os.write(1, b"ready")
if sys.argv[1] == "raise":
    raise RuntimeError("a fault")
if sys.argv[1] == "exit":
    sys.exit(3)
loop.run_forever()
"""


@pytest.mark.parametrize(
    ("how", "number", "status"),
    [
        ("raise", None, 1),
        ("exit", None, 3),
        ("run", signal.SIGTERM, -signal.SIGTERM),
        ("run", signal.SIGHUP, -signal.SIGHUP),
        ("run", signal.SIGQUIT, -signal.SIGQUIT),
        ("run", signal.SIGINT, -signal.SIGINT),
    ],
)
def test_the_terminal_is_given_back_however_the_program_ends(
    terminal: tuple[int, int], how: str, number: signal.Signals | None, status: int
) -> None:
    user, program = terminal
    before = termios.tcgetattr(program)
    command = [sys.executable, "-c", PROGRAM, how]
    with subprocess.Popen(command, stdin=program, stdout=program, stderr=subprocess.DEVNULL) as process:
        seen = b""
        while b"ready" not in seen:
            seen += os.read(user, 100)
        if number is not None:
            assert not termios.tcgetattr(program)[3] & termios.ECHO
            process.send_signal(number)
        try:
            assert process.wait(30) == status
        finally:
            process.kill()
    assert termios.tcgetattr(program) == before
