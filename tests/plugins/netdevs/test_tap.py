"""A tap interface, in a network namespace of the test's own."""

from __future__ import annotations

import fcntl
import os
import socket
import struct
from collections.abc import Iterator
from typing import Any

import pytest
from southbridge.errors import SouthbridgeError
from southbridge.net import Takes
from southbridge.plugins.netdevs.tap import TUNSETIFF, TapNetdev
from southbridge.testing.network import NetworkLine

from tests.namespaces import ip, network_namespace
from tests.plugins.e1000.driver import PEER
from tests.plugins.netdevs import large_segment
from tests.plugins.netdevs.large_segment import End
from tests.plugins.netdevs.loop import NetworkLoop

HOST, GUEST = bytes([10, 77, 0, 1]), bytes([10, 77, 0, 2])


@pytest.fixture
def namespace() -> Iterator[None]:
    """The test is alone in a network namespace."""
    with network_namespace():
        yield


@pytest.fixture
def card(namespace: None, loop: NetworkLoop) -> NetworkLine:
    """A card whose cable leads to an interface that is up and has an address."""
    made = TapNetdev(ifname="sb0")
    try:
        card = loop.start(made)
    except SouthbridgeError as error:
        pytest.skip(f"needs a tap interface: {error}")
    ip("link", "set", "sb0", "up")
    ip("addr", "add", "10.77.0.1/24", "dev", "sb0")
    ip("neigh", "add", "10.77.0.2", "lladdr", PEER.hex(":"), "dev", "sb0")
    return card


def arp_request() -> bytes:
    body = struct.pack(">HHBBH", 1, 0x0800, 6, 4, 1) + PEER + GUEST + bytes(6) + HOST
    return (b"\xff" * 6 + PEER + b"\x08\x06" + body).ljust(60, b"\0")


def the_hosts_address(card: NetworkLine, loop: NetworkLoop) -> bytes:
    assert card.give(arp_request())
    loop.until(lambda: any(frame[20:22] == b"\0\2" for frame in card.frames))
    answer = next(frame for frame in card.frames if frame[20:22] == b"\0\2")
    assert answer[28:32] == HOST
    return answer[22:28]


def test_the_kernel_answers_arp(card: NetworkLine, loop: NetworkLoop) -> None:
    assert the_hosts_address(card, loop) != bytes(6)


def test_a_large_segment_goes_to_the_kernel_whole(card: NetworkLine, loop: NetworkLoop) -> None:
    assert card.port.peer_takes == Takes.CHECKSUM | Takes.TCP4 | Takes.TCP6
    to = the_hosts_address(card, loop)
    with socket.create_server(("10.77.0.1", 0)) as server:
        large_segment.arrives(loop, card, End(PEER, GUEST), End(to, HOST), server)


def test_a_card_without_room_stops_the_reading(card: NetworkLine, loop: NetworkLoop) -> None:
    card.room = 0
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
        for number in range(30):
            sender.sendto(bytes([number]) * 20, ("10.77.0.2", 9))
    loop.settle()
    card.make_room(1000)

    def sent() -> list[int]:
        return [frame[42] for frame in card.frames if frame[23:24] == b"\x11" and frame[36:38] == b"\0\x09"]

    loop.until(lambda: len(sent()) == 30)
    assert sent() == list(range(30))


def test_an_inherited_descriptor(card: NetworkLine, loop: NetworkLoop) -> None:
    descriptor = os.open("/dev/net/tun", os.O_RDWR)
    try:
        fcntl.ioctl(descriptor, TUNSETIFF, struct.pack("16sH22x", b"sb1", 0x1002))
        other = loop.start(TapNetdev(fd=descriptor))
    finally:
        os.close(descriptor)
    assert other.port.peer_takes == Takes.NOTHING, "it has no header"
    ip("link", "set", "sb1", "up")
    ip("addr", "add", "10.77.0.1/24", "dev", "sb1")
    assert the_hosts_address(other, loop)


@pytest.mark.parametrize(
    ("properties", "message"),
    [({"fd": 999_999}, "descriptor 999999: Bad file"), ({"ifname": "lo"}, "interface of another kind")],
)
def test_what_cant_be_used(namespace: None, properties: dict[str, Any], message: str) -> None:
    with pytest.raises(SouthbridgeError, match=message):
        TapNetdev(**properties).open()


def test_an_interface_in_use(card: NetworkLine) -> None:
    with pytest.raises(SouthbridgeError, match="sb0 is in use"):
        TapNetdev(ifname="sb0").open()


def test_without_permission(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*arguments: object) -> int:
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr("southbridge.plugins.netdevs.tap.os.open", refuse)
    with pytest.raises(SouthbridgeError, match="no permission for sb0: it takes CAP_NET_ADMIN"):
        TapNetdev(ifname="sb0").open()
