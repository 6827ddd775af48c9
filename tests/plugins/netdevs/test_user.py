"""The network by libslirp: ARP, DHCP, connections out, port forwards."""

from __future__ import annotations

import socket
import struct
from pathlib import Path
from typing import Any

import pytest
from southbridge.errors import SouthbridgeError
from southbridge.plugins.netdevs.user import UserNetdev, parse_forward
from southbridge.testing.network import NetworkLine

from tests.plugins.e1000.traffic import UDP, checksum
from tests.plugins.netdevs import large_segment
from tests.plugins.netdevs.large_segment import End
from tests.plugins.netdevs.loop import NetworkLoop

ME = bytes.fromhex("525400123456")
EVERYBODY = b"\xff" * 6
MY_ADDRESS, HOST = bytes([10, 0, 2, 15]), bytes([10, 0, 2, 2])


@pytest.fixture
def network(loop: NetworkLoop) -> NetworkLine:
    return loop.start(UserNetdev(ipv6=False))


def arp(operation: int, sender: bytes, target: bytes) -> bytes:
    body = struct.pack(">HHBBH", 1, 0x0800, 6, 4, operation) + ME + sender + bytes(6) + target
    return (EVERYBODY + ME + b"\x08\x06" + body).ljust(60, b"\0")


def udp(source: tuple[bytes, int], target: tuple[bytes, int], data: bytes, to: bytes) -> bytes:
    datagram = struct.pack(">HHHH", source[1], target[1], 8 + len(data), 0) + data
    header = struct.pack(">BBHHHBBH", 0x45, 0, 20 + len(datagram), 1, 0, 64, UDP, 0) + source[0] + target[0]
    header = header[:10] + checksum(header).to_bytes(2, "big") + header[12:]
    return to + ME + b"\x08\0" + header + datagram


def test_the_host_answers_arp_at_once(network: NetworkLine) -> None:
    assert network.give(arp(1, MY_ADDRESS, HOST))
    (answer,) = network.frames
    assert answer[:6] == ME
    assert answer[20:22] == b"\0\2"
    assert answer[28:32] == HOST


def discover(network: NetworkLine) -> bytes:
    options = bytes([53, 1, 1, 55, 3, 1, 3, 6, 255])
    bootp = struct.pack(">BBBBIHH16x", 1, 1, 6, 0, 7, 0, 0) + ME.ljust(16, b"\0") + bytes(192) + b"\x63\x82\x53\x63"
    network.give(udp((bytes(4), 68), (b"\xff" * 4, 67), bootp + options.ljust(64, b"\0"), EVERYBODY))
    return network.frames[-1][42:]


def test_dhcp_gives_an_address_a_router_and_a_name_server(loop: NetworkLoop, network: NetworkLine) -> None:
    offer = discover(network)
    assert offer[16:20] == MY_ADDRESS
    assert bytes([53, 1, 2]) in offer
    assert bytes([3, 4]) + HOST in offer
    assert bytes([6, 4, 10, 0, 2, 3]) in offer


def test_another_network(loop: NetworkLoop, tmp_path: Path) -> None:
    properties = {"net": "192.168.7.0/24", "host": "192.168.7.1", "dns": "192.168.7.9", "dhcpstart": "192.168.7.20"}
    network = loop.start(UserNetdev(**properties, ipv6=False, tftp=tmp_path, bootfile="pxe.0", hostname="guest"))
    offer = discover(network)
    assert offer[16:20] == bytes([192, 168, 7, 20])
    assert offer[108:113] == b"pxe.0"
    assert bytes([6, 4, 192, 168, 7, 9]) in offer


def test_udp_to_the_host_and_back(loop: NetworkLoop, network: NetworkLine) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as server:
        server.bind(("127.0.0.1", 0))
        server.setblocking(False)
        port = server.getsockname()[1]
        network.give(arp(1, MY_ADDRESS, HOST))
        router = network.frames[0][6:12]
        network.give(udp((MY_ADDRESS, 4000), (HOST, port), b"question", router))
        data, source = server.recvfrom(100)
        assert data == b"question"
        server.sendto(b"answer", source)
        loop.until(lambda: network.frames[-1].endswith(b"answer"))


def test_a_tcp_segment_larger_than_any_frame(loop: NetworkLoop, network: NetworkLine) -> None:
    network.give(arp(1, MY_ADDRESS, HOST))
    router = network.frames[0][6:12]
    with socket.create_server(("127.0.0.1", 0)) as server:
        large_segment.arrives(loop, network, End(ME, MY_ADDRESS), End(router, HOST), server)


def test_a_card_without_room_gets_its_frames_later(loop: NetworkLoop) -> None:
    network = loop.start(UserNetdev(ipv6=False), NetworkLine(room=0))
    for _ in range(300):
        network.give(arp(1, MY_ADDRESS, HOST))
    network.make_room(1000)
    assert len(network.frames) == 256


def test_a_forwarded_port_listens(loop: NetworkLoop) -> None:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    network = loop.start(UserNetdev(hostfwd=[f"tcp:127.0.0.1:{port}-:22"], ipv6=False))
    with socket.create_connection(("127.0.0.1", port)):
        loop.until(lambda: any(frame[12:14] == b"\x08\x06" and frame[38:42] == MY_ADDRESS for frame in network.frames))


def test_a_port_in_use() -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        made = UserNetdev(hostfwd=[f"tcp:127.0.0.1:{port}-:22"])
        with pytest.raises(SouthbridgeError, match=f"TCP port {port} of 127.0.0.1 can't be had"):
            made.open()
        made.close()


def test_the_form_of_a_forward() -> None:
    forward = parse_forward("udp:127.0.0.1:53-10.0.2.15:5353")
    assert forward == parse_forward("udp:127.0.0.1:domain-10.0.2.15:5353")
    assert (forward.udp, forward.port, forward.guest_port) == (True, 53, 5353)
    assert parse_forward("tcp::80-:8080").guest is None


@pytest.mark.parametrize("text", ["", "80", "tcp:80-8080", "sctp::1-:2", "tcp::70000-:1", "tcp:x:1-:2", "tcp::x-:y"])
def test_what_is_no_forward(text: str) -> None:
    with pytest.raises(ValueError, match=r"forward|port|address|Expected|expected"):
        parse_forward(text)


@pytest.mark.parametrize(
    ("properties", "message"),
    [
        ({"host": "10.9.9.9"}, "host: 10.9.9.9 isn't in 10.0.2.0/24"),
        ({"tftp": Path("/nowhere")}, "tftp: /nowhere is no folder"),
    ],
)
def test_what_cant_be(properties: dict[str, Any], message: str) -> None:
    with pytest.raises(SouthbridgeError, match=message):
        UserNetdev(**properties).open()
