"""Checksums and TCP segmentation, against frames made by other means."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from southbridge.net import Gso, Offload, Takes
from southbridge.plugins.e1000.offloads import Context, segments
from southbridge.testing import Bench
from southbridge.testing.network import NetworkLine

from tests.plugins.e1000.driver import (
    CTRL,
    EOP,
    IFCS,
    RS,
    TSE,
    TX_BUFFERS,
    VLE,
    Driver,
    context,
    data,
)
from tests.plugins.e1000.traffic import (
    TCP,
    UDP,
    checksum,
    cut,
    ethernet,
    ipv4,
    ipv6,
    pseudo,
    sealed,
    tcp,
    udp,
)

IP_AT, TCP_AT, TCP6_AT = 14, 34, 54
TUCMD_TCP, TUCMD_IP = 1, 2


def partly(segment: bytes, protocol: int, *, version: int = 4, length: int | None = None) -> bytes:
    """With the pseudo header's sum where the checksum is to be, as a driver leaves it."""
    at = 16 if protocol == TCP else 6
    start = ~checksum(pseudo(segment, protocol, version=version, length=length)) & 0xFFFF
    return segment[:at] + start.to_bytes(2, "big") + segment[at + 2 :]


def without_ip_checksum(frame: bytes) -> bytes:
    return frame[:24] + bytes(2) + frame[26:]


def send(driver: Driver, frame: bytes, before: bytes, command: int, options: int, *, special: int = 0) -> None:
    """A context, then the frame in three descriptors."""
    driver.bench.write_memory(TX_BUFFERS, frame)
    pieces = ((0, 20), (20, 60), (60, len(frame)))
    last = len(pieces) - 1
    driver.put(before)
    for number, (start, end) in enumerate(pieces):
        ends = EOP | RS if number == last else 0
        driver.put(data(TX_BUFFERS + start, end - start, command | IFCS | ends, options=options, special=special))
    driver.go()


@pytest.mark.parametrize("protocol", [TCP, UDP])
@pytest.mark.parametrize("length", [0, 1, 999, 1000])
def test_checksums_of_ip_and_of_what_it_carries(driver: Driver, protocol: int, length: int) -> None:
    driver.start_transmitter()
    segment = (tcp if protocol == TCP else udp)(bytes(range(256)) * 4)[: 40 + length]
    finished = ethernet(ipv4(sealed(segment, protocol), protocol))
    unfinished = without_ip_checksum(ethernet(ipv4(partly(segment, protocol), protocol)))
    at = TCP_AT + (16 if protocol == TCP else 6)
    command = TUCMD_IP | (TUCMD_TCP if protocol == TCP else 0)
    before = context(ip=(IP_AT, 24, 33), transport=(TCP_AT, at, 0), command=command)
    send(driver, unfinished, before, 0, 3)
    assert driver.line.frames == [finished]


def test_a_udp_checksum_is_never_zero(driver: Driver) -> None:
    driver.start_transmitter()
    base = udp(bytes(60))
    bare = base[:6] + bytes(2) + base[8:]
    value = checksum(pseudo(bare, UDP) + bare)
    segment = bare[:8] + value.to_bytes(2, "big") + bare[10:]
    before = context(transport=(TCP_AT, TCP_AT + 6, 0))
    send(driver, ethernet(ipv4(partly(segment, UDP), UDP)), before, 0, 2)
    assert driver.line.frames[0][TCP_AT + 6 : TCP_AT + 8] == b"\xff\xff"


def large(payload: bytes, version: int = 4, *, flags: int = 0x19) -> bytes:
    """What a driver hands over to be cut up: lengths of zero, no IP checksum, a pseudo header without length."""
    segment = partly(tcp(payload, flags=flags), TCP, version=version, length=0)
    if version == 6:
        frame = ethernet(ipv6(segment, TCP))
        return frame[:18] + bytes(2) + frame[20:]
    frame = without_ip_checksum(ethernet(ipv4(segment, TCP)))
    return frame[:16] + bytes(2) + frame[18:]


