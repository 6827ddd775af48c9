"""Character streams: output that never blocks, input on demand."""

from __future__ import annotations

import os
import socket
import threading
from collections.abc import Iterator
from contextlib import ExitStack

import pytest
from southbridge.charstream import OUTPUT_LIMIT, StreamCharBackend
from southbridge.errors import SouthbridgeError
from southbridge.testing.chardev import CharLoop, RecordingFrontend


class PairChardev(StreamCharBackend):
    """A stream on one end of a socket pair; the test has the other, `peer`."""

    def open(self) -> None:
        super().open()
        self.ends: list[str] = []
        self.connect()

    def connect(self) -> None:
        self.ours, self.peer = socket.socketpair()
        self.ours.setblocking(False)
        self.peer.setblocking(False)
        self._connect(self.ours.fileno(), self.ours.fileno())

    def close(self) -> None:
        super().close()
        self.ours.close()
        self.peer.close()

    def _input_ended(self) -> None:
        self.ends.append("input")
        self._disconnect()
        self.ours.close()

    def _output_ended(self, error: OSError) -> None:
        self.ends.append("output")
        self._disconnect()
        self.ours.close()

    def sent(self) -> bytes:
        """What has arrived at the other end and wasn't read yet."""
        data = b""
        while True:
            try:
                more = self.peer.recv(1 << 20)
            except BlockingIOError:
                return data
            data += more
            if not more:
                return data


@pytest.fixture
def stack() -> Iterator[ExitStack]:
    with ExitStack() as made:
        yield made


@pytest.fixture
def main_loop(stack: ExitStack) -> CharLoop:
    loop = CharLoop()
    stack.callback(loop.close)
    return loop


@pytest.fixture
def pair(stack: ExitStack) -> PairChardev:
    backend = PairChardev()
    backend.open()
    stack.callback(backend.close)
    return backend


def test_output_goes_out_at_once_without_the_loop(main_loop: CharLoop, pair: PairChardev) -> None:
    main_loop.start(pair)
    assert pair.write(b"hello") == 5
    assert pair.sent() == b"hello"


def test_output_before_the_start_is_kept(main_loop: CharLoop, pair: PairChardev) -> None:
    assert pair.write(b"early ") == 6
    assert pair.sent() == b""
    main_loop.start(pair)
    assert pair.write(b"late") == 4
    main_loop.until(lambda: not pair._pending)
    assert pair.sent() == b"early late"


def test_a_reader_that_stops_fills_a_bounded_buffer_and_never_blocks(main_loop: CharLoop, pair: PairChardev) -> None:
    frontend = main_loop.start(pair)
    taken = bytearray()
    source = bytes(range(251)) * 400
    refused = False
    while not refused:
        assert len(taken) < 64 << 20
        count = pair.write(source)
        taken += source[:count]
        refused = count < len(source)
    assert pair.write(b"more") == 0
    assert len(pair._pending) == OUTPUT_LIMIT
    main_loop.settle()
    assert frontend.writable_calls == 0

    arrived = bytearray(pair.sent())
    main_loop.until(lambda: frontend.writable_calls > 0)
    assert pair.write(b"again") == 5

    def all_arrived() -> bool:
        arrived.extend(pair.sent())
        return len(arrived) == len(taken) + 5

    main_loop.until(all_arrived)
    assert arrived == taken + b"again"
    main_loop.settle()
    assert frontend.writable_calls == 1, "it is told once for each refusal"
    assert not pair._flushing and pair._watched is None


def test_input_comes_only_as_there_is_room(main_loop: CharLoop, pair: PairChardev) -> None:
    frontend = main_loop.start(pair, RecordingFrontend(room=3))
    pair.peer.send(b"abcdefgh")
    main_loop.until(lambda: frontend.room == 0)
    main_loop.settle()
    assert frontend.received == b"abc"
    frontend.room = 2
    main_loop.settle()
    assert frontend.received == b"abc", "nobody has said that there is room"
    with main_loop.lock:
        pair.accept_input()
    main_loop.until(lambda: frontend.room == 0)
    assert frontend.received == b"abcde"
    frontend.room = 100
    thread = threading.Thread(target=pair.accept_input)  # as a vCPU does
    thread.start()
    main_loop.until(lambda: len(frontend.received) == 8)
    thread.join()
    assert frontend.received == b"abcdefgh"


