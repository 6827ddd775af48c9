"""What has gone wrong in other models of this card, one test each; named for what was published about it."""

from __future__ import annotations

import struct

import pytest
from southbridge.net import Frame, Offload

from tests.plugins.e1000.driver import (
    BAM,
    BAR,
    EN,
    EOP,
    IFCS,
    LPE,
    MAC,
    RCTL,
    RDBAL,
    RDH,
    RDLEN,
    RDT,
    RS,
    RX_RING,
    SECRC,
    TDBAL,
    TDH,
    TDLEN,
    TDT,
    TSE,
    TX_BUFFERS,
    TX_RING,
    Driver,
    context,
    data,
    frame,
    legacy,
)
from tests.plugins.e1000.test_registers import mdio

LOOPBACK = 3 << 6


def test_cve_2012_0029_a_legacy_packet_larger_than_the_buffer(driver: Driver) -> None:
    """The pieces of a packet add up to more than any packet has; after a context for segmentation, too."""
    driver.start_transmitter()
    driver.put(context(command=TSE | 1, header=54, segment=1, transport=(34, 50, 0)))
    driver.put(*[legacy(TX_BUFFERS, 0xFFFF, 0)] * 10, legacy(TX_BUFFERS, 0xFFFF, EOP | IFCS | RS))
    driver.go()
    assert driver.line.frames == []
    assert driver.status(11) == 1
    assert "longer than" in driver.bench.guest_errors[-1]
    driver.send(frame(length=60))
    assert len(driver.line.frames) == 1


@pytest.mark.parametrize(("header", "segment"), [(0, 0), (0, 1460), (54, 0)])
def test_cve_2015_6815_segmentation_that_moves_nothing(driver: Driver, header: int, segment: int) -> None:
    driver.start_transmitter()
    driver.put(context(command=TSE | 1, header=header, segment=segment, payload=1000, transport=(34, 50, 0)))
    driver.put(data(TX_BUFFERS, 1054, EOP | IFCS | RS | TSE, options=2))
    driver.go()
    assert driver.line.frames == []
    assert driver.status(1) == 1
    assert f"HDRLEN is {header} and MSS is {segment} (section 3.5)" in driver.bench.guest_errors[-1]
    driver.send(frame(length=60))
    assert len(driver.line.frames) == 1


def test_segmentation_into_far_too_many_pieces(driver: Driver) -> None:
    driver.start_transmitter()
    driver.put(context(command=TSE | 1, header=54, segment=1, payload=60_000, transport=(34, 50, 0)))
    driver.put(data(TX_BUFFERS, 60_054, EOP | IFCS | TSE, options=2))
    driver.go()
    assert driver.line.frames == []
    assert "more than 1024 segments" in driver.bench.guest_errors[-1]


def test_segmentation_whose_offsets_are_outside_the_header(driver: Driver) -> None:
    driver.start_transmitter()
    driver.put(context(command=TSE | 3, header=40, segment=100, transport=(34, 50, 0)))
    driver.put(data(TX_BUFFERS, 1054, EOP | IFCS | TSE, options=3))
    driver.go()
    assert driver.line.frames == []
    assert "lie beyond HDRLEN 40" in driver.bench.guest_errors[-1]


@pytest.mark.parametrize("head", [8, 9, 0xFFFF])
@pytest.mark.parametrize("tail", [0, 7, 8, 0xFFFE])
def test_cve_2016_1981_an_index_beyond_the_ring_never_wraps(driver: Driver, head: int, tail: int) -> None:
    driver.start_transmitter(8)
    driver.write(TDH, head)
    driver.write(TDT, tail)
    assert driver.line.frames == []
    driver.start_receiver(8)
    driver.write(RDH, head)
    driver.write(RDT, tail)
    assert driver.line.give(frame(length=60))
    assert driver.packets() == []


def test_a_ring_of_no_length(driver: Driver) -> None:
    driver.start_transmitter(0)
    driver.write(TDT, 1)
    assert "TDH 0 beyond TDLEN/16 = 0" in driver.bench.guest_errors[-1]
    driver.start_receiver(8)
    driver.write(RDLEN, 0)
    driver.line.give(frame(length=60))
    assert "RDH 0 beyond RDLEN/16 = 0" in driver.bench.guest_errors[-1]