def large_context(payload: int, size: int, version: int = 4) -> bytes:
    at = TCP_AT if version == 4 else TCP6_AT
    return context(
        ip=(IP_AT, 24 if version == 4 else 0, at - 1),
        transport=(at, at + 16, 0),
        payload=payload,
        command=TSE | TUCMD_TCP | (TUCMD_IP if version == 4 else 0),
        header=at + 20,
        segment=size,
    )


@pytest.mark.parametrize("version", [4, 6])
@pytest.mark.parametrize(("payload", "size"), [(5000, 1460), (2920, 1460), (100, 1460), (4000, 7), (64_000, 1448)])
def test_a_large_segment_is_cut_up(driver: Driver, payload: int, size: int, version: int) -> None:
    driver.start_transmitter()
    contents = bytes(number * 7 & 0xFF for number in range(payload))
    options = 3 if version == 4 else 2
    send(driver, large(contents, version), large_context(payload, size, version), TSE, options)
    assert driver.line.frames == [frame.ljust(60, b"\0") for frame in cut(contents, size, version)]
    assert driver.read(0x40F8) == 1


def test_a_segment_with_a_vlan_tag(driver: Driver) -> None:
    driver.start_transmitter()
    driver.write(CTRL, 1 << 30 | 0x40)
    contents = bytes(3000)
    send(driver, large(contents), large_context(3000, 1460), TSE | VLE, 3, special=5)
    tagged = [frame[:12] + b"\x81\0\0\5" + frame[12:] for frame in cut(contents, 1460)]
    assert driver.line.frames == tagged


def test_a_network_without_room_in_the_middle_of_a_segment(driver: Driver) -> None:
    driver.start_transmitter()
    driver.line.room = 2
    contents = bytes(range(250)) * 40
    send(driver, large(contents), large_context(len(contents), 1460), TSE, 3)
    assert driver.line.frames == list(cut(contents, 1460))[:2]
    driver.line.make_room(2)
    driver.line.make_room(10)
    assert driver.line.frames == list(cut(contents, 1460))


@pytest.mark.parametrize("version", [4, 6])
def test_a_network_that_cuts_up_by_itself_gets_it_whole(bench: Bench, version: int) -> None:
    line = NetworkLine(takes=Takes.CHECKSUM | Takes.TCP4 | Takes.TCP6)
    driver = Driver(bench, line=line)
    driver.start_transmitter()
    contents = bytes(range(250)) * 40
    options = 3 if version == 4 else 2
    send(driver, large(contents, version), large_context(len(contents), 1460, version), TSE, options)
    at = TCP_AT if version == 4 else TCP6_AT
    gso = Gso.TCP4 if version == 4 else Gso.TCP6
    assert line.offloads == [Offload(at, 16, gso=gso, segment_size=1460, header_length=at + 20)]
    segment = partly(tcp(contents, flags=0x19), TCP, version=version)
    assert line.frames == [ethernet(ipv4(segment, TCP) if version == 4 else ipv6(segment, TCP))]
    assert driver.read(0x4080) == len(list(cut(contents, 1460)))


@settings(max_examples=60, deadline=None)
@given(st.binary(min_size=1, max_size=4000), st.integers(20, 1500), st.sampled_from([4, 6]), st.integers(0, 255))
def test_any_segment_is_cut_up_right(contents: bytes, size: int, version: int, flags: int) -> None:
    packet = bytearray(large(contents, version, flags=flags))
    raw = large_context(len(contents), size, version)
    found = Context.from_words(int.from_bytes(raw[:8], "little"), int.from_bytes(raw[8:], "little"))
    assert not found.fault(len(packet), True)
    made = [bytes(frame) for frame in segments(packet, found, ip=version == 4, transport=True)]
    assert made == list(cut(contents, size, version, flags=flags))
