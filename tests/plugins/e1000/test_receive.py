"""The receive ring: buffers, lengths, filters, checksums, interrupts."""

from __future__ import annotations

import zlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from southbridge.net import Offload
from southbridge.plugins.e1000.receive import SOON
from southbridge.testing import Bench
from southbridge.testing.bench import FlatBenchMemory, WindowedBenchMemory

from tests.plugins.e1000.driver import (
    BAM,
    CTRL,
    EN,
    ICR,
    IMS,
    ITR,
    LPE,
    MAC,
    MPE,
    MTA,
    PEER,
    RA,
    RADV,
    RCTL,
    RDH,
    RDT,
    RDTR,
    RSRPD,
    RX_RING,
    RXCSUM,
    SECRC,
    UPE,
    VFTA,
    Driver,
    frame,
)
from tests.plugins.e1000.traffic import TCP, UDP, checksum, ethernet, ipv4, ipv6, sealed, tcp, udp

BROADCAST = b"\xff" * 6
MULTICAST = bytes.fromhex("01005e0a0b0c")
OTHER = bytes.fromhex("020000000099")
DD, LAST, IXSM, VP, TCPCS, IPCS, PIF = 1, 2, 4, 8, 0x20, 0x40, 0x80
TCPE, IPE = 0x20, 0x40
RXT0, RXDMT0, SRPD = 0x80, 0x10, 1 << 16


def test_a_packet(driver: Driver) -> None:
    driver.start_receiver()
    assert driver.line.give(frame(b"hello", length=100))
    assert driver.received(0) == (frame(b"hello", length=100), DD | LAST | IXSM, 0, 0, driver.received(0)[4])
    assert driver.read(RDH) == 1
    assert driver.read(ICR) & RXT0
    assert (driver.read(0x4074), driver.read(0x4060), driver.read(0x4088)) == (1, 1, 104)


def test_the_fcs_is_stored_unless_it_is_stripped(driver: Driver) -> None:
    driver.start_receiver(control=EN)
    driver.line.give(frame(length=60))
    data = driver.received(0)[0]
    assert data == frame(length=60) + zlib.crc32(frame(length=60)).to_bytes(4, "little")


def test_what_is_short_comes_padded(driver: Driver) -> None:
    driver.start_receiver()
    driver.line.give(frame(b"x"))
    assert driver.received(0)[0] == frame(b"x", length=60)


def test_while_the_receiver_is_off_frames_are_lost(driver: Driver) -> None:
    driver.start_receiver(control=SECRC)
    assert driver.line.give(frame(length=60))
    driver.write(RCTL, EN | SECRC)
    assert driver.packets() == []


@pytest.mark.parametrize("size", [256, 512, 1024, 2048, 4096, 16384])
def test_a_packet_takes_as_many_buffers_as_it_needs(driver: Driver, size: int) -> None:
    driver.start_receiver(control=EN | LPE | SECRC, size=size)
    packets = [frame(bytes([length & 0xFF]), length=length) for length in (size, size + 1, 60, 1514, 3 * size)]
    packets = [packet for packet in packets if len(packet) + 4 <= 16384]
    for packet in packets:
        assert driver.line.give(packet)
    assert driver.packets() == packets


def test_without_descriptors_frames_wait_outside(driver: Driver) -> None:
    driver.start_receiver(8)
    packets = [frame(bytes([number]), length=60) for number in range(9)]
    taken = [driver.line.give(packet) for packet in packets]
    assert taken == [True] * 7 + [False] * 2
    assert driver.line.told_sendable == 0
    assert driver.read(0x40A0) == 2
    driver.write(RDT, 1)
    assert driver.line.told_sendable == 1
    assert driver.line.give(packets[7])
    assert driver.read(RDH) == 0


def test_a_network_that_waits_isnt_told_of_each_descriptor(driver: Driver) -> None:
    driver.start_receiver(8)
    for number in range(8):
        driver.line.give(frame(bytes([number]), length=60))
    driver.write(RDT, 0)
    assert driver.line.told_sendable == 1
    assert driver.line.give(frame(b"8", length=60))
    assert not driver.line.give(frame(b"9", length=60))
    for tail in range(1, 4):
        driver.write(RDT, tail)
    assert driver.line.told_sendable == 1
    driver.bench.clock.advance(ns=SOON)
    assert driver.line.told_sendable == 2


