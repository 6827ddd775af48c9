"""The transmit ring: legacy, context and data descriptors, and what a driver can do wrong."""

from __future__ import annotations

import zlib

import pytest
from southbridge.clock import GRAIN
from southbridge.plugins.e1000.transmit import RAPID_TAILS, SOON, TOGETHER

from tests.plugins.e1000.driver import (
    CTRL,
    DD,
    EN,
    EOP,
    IC,
    ICR,
    IDE,
    IFCS,
    IMS,
    RS,
    TADV,
    TCTL,
    TDH,
    TDT,
    TIDV,
    TSE,
    TX_BUFFERS,
    TX_RING,
    TXDCTL,
    VLE,
    Driver,
    context,
    data,
    frame,
    legacy,
)

TXDW, TXQE, TXD_LOW = 1, 2, 1 << 15


def test_a_packet_and_its_status(driver: Driver) -> None:
    driver.start_transmitter()
    driver.send(frame(b"hello", length=100))
    assert driver.line.frames == [frame(b"hello", length=100)]
    assert driver.status(0) == DD
    assert driver.read(TDH) == driver.read(TDT) == 1
    assert driver.read(ICR) & (TXDW | TXQE) == TXDW | TXQE


def test_without_rs_nothing_is_written_back(driver: Driver) -> None:
    driver.start_transmitter()
    driver.send(frame(length=60), EOP | IFCS)
    assert driver.status(0) == 0
    assert driver.read(ICR) & (TXDW | TXQE) == TXQE


def test_a_packet_of_many_descriptors_around_the_rings_end(driver: Driver) -> None:
    driver.start_transmitter(8)
    for _ in range(6):
        driver.send(frame(length=60))
    packet = frame(bytes(range(200)))
    driver.bench.write_memory(TX_BUFFERS, packet)
    for start, end in ((0, 10), (10, 14), (14, 150)):
        driver.put(legacy(TX_BUFFERS + start, end - start, IFCS))
    driver.go()
    assert len(driver.line.frames) == 6
    driver.put(legacy(TX_BUFFERS + 150, len(packet) - 150, EOP | IFCS | RS))
    driver.go()
    assert driver.line.frames[6] == packet
    assert driver.read(TDH) == 2


def test_short_packets_are_padded_if_asked(driver: Driver) -> None:
    driver.start_transmitter()
    driver.send(frame(b"x"))
    assert driver.line.frames == [frame(b"x", length=60)]
    driver.start_transmitter(control=EN)
    driver.send(frame(b"x"))
    assert driver.line.frames[1] == frame(b"x")
    driver.send(b"x")
    assert len(driver.line.frames) == 2
    assert "a packet of 1 bytes" in driver.bench.guest_errors[-1]


def test_nothing_is_sent_while_it_is_off(driver: Driver) -> None:
    driver.start_transmitter(control=0)
    driver.send(frame(length=60))
    assert driver.line.frames == []
    driver.write(TCTL, EN)
    assert len(driver.line.frames) == 1


def test_a_checksum_by_a_legacy_descriptor(driver: Driver) -> None:
    driver.start_transmitter()
    packet = bytearray(frame(bytes(range(50, 100))))
    packet[24:26] = bytes(2)
    driver.send(bytes(packet), EOP | IFCS | IC | RS, cso=24, css=14)
    total = sum(int.from_bytes(packet[at : at + 2], "big") for at in range(14, len(packet), 2))
    total = (total & 0xFFFF) + (total >> 16)
    packet[24:26] = (~total & 0xFFFF).to_bytes(2, "big")
    assert driver.line.frames == [bytes(packet)]
    driver.send(bytes(packet), EOP | IFCS | IC | RS, cso=200, css=14)
    assert driver.line.frames[1] == bytes(packet)
    assert "CSS 14 or CSO 200 is outside a packet of 64 bytes (section 3.3.3.1)" in driver.bench.guest_errors[-1]


def test_a_vlan_tag_is_inserted(driver: Driver) -> None:
    driver.start_transmitter()
    driver.send(frame(length=60), EOP | IFCS | VLE, special=0x2ABC)
    assert driver.line.frames[0] == frame(length=60)
    driver.write(CTRL, 1 << 30 | 0x40)
    driver.send(frame(length=60), EOP | IFCS | VLE, special=0x2ABC)
    plain = frame(length=60)
    assert driver.line.frames[1] == plain[:12] + b"\x81\0\x2a\xbc" + plain[12:]


