"""What lies between a card and its network: captures, faults, a rate."""

from __future__ import annotations

import struct
import time
from pathlib import Path
from typing import Any

import pytest
from southbridge.errors import SouthbridgeError
from southbridge.net import NetworkFilter, Takes
from southbridge.plugins.netdevs.dump import Dump
from southbridge.plugins.netdevs.faults import Faults
from southbridge.plugins.netdevs.rate import RateLimit
from southbridge.testing.network import NetworkLine

from tests.plugins.netdevs.loop import NetworkLoop


def between(made: NetworkFilter, network: NetworkLine, room: int | None = None) -> NetworkLine:
    """A card with a filter before its network, which isn't started."""
    card = NetworkLine(room)
    made.open()
    made.plug(card.port)
    assert made.netdev is network
    return card


@pytest.mark.parametrize("cls", [Dump, Faults, RateLimit])
def test_a_filter_passes_on_frames_refusals_and_the_link(cls: Any, tmp_path: Path) -> None:
    network = NetworkLine(room=1)
    needs: dict[Any, dict[str, Any]] = {Dump: {"path": tmp_path / "x.pcap"}, RateLimit: {"rate": 1 << 30}}
    filter = cls(netdev=network, **needs.get(cls, {}))
    card = between(filter, network, room=1)
    assert card.port.link_up
    assert card.give(b"1") and network.give(b"2")
    assert not card.give(b"3")
    assert not network.give(b"4")
    network.make_room()
    card.make_room()
    assert (card.told_sendable, network.told_sendable) == (1, 1)
    assert card.give(b"3") and network.give(b"4")
    assert (network.frames, card.frames) == ([b"1", b"3"], [b"2", b"4"])
    network.port.carrier = False
    assert not card.port.link_up
    network.port.carrier = True
    assert card.port.link_up
    filter.close()
    filter.close()


# --- captures --------------------------------------------------------------------------------------------------------


def test_pcap(tmp_path: Path) -> None:
    path = tmp_path / "x.pcap"
    network = NetworkLine()
    dump = Dump(netdev=network, path=path)
    card = between(dump, network)
    before = time.time_ns()
    card.give(bytes(range(60)))
    network.give(memoryview(b"answer"))
    dump.close()
    raw = path.read_bytes()
    assert struct.unpack_from("<IHHiIII", raw) == (0xA1B2_3C4D, 2, 4, 0, 0, 1 << 18, 1)
    at, frames = 24, []
    for _ in range(2):
        seconds, nanoseconds, kept, length = struct.unpack_from("<IIII", raw, at)
        assert kept == length
        assert before <= seconds * 10**9 + nanoseconds <= time.time_ns()
        frames.append(raw[at + 16 : at + 16 + kept])
        at += 16 + kept
    assert frames == [bytes(range(60)), b"answer"]
    assert at == len(raw)


def test_pcapng(tmp_path: Path) -> None:
    path = tmp_path / "x.pcapng"
    network = NetworkLine()
    dump = Dump(netdev=network, path=path, format="pcapng")
    card = between(dump, network)
    card.give(b"12345")
    network.give(b"answer")
    dump.close()
    raw, at, blocks = path.read_bytes(), 0, []
    while at < len(raw):
        kind, length = struct.unpack_from("<II", raw, at)
        assert length % 4 == 0
        assert struct.unpack_from("<I", raw, at + length - 4) == (length,)
        blocks.append((kind, raw[at + 8 : at + length - 4]))
        at += length
    assert [kind for kind, _ in blocks] == [0x0A0D_0D0A, 1, 6, 6]
    assert blocks[0][1][:4] == bytes.fromhex("4d3c2b1a")
    assert [body[20 : 20 + struct.unpack_from("<I", body, 12)[0]] for _, body in blocks[2:]] == [b"12345", b"answer"]
    assert [struct.unpack_from("<HHI", body, 28) for _, body in blocks[2:]] == [(2, 4, 2), (2, 4, 1)]


def test_what_is_refused_isnt_written(tmp_path: Path) -> None:
    path = tmp_path / "x.pcap"
    network = NetworkLine(room=0)
    dump = Dump(netdev=network, path=path)
    card = between(dump, network)
    assert not card.give(b"x")
    dump.close()
    assert path.stat().st_size == 24