def test_long_packets_only_if_wanted(driver: Driver) -> None:
    driver.start_receiver()
    driver.line.give(frame(length=1518))
    driver.line.give(frame(length=1519))
    assert [len(packet) for packet in driver.packets()] == [1518]
    assert driver.read(0x40AC) == 1
    driver.write(RCTL, EN | LPE | SECRC)
    driver.line.give(frame(length=9000))
    driver.line.give(frame(length=16381))
    assert [len(packet) for packet in driver.packets()] == [1518, 9000]


# --- filters ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("to", "control", "status"),
    [
        (MAC, 0, DD | LAST | IXSM),
        (OTHER, 0, 0),
        (OTHER, UPE, DD | LAST | IXSM | PIF),
        (BROADCAST, 0, 0),
        (BROADCAST, BAM, DD | LAST | IXSM),
        (MULTICAST, BAM | UPE, 0),
        (MULTICAST, MPE, DD | LAST | IXSM | PIF),
    ],
)
def test_which_addresses_are_taken(driver: Driver, to: bytes, control: int, status: int) -> None:
    driver.start_receiver(control=EN | SECRC | control)
    assert driver.line.give(frame(to=to, length=60))
    assert driver.received(0)[1] == status
    assert driver.read(0x40D0) == 1


@pytest.mark.parametrize("offset", range(4))
def test_the_multicast_table(driver: Driver, offset: int) -> None:
    index = (0x0B | 0x0C << 8) >> (4, 3, 2, 0)[offset] & 0xFFF
    driver.start_receiver(control=EN | SECRC | offset << 12)
    driver.write(MTA + 4 * (index >> 5), 1 << (index & 31))
    driver.line.give(frame(to=MULTICAST, length=60))
    assert driver.received(0)[1] & PIF
    driver.line.give(frame(to=MULTICAST[:5] + b"\x7f", length=60))
    assert len(driver.packets()) == 1


def test_further_addresses_and_those_of_senders(driver: Driver) -> None:
    driver.start_receiver()
    driver.write(RA + 8 * 15, int.from_bytes(OTHER[:4], "little"))
    driver.write(RA + 8 * 15 + 4, 0x8000_0000 | int.from_bytes(OTHER[4:], "little"))
    driver.line.give(frame(to=OTHER, length=60))
    driver.write(RA + 8 * 15, int.from_bytes(PEER[:4], "little"))
    driver.write(RA + 8 * 15 + 4, 0x8001_0000 | int.from_bytes(PEER[4:], "little"))
    driver.line.give(frame(to=bytes.fromhex("020000000055"), length=60))
    driver.line.give(frame(to=OTHER, source=OTHER, length=60))
    assert [packet[:6] for packet in driver.packets()] == [OTHER, bytes.fromhex("020000000055")]


def tagged(tag: int) -> bytes:
    plain = frame(length=80)
    return plain[:12] + b"\x81\0" + tag.to_bytes(2, "big") + plain[12:]


def test_vlan_tags_are_stripped_in_vlan_mode(driver: Driver) -> None:
    driver.start_receiver()
    driver.line.give(tagged(0x2005))
    driver.write(CTRL, 1 << 30 | 0x40)
    driver.line.give(tagged(0x2005))
    driver.line.give(frame(length=80))
    assert driver.packets() == [tagged(0x2005), frame(length=80), frame(length=80)]
    assert [driver.received(index)[1] & VP for index in range(3)] == [0, VP, 0]
    assert driver.received(1)[3] == 0x2005


def test_vlan_filter(driver: Driver) -> None:
    driver.start_receiver(control=EN | SECRC | 1 << 18)
    driver.write(VFTA + 4 * 2, 1 << 5)
    driver.line.give(tagged(69))
    driver.line.give(tagged(70))
    driver.line.give(frame(length=80))
    assert driver.packets() == [tagged(69), frame(length=80)]
    driver.write(RCTL, EN | SECRC | 1 << 18 | 1 << 19 | 1 << 20)
    driver.line.give(tagged(69))
    driver.line.give(tagged(69 | 0x1000))
    assert driver.packets()[2:] == [tagged(69 | 0x1000)]


def test_pause_frames_are_the_controllers(driver: Driver) -> None:
    driver.start_receiver(control=EN | SECRC | MPE)
    pause = frame(b"\0\1\0\7", to=bytes.fromhex("0180c2000001"), kind=0x8808, length=60)
    driver.line.give(pause)
    assert driver.packets() == []
    assert driver.read(0x4050) == 1
    driver.write(RCTL, EN | SECRC | MPE | 1 << 23)
    driver.line.give(pause)
    assert driver.packets() == [pause]


