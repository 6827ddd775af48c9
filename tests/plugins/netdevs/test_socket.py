"""Machines on one cable by sockets of all kinds."""

from __future__ import annotations

import socket
import threading
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from southbridge.errors import SouthbridgeError
from southbridge.plugins.netdevs.socket import SocketNetdev
from southbridge.plugins.netdevs.stream import FramingError, Unframer
from southbridge.testing.network import NetworkLine

from tests.plugins.netdevs.loop import NetworkLoop

GROUP = "239.255.77.1"


def free_port(kind: int = socket.SOCK_STREAM) -> int:
    with socket.socket(socket.AF_INET, kind) as probe:
        probe.bind(("127.0.0.1", 0))
        number: int = probe.getsockname()[1]
        return number


def pairs(kind: str, folder: Path) -> tuple[dict[str, Any], dict[str, Any]]:
    """The properties of the two ends."""
    if kind == "unix":
        path = folder / "s"
        return {"path": path, "server": True}, {"path": path}
    if kind == "tcp":
        port = free_port()
        return {"port": port, "server": True}, {"port": port}
    if kind == "udp":
        one, other = free_port(socket.SOCK_DGRAM), free_port(socket.SOCK_DGRAM)
        common = {"mode": "datagram"}
        return {**common, "local_port": one, "port": other}, {**common, "local_port": other, "port": one}
    if kind == "unix datagrams":
        paths = folder / "a", folder / "b"
        common = {"mode": "datagram"}
        return {**common, "local_path": paths[0], "path": paths[1]}, {
            **common,
            "local_path": paths[1],
            "path": paths[0],
        }
    port = free_port(socket.SOCK_DGRAM)
    both = {"mode": "multicast", "host": GROUP, "port": port}
    return both, dict(both)


@pytest.mark.parametrize("kind", ["unix", "tcp", "udp", "unix datagrams", "multicast"])
def test_frames_go_both_ways(kind: str, loop: NetworkLoop, tmp_path: Path) -> None:
    first, second = pairs(kind, tmp_path)
    one = loop.start(SocketNetdev(**first))
    other = loop.start(SocketNetdev(**second))
    loop.until(lambda: one.port.link_up and other.port.link_up)
    frames = [bytes([number]) * (60 + number * 7) for number in range(50)]
    for frame in frames:
        loop.until(lambda frame=frame: one.give(frame))  # type: ignore[misc]  # a few datagrams fill a Unix socket
    assert other.give(b"back")
    loop.until(lambda: len(other.frames) == 50 and one.frames)
    assert other.frames == frames
    assert one.frames == [b"back"], "and nothing of its own"


@pytest.mark.parametrize("kind", ["unix", "udp"])
def test_a_card_without_room_stops_the_reading(kind: str, loop: NetworkLoop, tmp_path: Path) -> None:
    first, second = pairs(kind, tmp_path)
    one = loop.start(SocketNetdev(**first))
    other = loop.start(SocketNetdev(**second), NetworkLine(room=3))
    loop.until(lambda: one.port.link_up and other.port.link_up)
    for number in range(20):
        assert one.give(bytes([number]) * 60)
    loop.until(lambda: len(other.frames) == 3)
    loop.settle()
    assert len(other.frames) == 3
    other.make_room(100)
    loop.until(lambda: len(other.frames) == 20)
    assert [frame[0] for frame in other.frames] == list(range(20))


@pytest.mark.parametrize("room", [1, 7, 100])
@pytest.mark.parametrize("end", ["goes on", "hangs up", "talks nonsense"])
def test_a_card_that_is_always_full(room: int, end: str, loop: NetworkLoop, tmp_path: Path) -> None:
    """It takes a few frames each time that it has room. Nothing is lost but what comes along with nonsense."""
    path, frames = tmp_path / "s", [number.to_bytes(4, "big") * 300 for number in range(1000)]
    data = b"".join(len(frame).to_bytes(4, "big") + frame for frame in frames)
    card = loop.start(SocketNetdev(path=path, server=True), NetworkLine(room=room))
    with socket.socket(socket.AF_UNIX) as peer:
        peer.connect(str(path))
        loop.until(lambda: card.port.link_up)
        sender = threading.Thread(target=peer.sendall, args=(data + (bytes(40) if end == "talks nonsense" else b""),))
        sender.start()
        while len(card.frames) < len(frames) and card.port.link_up:
            before = len(card.frames)
            loop.until(lambda before=before: len(card.frames) > before or not card.port.link_up)  # type: ignore[misc]
            with loop.lock:
                while not card.room and len(card.frames) < len(frames) and card.port.link_up:
                    card.make_room(room)
        sender.join()
        if end == "hangs up":
            peer.close()
        if end == "goes on":
            peer.sendall((60).to_bytes(4, "big") + b"\xff" * 60)
            card.make_room(1)
            loop.until(lambda: len(card.frames) > len(frames))
            frames.append(b"\xff" * 60)
        else:
            card.make_room(1)
            loop.until(lambda: not card.port.link_up)
    assert card.frames == (frames[: len(card.frames)] if end == "talks nonsense" else frames)


