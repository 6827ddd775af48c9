"""The pty back end, with real terminals."""

from __future__ import annotations

import logging
import os
import select
import termios
from collections.abc import Iterator

import pytest
from southbridge.plugins.chardevs.pty import PtyChardev
from southbridge.testing.chardev import CharLoop, RecordingFrontend


@pytest.fixture
def pty() -> Iterator[PtyChardev]:
    backend = PtyChardev()
    backend.open()
    yield backend
    backend.close()


def attach(pty: PtyChardev) -> int:
    return os.open(pty.terminal, os.O_RDWR | os.O_NOCTTY | os.O_NONBLOCK)


def read(client: int) -> bytes:
    return os.read(client, 65536) if select.select([client], [], [], 0)[0] else b""


def test_its_name_is_in_the_log(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    backend = PtyChardev()
    backend.open()
    assert f"the character device is at {backend.terminal}" in caplog.text
    backend.close()


def test_bytes_pass_unchanged_both_ways(main_loop: CharLoop, pty: PtyChardev) -> None:
    frontend = main_loop.start(pty)
    client = attach(pty)
    main_loop.until(lambda: frontend.events == [True])
    every_byte = bytes(range(256))
    assert pty.write(every_byte) == 256
    arrived = bytearray()

    def all_arrived() -> bool:
        arrived.extend(read(client))
        return len(arrived) == 256

    main_loop.until(all_arrived)
    assert arrived == every_byte
    os.write(client, every_byte)
    main_loop.until(lambda: len(frontend.received) == 256)
    assert frontend.received == every_byte
    assert not termios.tcgetattr(client)[3] & termios.ECHO
    os.close(client)


def test_output_without_a_client_is_dropped(main_loop: CharLoop, pty: PtyChardev) -> None:
    frontend = main_loop.start(pty)
    assert pty.write(bytes(1 << 20)) == 1 << 20
    assert frontend.events == []
    client = attach(pty)
    main_loop.until(lambda: frontend.events == [True])
    pty.write(b"now")
    assert read(client) == b"now"
    os.close(client)


def test_clients_come_and_go(main_loop: CharLoop, pty: PtyChardev) -> None:
    frontend = main_loop.start(pty)
    for number in range(3):
        client = attach(pty)
        main_loop.until(lambda: frontend.events[-1:] == [True])
        os.write(client, b"%d" % number)
        main_loop.until(lambda count=number + 1: len(frontend.received) == count)  # type: ignore[misc]
        os.close(client)
        main_loop.until(lambda: frontend.events[-1:] == [False])
        assert pty.write(b"nobody") == 6
    assert frontend.received == b"012" and frontend.events == [True, False] * 3


def test_a_client_that_writes_and_leaves_is_heard(main_loop: CharLoop, pty: PtyChardev) -> None:
    frontend = main_loop.start(pty)
    client = attach(pty)
    os.write(client, b"echo")
    os.close(client)
    main_loop.until(lambda: frontend.received == b"echo")
    main_loop.until(lambda: frontend.events == [True, False])


def test_a_client_that_does_not_read_does_not_block(main_loop: CharLoop, pty: PtyChardev) -> None:
    frontend = main_loop.start(pty)
    client = attach(pty)
    main_loop.until(lambda: frontend.events == [True])
    while pty.write(bytes(4096)) == 4096:
        pass
    read(client)
    main_loop.until(lambda: bool(read(client)) or frontend.writable_calls > 0)
    os.close(client)


def test_input_waits_for_the_guest(main_loop: CharLoop, pty: PtyChardev) -> None:
    frontend = main_loop.start(pty, RecordingFrontend(room=1))
    client = attach(pty)
    os.write(client, b"ab")
    main_loop.until(lambda: frontend.received == b"a")
    frontend.room = 1
    pty.accept_input()
    main_loop.until(lambda: frontend.received == b"ab")
    os.close(client)
