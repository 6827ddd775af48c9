"""The socket back end: Unix and TCP, server and client."""

from __future__ import annotations

import logging
import os
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from southbridge.errors import SouthbridgeError
from southbridge.plugins.chardevs.socket import SocketChardev
from southbridge.testing.chardev import CharLoop, RecordingFrontend

Make = Callable[..., SocketChardev]


@pytest.fixture
def stack() -> Iterator[ExitStack]:
    with ExitStack() as made:
        yield made


@pytest.fixture
def make(stack: ExitStack) -> Make:
    def made(**values: Any) -> SocketChardev:
        backend = SocketChardev(**values)
        stack.callback(backend.close)
        backend.open()
        return backend

    return made


@pytest.fixture(params=["unix", "tcp"])
def where(request: pytest.FixtureRequest, tmp_path: Path) -> dict[str, Any]:
    """The properties that place a server."""
    return {"path": tmp_path / "serial.sock"} if request.param == "unix" else {"port": 0}


@pytest.fixture
def dial(stack: ExitStack) -> Callable[[SocketChardev], socket.socket]:
    def dialled(server: SocketChardev) -> socket.socket:
        if isinstance(server.address, str):
            client = socket.socket(socket.AF_UNIX)
            client.connect(server.address)
        else:
            client = socket.create_connection(server.address)
        client.setblocking(False)
        stack.enter_context(client)
        return client

    return dialled


Dial = Callable[[SocketChardev], socket.socket]


def read(client: socket.socket) -> bytes:
    try:
        return client.recv(65536)
    except BlockingIOError:
        return b""


def at_end(client: socket.socket) -> bool:
    try:
        return client.recv(1) == b""
    except BlockingIOError:
        return False
    except ConnectionResetError:
        return True


def test_a_server_talks_to_its_client(main_loop: CharLoop, make: Make, dial: Dial, where: dict[str, Any]) -> None:
    server = make(**where, server=True)
    frontend = main_loop.start(server)
    assert server.write(b"nobody is there") == 15 and frontend.events == []
    client = dial(server)
    main_loop.until(lambda: frontend.events == [True])
    server.write(b"login: ")
    client.send(b"root\r")
    main_loop.until(lambda: frontend.received == b"root\r")
    assert read(client) == b"login: "


def test_clients_one_after_the_other(main_loop: CharLoop, make: Make, dial: Dial, where: dict[str, Any]) -> None:
    server = make(**where, server=True)
    frontend = main_loop.start(server)
    for number in range(3):
        with dial(server) as client:
            client.send(b"%d" % number)  # and leaves at once, while the next one is there already
    main_loop.until(lambda: frontend.events == [True, False] * 3)
    assert frontend.received == b"012"


def test_a_second_client_is_refused_while_one_is_there(
    main_loop: CharLoop, make: Make, dial: Dial, where: dict[str, Any]
) -> None:
    server = make(**where, server=True)
    frontend = main_loop.start(server)
    first = dial(server)
    main_loop.until(lambda: frontend.events == [True])
    second = dial(server)
    main_loop.until(lambda: at_end(second))
    server.write(b"still here")
    assert read(first) == b"still here"


def test_a_client_that_left_unheard_makes_room_for_the_next(
    main_loop: CharLoop, make: Make, dial: Dial, where: dict[str, Any]
) -> None:
    server = make(**where, server=True)
    frontend = main_loop.start(server, RecordingFrontend(room=2))
    with dial(server) as first:
        first.send(b"typed while the guest doesn't listen")
        main_loop.until(lambda: frontend.received == b"ty")
        main_loop.settle()
    second = dial(server)
    main_loop.until(lambda: frontend.events == [True, False, True])
    server.write(b"hello")
    assert read(second) == b"hello"
    frontend.room = 100
    second.send(b"x")
    server.accept_input()
    main_loop.until(lambda: frontend.received == b"tyx")


def test_a_client_that_leaves_with_output_unread(
    main_loop: CharLoop, make: Make, dial: Dial, where: dict[str, Any]
) -> None:
    server = make(**where, server=True)
    frontend = main_loop.start(server)
    with dial(server):
        main_loop.until(lambda: frontend.events == [True])
        while server.write(bytes(100_000)) == 100_000:
            pass
    main_loop.until(lambda: frontend.events == [True, False])
    assert frontend.writable_calls == 1
    next_client = dial(server)
    main_loop.until(lambda: frontend.events == [True, False, True])
    server.write(b"fresh")
    assert read(next_client) == b"fresh", "nothing is left of what the first client didn't read"