@pytest.mark.parametrize("kind", ["unix", "unix datagrams"])
def test_a_network_without_room_stops_the_card(kind: str, loop: NetworkLoop, tmp_path: Path) -> None:
    first, second = pairs(kind, tmp_path)
    one = loop.start(SocketNetdev(**first))
    other = loop.start(SocketNetdev(**second), NetworkLine(room=0))
    loop.until(lambda: one.port.link_up and other.port.link_up)
    frame = bytes(1500)
    sent = 0
    for _ in range(10_000):
        if not one.give(frame):
            break
        sent += 1
    assert 0 < sent < 10_000
    other.make_room(1 << 30)
    loop.until(lambda: one.told_sendable)
    loop.until(lambda: len(other.frames) == sent)
    assert one.give(frame)


def test_the_link_is_up_while_somebody_is_there(loop: NetworkLoop, tmp_path: Path) -> None:
    first, second = pairs("unix", tmp_path)
    one = loop.start(SocketNetdev(**first))
    assert not one.port.link_up
    backend = SocketNetdev(**second)
    loop.start(backend)
    loop.until(lambda: one.port.link_up)
    backend.close()
    loop.until(lambda: not one.port.link_up)
    loop.start(SocketNetdev(**second))
    loop.until(lambda: one.port.link_up)


def test_a_server_goes_away_and_comes_back(loop: NetworkLoop, tmp_path: Path) -> None:
    first, second = pairs("unix", tmp_path)
    server = SocketNetdev(**first)
    loop.start(server)
    client = loop.start(SocketNetdev(**second, reconnect=0.01))
    loop.until(lambda: client.port.link_up)
    server.close()
    loop.until(lambda: not client.port.link_up)
    assert client.give(b"lost")
    again = loop.start(SocketNetdev(**first))
    loop.until(lambda: client.port.link_up and again.port.link_up)
    assert client.give(b"there")
    loop.until(lambda: again.frames)
    assert again.frames == [b"there"]


def test_there_is_one_peer(loop: NetworkLoop, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    first, second = pairs("unix", tmp_path)
    one = loop.start(SocketNetdev(**first))
    loop.start(SocketNetdev(**second))
    loop.until(lambda: one.port.link_up)
    with socket.socket(socket.AF_UNIX) as intruder:
        intruder.connect(str(second["path"]))
        loop.until(lambda: "refused a second machine" in caplog.text)


def test_a_peer_that_talks_nonsense_is_left(loop: NetworkLoop, tmp_path: Path) -> None:
    first, _ = pairs("unix", tmp_path)
    one = loop.start(SocketNetdev(**first))
    with socket.socket(socket.AF_UNIX) as peer:
        peer.connect(str(first["path"]))
        loop.until(lambda: one.port.link_up)
        peer.sendall(b"GET / HTTP/1.0\r\n\r\n")
        loop.until(lambda: not one.port.link_up)
    assert one.frames == []


@pytest.mark.parametrize(
    ("properties", "message"),
    [
        ({}, "either a path or a port"),
        ({"port": 1, "path": Path("x")}, "either a path or a port"),
        ({"path": Path("/nowhere/there")}, "cannot connect to /nowhere/there: No such file"),
        ({"path": Path("/nowhere/there"), "server": True}, "cannot listen at /nowhere/there: No such file"),
        ({"mode": "datagram", "port": 1}, "local_port"),
        ({"mode": "datagram", "path": Path("x")}, "local_path"),
        ({"mode": "multicast", "host": "10.0.0.1", "port": 1}, "cannot send to 10.0.0.1:1"),
    ],
)
def test_what_cant_be_had(properties: dict[str, Any], message: str) -> None:
    backend = SocketNetdev(**properties)
    with pytest.raises(SouthbridgeError, match=message):
        backend.open()
    backend.close()


def test_an_address_in_use(loop: NetworkLoop) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        with pytest.raises(SouthbridgeError, match=f"cannot listen at 127.0.0.1:{port}: Address already in use"):
            SocketNetdev(port=port, server=True).open()


@given(st.lists(st.binary(min_size=1, max_size=100), max_size=20), st.lists(st.integers(1, 50), min_size=1))
def test_frames_are_found_however_the_stream_is_cut(frames: list[bytes], cuts: list[int]) -> None:
    stream = b"".join(len(frame).to_bytes(4, "big") + frame for frame in frames)
    unframer, found, at, turn = Unframer(), [], 0, 0
    while at < len(stream):
        size = cuts[turn % len(cuts)]
        found += [bytes(frame) for frame in unframer.feed(stream[at : at + size])]
        at, turn = at + size, turn + 1
    assert found == frames


@pytest.mark.parametrize("length", [0, 70_000, 0xFFFF_FFFF])
def test_no_frame_is_so_long(length: int) -> None:
    with pytest.raises(FramingError):
        list(Unframer().feed(length.to_bytes(4, "big")))