def test_a_packet_that_brings_its_own_fcs(driver: Driver) -> None:
    driver.start_transmitter()
    packet = frame(length=60)
    driver.send(packet + zlib.crc32(packet).to_bytes(4, "little"), EOP)
    assert driver.line.frames == [packet]
    driver.send(packet, EOP)
    assert driver.line.frames[1] == packet, "a driver that forgot IFCS is told, and works"
    assert "descriptor 1 without IFCS" in driver.bench.guest_errors[-1]


# --- back pressure ---------------------------------------------------------------------------------------------------


def test_a_network_without_room_stops_the_ring(driver: Driver) -> None:
    driver.start_transmitter()
    driver.line.room = 2
    packets = [frame(bytes([number]), length=60) for number in range(10)]
    for number, packet in enumerate(packets):
        driver.bench.write_memory(TX_BUFFERS + 256 * number, packet)
        driver.put(legacy(TX_BUFFERS + 256 * number, 60, EOP | IFCS | RS))
    driver.go()
    assert driver.line.frames == packets[:2]
    assert driver.read(TDH) == 3, "one is in the card"
    assert [driver.status(number) for number in range(4)] == [DD, DD, DD, 0]
    saved = driver.card.save()
    driver.card.reset()
    driver.card.load(saved)
    driver.line.make_room(3)
    assert driver.read(TDH) == 6
    driver.line.make_room(100)
    assert driver.line.frames == packets


def test_a_large_ring_goes_on_by_itself(driver: Driver) -> None:
    driver.start_transmitter(4096)
    driver.bench.write_memory(TX_BUFFERS, frame(length=60))
    driver.put(*[legacy(TX_BUFFERS, 60, EOP | IFCS)] * 4000)
    driver.go()
    assert driver.read(TDH) == 1024
    driver.bench.clock.advance(ms=10)
    assert driver.read(TDH) == 4000
    assert len(driver.line.frames) == 4000


# --- interrupts ------------------------------------------------------------------------------------------------------


def test_tails_in_quick_succession_are_seen_to_together(driver: Driver) -> None:
    """A driver that tells of each packet by itself: after a while many are sent at once, soon or when many wait."""
    driver.start_transmitter(256)
    packets = [frame(number.to_bytes(2, "big"), length=60) for number in range(200)]
    driver.bench.write_memory(TX_BUFFERS, b"".join(packets))

    def send(numbers: range) -> None:
        for number in numbers:
            driver.put(legacy(TX_BUFFERS + 60 * number, 60, EOP | IFCS | RS))
            driver.go()

    send(range(100))
    assert RAPID_TAILS - 1 <= len(driver.line.frames) < 100
    driver.bench.clock.advance(ns=SOON)
    assert driver.line.frames == packets[:100]
    send(range(100, 200))
    driver.bench.clock.advance(ns=SOON)
    assert driver.line.frames == packets
    driver.bench.clock.advance(ms=1)
    for number in range(20):
        send(range(number, number + 1))
        driver.bench.clock.advance(ms=1)
    send(range(20, 21))
    assert driver.line.frames == [*packets, *packets[:21]], "one that comes alone is sent at once"


def test_when_many_wait_they_are_not_kept_waiting(driver: Driver) -> None:
    driver.start_transmitter(256)
    for _ in range(RAPID_TAILS + TOGETHER + 1):
        driver.send(frame(length=60))
    assert len(driver.line.frames) >= TOGETHER


def test_the_interrupt_waits_for_tidv(driver: Driver) -> None:
    driver.start_transmitter()
    driver.write(TIDV, 10)
    driver.write(TADV, 25)
    driver.write(IMS, TXDW)
    driver.read(ICR)
    for _ in range(3):
        driver.send(frame(length=60), EOP | IFCS | RS | IDE)
        driver.bench.clock.advance(us=8)
        assert not driver.card.interrupt.asserted
    driver.bench.clock.advance(us=2)
    assert driver.card.interrupt.asserted, "25 * 1.024 us after the first"
    driver.read(ICR)
    driver.send(frame(length=60), EOP | IFCS | RS | IDE)
    driver.bench.clock.advance(us=11)
    assert driver.read(ICR) & TXDW
    driver.send(frame(length=60), EOP | IFCS | RS)
    assert driver.read(ICR) & TXDW