# --- checksums -------------------------------------------------------------------------------------------------------

GOOD_TCP = ethernet(ipv4(sealed(tcp(b"payload"), TCP), TCP))


@pytest.mark.parametrize(
    ("packet", "status", "errors"),
    [
        (GOOD_TCP, TCPCS | IPCS, 0),
        (GOOD_TCP[:-1] + b"?", TCPCS | IPCS, TCPE),
        (GOOD_TCP[:22] + b"\1" + GOOD_TCP[23:], TCPCS | IPCS, IPE),
        (ethernet(ipv4(sealed(udp(b"odd"), UDP), UDP)), TCPCS | IPCS, 0),
        (ethernet(ipv4(udp(b"none"), UDP)), TCPCS | IPCS, 0),
        (ethernet(ipv6(sealed(tcp(b"payload"), TCP, 6), TCP)), TCPCS, 0),
        (ethernet(ipv6(udp(b"none"), UDP)), TCPCS, TCPE),
        (frame(length=60), IXSM, 0),
        (ethernet(ipv4(b"icmp", 1)), IXSM, 0),
        (GOOD_TCP[:14] + b"\x4f" + GOOD_TCP[15:40], IXSM, 0),
    ],
)
def test_checksums_are_checked(driver: Driver, packet: bytes, status: int, errors: int) -> None:
    driver.start_receiver()
    driver.write(RXCSUM, 0x700)
    driver.line.give(packet)
    assert driver.received(0)[1:3] == (status | DD | LAST, errors)


def with_options(packet: bytes) -> bytes:
    """An IPv4 packet of whose header's options there is one more word."""
    header = bytes([packet[0] + 1, packet[1]]) + (len(packet) + 4).to_bytes(2, "big") + packet[4:10] + bytes(2)
    header += packet[12:20] + b"\1\1\1\0"
    return header[:10] + checksum(header).to_bytes(2, "big") + header[12:] + packet[20:]


FRAGMENT = ipv4(sealed(tcp(bytes(30)), TCP), TCP)
FRAGMENT = FRAGMENT[:6] + b"\x20\1" + FRAGMENT[8:10] + bytes(2) + FRAGMENT[12:]


@pytest.mark.parametrize("control", [0, 0x100, 0x200, 0x300, 0x700, 0x70E])
@pytest.mark.parametrize(
    "packet",
    [
        ipv4(sealed(tcp(bytes(30)), TCP), TCP),
        ipv4(sealed(udp(bytes(30)), UDP), UDP),
        with_options(ipv4(sealed(tcp(bytes(30)), TCP), TCP)),
        FRAGMENT,
        ipv4(bytes(40), 1),
        ipv6(sealed(tcp(bytes(30)), TCP, 6), TCP),
    ],
)
def test_what_the_network_found_right_is_told_as_what_the_card_checked(
    driver: Driver, control: int, packet: bytes
) -> None:
    driver.start_receiver()
    driver.write(RXCSUM, control)
    good = [ethernet(packet)] * 2
    assert driver.line.port.send_batch(good, Offload(checksum_good=True)) == 2
    assert driver.line.port.send_batch(good) == 2
    assert driver.received(0) == driver.received(1) == driver.received(2) == driver.received(3)


def test_the_packet_checksum(driver: Driver) -> None:
    driver.start_receiver()
    driver.write(RXCSUM, 14)
    driver.line.give(frame(bytes(range(100))))
    assert driver.received(0)[4].to_bytes(2, "little") == checksum(bytes(range(100))).to_bytes(2, "big")


# --- interrupts ------------------------------------------------------------------------------------------------------


def test_the_interrupt_waits_for_rdtr_but_no_longer_than_radv(driver: Driver) -> None:
    driver.start_receiver()
    driver.write(RDTR, 10)
    driver.write(RADV, 25)
    driver.write(IMS, RXT0)
    for _ in range(3):
        driver.line.give(frame(length=60))
        driver.bench.clock.advance(us=8)
        assert not driver.card.interrupt.asserted
    driver.bench.clock.advance(us=2)
    assert driver.card.interrupt.asserted
    assert driver.read(ICR) & RXT0
    driver.line.give(frame(length=60))
    driver.write(RDTR, 10 | 1 << 31)
    assert driver.read(ICR) & RXT0
    assert driver.read(RDTR) == 10


