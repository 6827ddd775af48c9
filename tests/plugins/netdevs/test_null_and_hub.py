"""The network that nobody is on, and the hub."""

from __future__ import annotations

from pathlib import Path

import pytest
from southbridge.builder import build
from southbridge.description import load
from southbridge.errors import SouthbridgeError
from southbridge.net import NetworkPort
from southbridge.plugins.netdevs.hub import Hub, HubPort
from southbridge.plugins.netdevs.null import NullNetdev
from southbridge.testing.network import NetworkLine


def cards(hub: Hub, *cards: NetworkLine) -> tuple[NetworkLine, ...]:
    hub.open()
    for card in cards:
        hub.plug(card.port)
    return cards


def test_null_takes_everything() -> None:
    null, card = NullNetdev(), NetworkLine()
    null.open()
    null.plug(card.port)
    assert card.give(b"x")
    assert card.port.send_batch([b"x"] * 3) == 3
    assert card.port.link_up
    with pytest.raises(SouthbridgeError, match="one card only"):
        null.plug(NetworkLine().port)
    null.close()


def test_what_comes_in_goes_out_by_all_others() -> None:
    one, two, three = cards(Hub(), NetworkLine(), NetworkLine(), NetworkLine())
    assert one.give(b"hello")
    assert (one.frames, two.frames, three.frames) == ([], [b"hello"], [b"hello"])


def test_a_card_without_room_doesnt_stop_the_others() -> None:
    one, slow, three = cards(Hub(), NetworkLine(), NetworkLine(room=0), NetworkLine())
    for number in range(300):
        assert one.give(bytes([number & 0xFF]))
    assert len(three.frames) == 300
    slow.make_room(1000)
    assert slow.frames == [bytes([number]) for number in range(256)], "what its port kept, in order"
    assert one.give(b"x")
    assert slow.frames[-1] == b"x"


def test_if_nobody_has_room_the_sender_keeps_its_frame() -> None:
    one, slow = cards(Hub(), NetworkLine(), NetworkLine(room=0))
    for _ in range(256):
        assert one.give(b"x")
    assert not one.give(b"kept")
    slow.make_room(1)
    assert one.told_sendable == 1
    assert one.give(b"kept")


def test_hubs_joined_in_a_circle_end_somewhere() -> None:
    first, second = Hub(), Hub()
    one, two = NetworkLine(), NetworkLine()
    cards(first, one)
    cards(second, two)
    for _ in range(2):
        HubPort(hub=first, netdev=second).open()
    assert one.give(b"round")
    assert b"round" in two.frames


def test_a_port_of_a_hub_joins_a_back_end() -> None:
    hub, back = Hub(), NetworkLine(room=0)
    (one,) = cards(hub, NetworkLine())
    joint = HubPort(hub=hub, netdev=back)
    joint.open()
    assert one.give(b"out")
    back.make_room()
    assert back.frames == [b"out"]
    assert back.give(b"in")
    assert one.frames == [b"in"]
    with pytest.raises(SouthbridgeError):
        joint.plug(NetworkPort(lambda frame, offload: True))
    joint.close()


def test_a_port_of_a_hub_alone_joins_a_card() -> None:
    hub = Hub()
    (one,) = cards(hub, NetworkLine())
    joint = HubPort(hub=hub)
    joint.open()
    other = NetworkLine()
    joint.plug(other.port)
    assert other.give(b"there") and one.give(b"back")
    assert (one.frames, other.frames) == ([b"there"], [b"back"])
    with pytest.raises(SouthbridgeError):
        joint.plug(NetworkPort(lambda frame, offload: True))
    joint.close()


def test_in_a_description(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    lines = [
        "accelerator: unicorn",
        "netdevs:",
        "  joint: {type: hubport, hub: hub0, netdev: far}",
        "  hub0: {type: hub}",
        "  far: {type: 'null'}",
        "  idle: {type: 'null'}",
    ]
    path = tmp_path / "machine.yaml"
    path.write_text("\n".join(lines) + "\n")
    machine = build(load(str(path)))
    assert set(machine.backends["netdevs"]) == {"joint", "hub0", "far", "idle"}
    machine.close()
    assert [record.getMessage().rsplit(": ", 2)[1] for record in caplog.records] == ["netdevs.idle"]
