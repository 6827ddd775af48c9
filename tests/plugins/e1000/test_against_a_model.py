"""The rings against the naivest model that there is: one descriptor after the other, no batches, no shortcuts."""

from __future__ import annotations

import struct
from dataclasses import dataclass, field

from hypothesis import given, settings
from hypothesis import strategies as st
from southbridge.testing import Bench
from southbridge.testing.bench import FlatBenchMemory, WindowedBenchMemory

from tests.plugins.e1000.driver import (
    BAM,
    CTRL,
    EN,
    EOP,
    IFCS,
    LPE,
    MAC,
    RDH,
    RDT,
    RS,
    SECRC,
    TDH,
    TX_BUFFERS,
    VLE,
    Driver,
    data,
    frame,
    legacy,
)

RING = 16


@dataclass
class Model:
    """What the card's transmitter does with legacy descriptors, and data descriptors without offloads."""

    memory: bytes
    vlan_mode: bool
    packet: bytes = b""
    sent: list[bytes] = field(default_factory=list)

    def descriptor(self, raw: bytes) -> bytes:
        address, rest = struct.unpack("<QQ", raw)
        command = rest >> 24 & 0xFF
        length = rest & (0xF_FFFF if command & 0x20 else 0xFFFF)
        self.packet += self.memory[address - TX_BUFFERS : address - TX_BUFFERS + length]
        if command & EOP:
            if self.packet and len(self.packet) <= 16_288:
                packet = self.packet
                if command & VLE and self.vlan_mode:
                    packet = packet[:12] + b"\x81\0" + (rest >> 48).to_bytes(2, "big") + packet[12:]
                self.sent.append(packet.ljust(60, b"\0"))
            self.packet = b""
        return raw[:12] + bytes([raw[12] | 1]) + raw[13:] if command & RS else raw


pieces = st.tuples(
    st.integers(0, 20_000),
    st.integers(0, 3000),
    st.sampled_from([EOP | IFCS | RS, IFCS | RS, IFCS, EOP | IFCS, EOP | IFCS | VLE]),
    st.booleans(),
    st.integers(0, 0xFFFF),
)
programs = st.lists(
    st.one_of(st.lists(pieces, min_size=1, max_size=RING - 1), st.sampled_from(["room", "save"])), max_size=12
)


@settings(max_examples=60, deadline=None)
@given(programs, st.booleans(), st.booleans(), st.integers(0, 1 << 30))
def test_transmitting(program: list[object], vlan_mode: bool, windowed: bool, room: int) -> None:
    bench = Bench(WindowedBenchMemory if windowed else FlatBenchMemory)
    driver = Driver(bench)
    contents = bytes(number * 31 >> 3 & 0xFF for number in range(24_000))
    bench.write_memory(TX_BUFFERS, contents)
    driver.start_transmitter(RING)
    driver.write(CTRL, 0x40 | vlan_mode << 30)
    model = Model(contents, vlan_mode)
    driver.line.room = room % 40
    index = 0
    expected: dict[int, bytes] = {}
    for step in program:
        if step == "room":
            driver.line.make_room(room % 7 + 1)
        elif step == "save":
            saved = driver.card.save()
            driver.card.reset()
            driver.card.load(saved)
        else:
            driver.line.make_room(1000)  # a driver never overtakes the card
            assert driver.read(TDH) == driver.sent % RING
            assert isinstance(step, list)
            for offset, length, command, modern, special in step:
                make = data if modern else legacy
                raw = make(TX_BUFFERS + offset, length, command, special=special)
                driver.put(raw)
                expected[index % RING] = model.descriptor(raw)
                index += 1
            driver.go()
    driver.line.make_room(1000)
    assert driver.line.frames == model.sent
    assert driver.read(TDH) == index % RING
    for place, raw in expected.items():
        assert driver.bench.read_memory(0x1_0000 + 16 * place, 16) == raw
    bench.close()


@settings(max_examples=40, deadline=None)
@given(
    st.lists(st.one_of(st.integers(60, 6000), st.integers(-RING, -1)), max_size=40),
    st.sampled_from([256, 512, 1024, 2048, 4096]),
    st.booleans(),
)
def test_receiving(program: list[int], size: int, windowed: bool) -> None:
    """Frames of these lengths come; at a negative number the driver gives that many descriptors back."""
    bench = Bench(WindowedBenchMemory if windowed else FlatBenchMemory)
    driver = Driver(bench)
    driver.start_receiver(RING, control=EN | SECRC | BAM | LPE, size=size)
    head, free, taken = 0, RING - 1, 0
    for number, step in enumerate(program):
        if step < 0:
            back = min(-step, taken)
            taken -= back
            free += back
            driver.write(RDT, (driver.read(RDT) + back) % RING)
            continue
        packet = frame(bytes([number & 0xFF]) * (step - 14), to=MAC)
        needed = -(-len(packet) // size)
        fits = needed <= free or needed >= RING
        assert driver.line.give(packet) == fits
        if not fits or needed >= RING:
            continue
        got = b""
        for at in range(needed):
            found, status, *_ = driver.received((head + at) % RING)
            assert status & 1 and bool(status & 2) == (at == needed - 1)
            got += found
        assert got == packet
        head, free, taken = (head + needed) % RING, free - needed, taken + needed
        assert driver.read(RDH) == head
    bench.close()