def test_itr_keeps_interrupts_apart(driver: Driver) -> None:
    driver.start_receiver()
    driver.write(ITR, 400)
    driver.write(IMS, RXT0)
    driver.line.give(frame(length=60))
    assert driver.card.interrupt.asserted
    driver.read(ICR)
    driver.bench.clock.advance(us=50)
    driver.line.give(frame(length=60))
    assert not driver.card.interrupt.asserted
    driver.bench.clock.advance(us=53)
    assert driver.card.interrupt.asserted


def test_few_descriptors_are_left(driver: Driver) -> None:
    driver.start_receiver(16, control=EN | SECRC | 1 << 8)
    causes = []
    for _ in range(15):
        driver.line.give(frame(length=60))
        causes.append(bool(driver.read(ICR) & RXDMT0))
    assert causes.index(True) == 10, "a quarter: four of sixteen"
    assert sum(causes) == 1


def test_small_packets(driver: Driver) -> None:
    driver.start_receiver()
    driver.write(RSRPD, 64)
    driver.line.give(frame(length=100))
    assert not driver.read(ICR) & SRPD
    driver.line.give(frame(length=60))
    assert driver.read(ICR) & SRPD


# --- what a driver does wrong ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("register", "message"),
    [
        (RDT, "receive: RDT 16 beyond RDLEN/16 = 16 (section 3.2.6)"),
        (RDH, "receive: RDH 16 beyond RDLEN/16 = 16 (section 3.2.6)"),
    ],
)
def test_an_index_beyond_the_ring(driver: Driver, register: int, message: str) -> None:
    driver.start_receiver()
    driver.write(register, 16)
    assert driver.line.give(frame(length=60))
    assert driver.bench.guest_errors[-1].endswith(message)


def test_a_buffer_that_is_not_memory(driver: Driver) -> None:
    driver.start_receiver()
    driver.bench.write_memory(RX_RING, (0xF000_0000).to_bytes(8, "little"))
    assert driver.line.give(frame(length=60))
    assert driver.bench.guest_errors[-1].endswith(
        "RDT: receive descriptor 0 or its buffer isn't memory (section 3.2.3)"
    )
    assert driver.read(RDH) == 0


def test_a_ring_that_is_too_small_for_a_packet(driver: Driver) -> None:
    driver.start_receiver(8, control=EN | LPE | SECRC, size=256)
    assert driver.line.give(frame(length=2048))
    assert "a packet needs 8 descriptors of a ring of 8" in driver.bench.guest_errors[-1]


# --- several at once -------------------------------------------------------------------------------------------------


@given(
    st.lists(st.tuples(st.integers(60, 3000), st.booleans()), max_size=60),
    st.integers(8, 40),
    st.integers(1, 30),
    st.booleans(),
)
@settings(max_examples=40, deadline=None)
def test_several_at_once_are_as_one_by_one(
    lengths: list[tuple[int, bool]], ring: int, back: int, windowed: bool
) -> None:
    """Two cards get the same frames, one of them in batches: memory, registers and what is left over are the same."""
    frames = [
        frame(bytes([number & 0xFF]) * (length - 14), to=MAC if mine else OTHER)
        for number, (length, mine) in enumerate(lengths)
    ]
    states = []
    for batches in (False, True):
        bench = Bench(WindowedBenchMemory if windowed else FlatBenchMemory)
        driver = Driver(bench)
        ring -= ring % 8
        driver.start_receiver(ring, control=EN | BAM | LPE)
        left = list(frames)
        for _ in range(3):
            if batches:
                del left[: driver.line.port.send_batch(left)]
            else:
                while left and driver.line.give(left[0]):
                    del left[0]
            driver.write(RDT, (driver.read(RDT) + min(back, ring - 1)) % ring)
        registers = driver.card.save()["registers"]
        registers.pop("RNBC")
        states.append((left, registers, bench.read_memory(RX_RING, 16 * ring), driver.packets()))
        bench.close()
    assert states[0] == states[1]


def test_a_bad_buffer_in_the_middle_of_several(driver: Driver) -> None:
    driver.start_receiver()
    driver.bench.write_memory(RX_RING + 32, (0xF000_0000).to_bytes(8, "little"))
    frames = [frame(bytes([number]), length=60) for number in range(6)]
    assert driver.line.port.send_batch(frames) == 6
    assert driver.packets() == frames[:2]
    assert driver.read(RDH) == 2
    assert "receive descriptor 2 or its buffer" in driver.bench.guest_errors[-1]