def test_frames_are_in_the_file_soon(tmp_path: Path, loop: NetworkLoop) -> None:
    path = tmp_path / "x.pcap"
    card = loop.start(Dump(netdev=NetworkLine(), path=path))
    card.give(bytes(60))
    loop.until(lambda: path.stat().st_size == 24 + 16 + 60)


def test_a_capture_shows_what_is_on_the_wire(tmp_path: Path) -> None:
    network = NetworkLine(takes=Takes.TCP4)
    card = between(Dump(netdev=network, path=tmp_path / "x"), network)
    assert card.port.peer_takes == Takes.NOTHING
    through = between(RateLimit(netdev=(other := NetworkLine(takes=Takes.TCP4)), rate=1 << 30), other)
    assert through.port.peer_takes == Takes.TCP4


def test_a_file_that_cant_be_written(tmp_path: Path) -> None:
    with pytest.raises(SouthbridgeError, match=r"dump: cannot write .*nowhere/x: No such file"):
        Dump(netdev=NetworkLine(), path=tmp_path / "nowhere" / "x").open()


def test_a_disk_that_is_full_ends_the_file_only(loop: NetworkLoop, caplog: pytest.LogCaptureFixture) -> None:
    network = NetworkLine()
    made = Dump(netdev=network, path=Path("/dev/null"))
    card = loop.start(made)
    made._file = open("/dev/full", "wb")  # noqa: SIM115
    for _ in range(300):
        assert card.give(bytes(1000))
    assert "nothing more is written: No space left on device" in caplog.text
    assert len(network.frames) == 300


# --- faults ----------------------------------------------------------------------------------------------------------


def through(frames: int, **properties: Any) -> list[bytes]:
    network = NetworkLine()
    card = between(Faults(netdev=network, **properties), network)
    for number in range(frames):
        assert card.give(number.to_bytes(8, "big"))
    return network.frames


def test_the_same_seed_makes_the_same_faults() -> None:
    chances = {"loss": 10, "duplicate": 10, "corrupt": 10}
    first = through(500, seed=1, **chances)
    assert first == through(500, seed=1, **chances)
    assert first != through(500, seed=2, **chances)


def test_how_many_are_lost_or_come_twice_or_are_wrong() -> None:
    assert through(100) == [number.to_bytes(8, "big") for number in range(100)]
    assert through(100, loss=100) == []
    assert len(through(100, duplicate=100)) == 200
    assert 350 < len(through(500, loss=20)) < 450
    wrong = through(100, corrupt=100)
    differences = [int.from_bytes(frame, "big") ^ number for number, frame in enumerate(wrong)]
    assert all(difference.bit_count() == 1 for difference in differences)


def test_frames_take_their_time_and_overtake(loop: NetworkLoop) -> None:
    network = NetworkLine()
    card = loop.start(Faults(netdev=network, delay=5, jitter=4, reorder=20))
    for number in range(100):
        assert card.give(bytes([number]))
    assert network.frames == []
    loop.until(lambda: len(network.frames) == 100)
    assert sorted(network.frames) == [bytes([number]) for number in range(100)]
    assert network.frames != sorted(network.frames)


def test_no_more_than_so_many_are_under_way(loop: NetworkLoop) -> None:
    network = NetworkLine()
    card = loop.start(Faults(netdev=network, delay=5))
    taken = 0
    while card.give(b"x"):
        taken += 1
    assert taken == 1024
    loop.until(lambda: card.told_sendable)
    assert card.give(b"x")


def test_the_link_flaps(loop: NetworkLoop) -> None:
    card = loop.start(Faults(netdev=NetworkLine(), up=0.002, down=0.002))
    for up in (False, True, False, True):
        loop.until(lambda up=up: card.port.link_up == up)  # type: ignore[misc]


# --- the rate --------------------------------------------------------------------------------------------------------


def test_who_is_faster_has_to_wait(loop: NetworkLoop) -> None:
    network = NetworkLine()
    card = loop.start(RateLimit(netdev=network, rate=100_000, burst=2000))
    assert card.give(bytes(1500)) and card.give(bytes(1500))
    assert not card.give(bytes(1500))
    loop.until(lambda: card.told_sendable)
    assert card.give(bytes(1500))
    assert network.give(bytes(100)), "the other direction has its own"