def test_we_as_the_client(main_loop: CharLoop, make: Make, where: dict[str, Any]) -> None:
    server = make(**where, server=True)
    other = main_loop.start(server)
    place = where if "path" in where else {"port": server.address[1]}
    client = make(**place)
    frontend = main_loop.start(client)
    main_loop.until(lambda: other.events == [True] and frontend.events == [True])
    client.write(b"ping")
    server.write(b"pong")
    main_loop.until(lambda: other.received == b"ping" and frontend.received == b"pong")
    server.close()
    main_loop.until(lambda: frontend.events == [True, False])
    assert client.write(b"nobody") == 6


def test_wait_lets_the_machine_start_only_with_a_client(
    main_loop: CharLoop, make: Make, dial: Dial, where: dict[str, Any], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    server = SocketChardev(**where, server=True, wait=True)
    listening = threading.Event()

    class Announced(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            if record.getMessage().startswith("waiting for a client at "):
                listening.set()

    handler = Announced()
    logging.getLogger().addHandler(handler)
    opening = threading.Thread(target=server.open)
    try:
        opening.start()
        assert listening.wait(20)
        client = dial(server)
        opening.join(20)
        assert not opening.is_alive()
    finally:
        logging.getLogger().removeHandler(handler)
    client.send(b"early")
    frontend = main_loop.start(server)
    assert frontend.events == [True]
    main_loop.until(lambda: frontend.received == b"early")


def test_wait_gives_up_and_says_for_whom_it_waited(make: Make, where: dict[str, Any]) -> None:
    with pytest.raises(SouthbridgeError, match=r"no client has connected to (/.*serial\.sock|127\.0\.0\.1:\d+) within"):
        make(**where, server=True, wait=True, wait_timeout=0.01)


def test_a_unix_socket_is_removed_at_the_end(make: Make, tmp_path: Path) -> None:
    path = tmp_path / "serial.sock"
    server = make(path=path, server=True)
    assert path.is_socket()
    server.close()
    assert not path.exists()


def test_a_stale_unix_socket_is_taken_over(make: Make, tmp_path: Path) -> None:
    path = tmp_path / "serial.sock"
    with socket.socket(socket.AF_UNIX) as killed:
        killed.bind(str(path))
    make(path=path, server=True)


def test_the_socket_of_another_server_is_left_alone(make: Make, tmp_path: Path) -> None:
    path = tmp_path / "serial.sock"
    make(path=path, server=True)
    with pytest.raises(SouthbridgeError, match=r"cannot listen at .*serial\.sock: Address already in use"):
        make(path=path, server=True)
    assert path.is_socket()


def test_another_kind_of_file_is_left_alone(make: Make, tmp_path: Path) -> None:
    path = tmp_path / "serial.sock"
    path.write_text("precious")
    with pytest.raises(SouthbridgeError, match="Address already in use"):
        make(path=path, server=True)
    assert path.read_text() == "precious"


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({}, "expected either a path or a port"),
        ({"path": Path("x"), "port": 1}, "expected either a path or a port"),
        ({"port": 1, "wait": True}, "only a server can wait"),
        ({"path": Path("/nowhere/at/all.sock")}, "cannot connect to /nowhere/at/all.sock: No such file"),
        ({"path": Path("/nowhere/at/all.sock"), "server": True}, "cannot listen at /nowhere/at/all.sock: No such file"),
        ({"path": Path("/" + "x" * 200), "server": True}, "cannot listen at .*too long"),
        ({"port": 1, "host": "256.1.1.1"}, "cannot connect to 256.1.1.1:1: "),
    ],
)
def test_wrong_properties(make: Make, values: dict[str, Any], message: str) -> None:
    with pytest.raises(SouthbridgeError, match=f"socket: {message}"):
        make(**values)


def test_a_refused_connection_is_one_message(make: Make) -> None:
    port = free_port()
    with pytest.raises(SouthbridgeError, match=f"cannot connect to 127.0.0.1:{port}: Connection refused"):
        make(port=port)


def test_nothing_is_left_open(make: Make, main_loop: CharLoop, dial: Dial, where: dict[str, Any]) -> None:
    client = None
    before = set(os.listdir("/proc/self/fd"))
    server = SocketChardev(**where, server=True)
    server.open()
    frontend = main_loop.start(server)
    client = dial(server)
    main_loop.until(lambda: frontend.events == [True])
    server.close()
    main_loop.until(lambda: at_end(client))
    client.close()
    assert set(os.listdir("/proc/self/fd")) == before