def test_cve_2021_20257_loopback_onto_the_cards_own_registers(driver: Driver) -> None:
    """A packet that comes back is to be stored at TDT: that would send it again, and again."""
    driver.start_transmitter(8)
    driver.start_receiver(8, control=EN | SECRC | BAM | LOOPBACK)
    for index in range(8):
        driver.bench.write_memory(RX_RING + 16 * index, struct.pack("<QQ", BAR + TDT, 0))
    driver.send((5).to_bytes(4, "little").ljust(60, b"\xff"))
    driver.send(frame(to=MAC, length=60))
    assert driver.read(TDT) == driver.read(TDH) == 2
    assert any("isn't memory" in line for line in driver.bench.guest_errors)


def test_cve_2021_20257_loopback_onto_the_transmit_ring(driver: Driver) -> None:
    """What comes back overwrites descriptors that are still to be sent: they end where TDT said."""
    driver.start_transmitter(8)
    driver.start_receiver(8, control=EN | SECRC | BAM | LOOPBACK)
    descriptor = legacy(TX_BUFFERS, 60, EOP | IFCS | RS)
    for index in range(8):
        driver.bench.write_memory(RX_RING + 16 * index, struct.pack("<QQ", TX_RING, 0))
    driver.bench.write_memory(TX_BUFFERS, MAC + descriptor * 4)
    driver.put(*[descriptor] * 7)
    driver.go()
    assert driver.read(TDH) == 7
    assert driver.line.frames == []


@pytest.mark.parametrize("by_phy", [False, True])
def test_cve_2021_3416_loopback_doesnt_enter_itself(driver: Driver, by_phy: bool) -> None:
    driver.start_transmitter(8)
    driver.start_receiver(8, control=EN | SECRC | (0 if by_phy else LOOPBACK))
    if by_phy:
        mdio(driver, 0, 0x4140)
    for number in range(9):
        driver.send(frame(bytes([number]), to=MAC, length=60))
    assert driver.packets() == [frame(bytes([number]), to=MAC, length=60) for number in range(7)]
    assert driver.read(TDH) == driver.read(TDT) == 1
    assert driver.line.frames == []


def test_a_network_that_answers_at_once_doesnt_enter_the_transmitter(driver: Driver) -> None:
    driver.start_transmitter(8)
    driver.start_receiver(8, control=EN | SECRC | BAM)
    answered: list[bytes] = []
    take = driver.line._receive

    def answer(packet: Frame, offload: Offload | None) -> bool:
        answered.append(bytes(packet))
        driver.line.give(packet)
        driver.line.port.ready()
        return take(packet, None)

    driver.line.port._receive = answer
    for _ in range(3):
        driver.send(frame(to=MAC, length=60))
    assert len(answered) == 3
    assert len(driver.packets()) == 3


def test_cve_2012_6075_a_long_packet_while_long_packets_are_off(driver: Driver) -> None:
    """A packet longer than 1522 bytes is dropped; one between that and 16384 only with LPE."""
    driver.start_receiver(8, control=EN | SECRC, size=256)
    before = driver.bench.read_memory(RX_RING, 128)
    driver.line.give(frame(length=1519))
    driver.line.give(frame(length=16_384))
    assert driver.bench.read_memory(RX_RING, 128) == before
    driver.start_receiver(64, control=EN | SECRC | LPE, size=2048)
    driver.line.give(frame(length=16_381))
    assert driver.packets() == []
    driver.line.give(frame(length=16_380))
    assert len(driver.packets()) == 1


def test_a_frame_is_never_more_than_its_buffer(driver: Driver) -> None:
    """The buffer's size as it is when the packet comes, not as it was when the ring was made."""
    driver.start_receiver(8, control=EN | SECRC, size=2048)
    driver.write(RCTL, EN | SECRC | 3 << 16)
    driver.line.give(frame(b"\xee" * 1000))
    for index in range(3):
        address = int.from_bytes(driver.bench.read_memory(RX_RING + 16 * index, 8), "little")
        assert driver.bench.read_memory(address + 256, 64) == bytes(64)


def test_addresses_at_the_end_of_the_address_space(driver: Driver) -> None:
    driver.start_transmitter(8)
    driver.write(TDBAL, 0xFFFF_FFF0)
    driver.write(TDBAL + 4, 0xFFFF_FFFF)
    driver.write(TDLEN, 128)
    driver.write(TDT, 5)
    driver.start_receiver(8)
    driver.write(RDBAL, 0xFFFF_FFF0)
    driver.write(RDBAL + 4, 0xFFFF_FFFF)
    driver.line.give(frame(length=60))
    assert driver.read(TDH) == 0
    assert driver.read(RDH) == 0