def test_the_front_end_is_called_under_the_machine_lock(main_loop: CharLoop, pair: PairChardev) -> None:
    owned: list[bool] = []

    class Watching(RecordingFrontend):
        def can_receive(self) -> int:
            owned.append(main_loop.lock._is_owned())  # type: ignore[attr-defined]
            return super().can_receive()

        def receive(self, data: bytes) -> None:
            owned.append(main_loop.lock._is_owned())  # type: ignore[attr-defined]
            super().receive(data)

        def chardev_event(self, opened: bool) -> None:
            owned.append(main_loop.lock._is_owned())  # type: ignore[attr-defined]
            super().chardev_event(opened)

    frontend = main_loop.start(pair, Watching())
    pair.peer.send(b"x")
    main_loop.until(lambda: bool(frontend.received))
    pair.peer.close()
    main_loop.until(lambda: frontend.events == [True, False])
    assert len(owned) >= 4 and all(owned)


def test_the_other_end_comes_back(main_loop: CharLoop, pair: PairChardev) -> None:
    frontend = main_loop.start(pair)
    pair.peer.close()
    main_loop.until(lambda: frontend.events == [True, False])
    assert pair.write(b"nobody is there") == 15
    pair.connect()
    assert frontend.events == [True, False, True]
    pair.write(b"hello")
    pair.peer.send(b"again")
    main_loop.until(lambda: frontend.received == b"again")
    assert pair.sent() == b"hello"


def test_what_befell_the_last_client_is_not_the_next_ones(main_loop: CharLoop, pair: PairChardev) -> None:
    frontend = main_loop.start(pair)
    pair.peer.close()
    assert pair.write(b"x") == 1  # fails, which the main loop is yet to be told
    pair._disconnect()
    pair.connect()
    main_loop.settle()
    assert pair.ends == [] and frontend.events == [True, False, True]
    while pair.write(bytes(100_000)) == 100_000:
        pass
    pair._disconnect()
    assert frontend.writable_calls == 1
    pair.connect()
    pair.write(b"fresh")
    main_loop.settle()
    assert pair.sent() == b"fresh"


def test_an_end_that_breaks_drops_output_and_frees_a_waiting_front_end(main_loop: CharLoop, pair: PairChardev) -> None:
    frontend = main_loop.start(pair, RecordingFrontend(room=0))
    while pair.write(bytes(100_000)) == 100_000:
        pass
    pair.peer.close()  # with unread data: our next write fails
    main_loop.until(lambda: pair.ends == ["output"])
    assert frontend.events == [True, False]
    assert frontend.writable_calls == 1
    assert pair.write(b"x" * 100_000) == 100_000


def test_without_a_front_end_output_works_and_input_is_dropped(main_loop: CharLoop, pair: PairChardev) -> None:
    pair.start(main_loop.loop, main_loop.lock)
    pair.write(b"debug")
    assert pair.sent() == b"debug"
    pair.peer.send(b"typed by somebody")
    pair.peer.shutdown(socket.SHUT_WR)
    main_loop.until(lambda: pair.ends == ["input"])


def test_one_front_end_only(pair: PairChardev) -> None:
    pair.attach(RecordingFrontend())
    with pytest.raises(SouthbridgeError, match="one device only"):
        pair.attach(RecordingFrontend())


def test_close_sends_what_is_pending(main_loop: CharLoop, pair: PairChardev) -> None:
    main_loop.start(pair)
    total = 0
    while (count := pair.write(b"x" * 50_000)) == 50_000:
        total += count
    total += count
    peer = os.dup(pair.peer.fileno())
    arrived = 0

    def read() -> None:
        nonlocal arrived
        with socket.socket(fileno=peer) as other:
            other.setblocking(True)
            while data := other.recv(1 << 16):
                arrived += len(data)

    thread = threading.Thread(target=read)
    thread.start()
    pair.close()
    thread.join(20)
    assert arrived == total


def test_close_without_a_start(pair: PairChardev) -> None:
    pair.write(b"never sent")
    pair.close()
    assert pair.write(b"late") == 4 and not pair._pending


def test_close_twice_and_writes_after_it(main_loop: CharLoop, pair: PairChardev) -> None:
    main_loop.start(pair)
    pair.close()
    pair.close()
    assert pair.write(b"late") == 4
    pair.accept_input()