def test_a_wait_that_the_host_could_not_keep_is_over_at_once(driver: Driver) -> None:
    """Linux's driver wants 8 us; while time passes by itself, a thread that is woken for that comes far later."""
    driver.start_transmitter()
    driver.write(IMS, TXDW)
    driver.read(ICR)
    driver.bench.clock.start()
    for ticks, waits in ((8, False), (GRAIN // 1024 + 1, True)):
        driver.write(TIDV, ticks)
        driver.send(frame(length=60), EOP | IFCS | RS | IDE)
        assert driver.card.interrupts.transmit_delay.pending is waits
        assert bool(driver.read(ICR) & TXDW) is not waits


def test_few_descriptors_are_left(driver: Driver) -> None:
    driver.start_transmitter()
    driver.write(TXDCTL, 2 << 25)
    driver.read(ICR)
    driver.bench.write_memory(TX_BUFFERS, frame(length=60))
    driver.put(*[legacy(TX_BUFFERS, 60, EOP | IFCS)] * 20)
    driver.go()
    assert driver.read(ICR) & TXD_LOW


# --- what a driver does wrong ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("register", "value", "message"),
    [
        (TDT, 70, "transmit: TDT 70 beyond TDLEN/16 = 64 (section 3.4)"),
        (TDH, 64, "transmit: TDH 64 beyond TDLEN/16 = 64 (section 3.4)"),
    ],
)
def test_an_index_beyond_the_ring(driver: Driver, register: int, value: int, message: str) -> None:
    driver.start_transmitter()
    driver.write(register, value)
    if register == TDH:
        driver.send(frame(length=60))
    assert driver.bench.guest_errors[-1].endswith(message)
    assert driver.line.frames == []


def test_the_last_descriptor_has_no_eop(driver: Driver) -> None:
    driver.start_transmitter()
    for _ in range(3):
        driver.send(frame(length=60))
    driver.send(frame(length=60), IFCS | RS)
    assert driver.bench.guest_errors[-1].endswith(
        "transmit: TDT: descriptor 3 without EOP is the last before the tail (section 3.3.3)"
    )


def test_a_buffer_that_is_not_memory(driver: Driver) -> None:
    driver.start_transmitter()
    driver.put(legacy(0xF000_0000, 60, EOP | IFCS | RS))
    driver.go()
    assert driver.bench.guest_errors[-1].endswith(
        "TDT: the buffer of descriptor 0 at 0xf0000000 is not in memory (section 3.3.1)"
    )
    assert driver.status(0) == DD
    driver.send(frame(length=60))
    assert len(driver.line.frames) == 1


def test_a_ring_that_is_not_memory(driver: Driver) -> None:
    driver.start_transmitter()
    driver.write(0x3800, 0xF000_0000)
    driver.write(TDT, 5)
    assert "transmit descriptors from 0 on are not in memory (section 3.4)" in driver.bench.guest_errors[-1]
    assert driver.read(TDH) == 0


def test_a_descriptor_of_no_kind(driver: Driver) -> None:
    driver.start_transmitter()
    driver.put(data(TX_BUFFERS, 60, EOP | IFCS, kind=5))
    driver.go()
    assert "descriptor 0 has DTYP 5, which is reserved" in driver.bench.guest_errors[-1]


def test_a_packet_that_is_too_long(driver: Driver) -> None:
    driver.start_transmitter()
    driver.put(legacy(TX_BUFFERS, 16_000, 0), legacy(TX_BUFFERS, 289, EOP | IFCS))
    driver.go()
    assert "with descriptor 1 the packet is longer than 16288 bytes" in driver.bench.guest_errors[-1]
    assert driver.line.frames == []
    driver.send(frame(length=60))
    assert len(driver.line.frames) == 1


def test_a_data_descriptor_without_offloads(driver: Driver) -> None:
    driver.start_transmitter()
    driver.bench.write_memory(TX_BUFFERS, frame(length=60))
    driver.put(context(command=TSE, header=54, segment=1000), data(TX_BUFFERS, 60, EOP | IFCS | RS))
    driver.go()
    assert driver.line.frames == [frame(length=60)]
    assert driver.bench.read_memory(TX_RING + 28, 1)[0] == DD
