"""The DMA controllers, with a device on a channel."""

from __future__ import annotations

from typing import Any

import pytest
from southbridge.errors import RealizeError
from southbridge.testing import Bench
from southbridge.units import MiB

TO_MEMORY, FROM_MEMORY, VERIFY = 0x44, 0x48, 0x40
AUTOINITIALIZE, DESCENDING = 0x10, 0x20
PAGES = {0: 0x87, 1: 0x83, 2: 0x81, 3: 0x82, 5: 0x8B, 6: 0x89, 7: 0x8A}


class Line:
    """A device: gives `source`, keeps what it takes."""

    def __init__(self, source: bytes = b"", room: int = 1 << 20) -> None:
        self.source, self.room = source, room
        self.taken = b""
        self.moves: list[bool] = []

    def dma_give(self, length: int) -> bytes:
        data, self.source = self.source[:length], self.source[length:]
        return data

    def dma_take(self, data: bytes) -> int:
        data = data[: self.room]
        self.taken += data
        self.room -= len(data)
        return len(data)

    def dma_moved(self, last: bool) -> None:
        self.moves.append(last)


@pytest.fixture
def dma(bench: Bench) -> Any:
    return bench.plug("i8257", "dma")


def program(bench: Bench, channel: int, mode: int, address: int, units: int) -> None:
    """As the BIOS does."""
    base, step = (0x00, 1) if channel < 4 else (0xC0, 2)
    offset = address if channel < 4 else address >> 1
    for register, value in (
        *((0xA, 4 | channel & 3), (0xC, 0), (0xB, mode | channel & 3)),
        *((2 * (channel & 3), offset & 0xFF), (2 * (channel & 3), offset >> 8 & 0xFF)),
        *((2 * (channel & 3) + 1, (units - 1) & 0xFF), (2 * (channel & 3) + 1, (units - 1) >> 8)),
    ):
        bench.write_port(base + register * step, value)
    bench.write_port(PAGES[channel], address >> 16)
    bench.write_port(base + 0xA * step, channel & 3)


@pytest.mark.parametrize("channel", sorted(PAGES))
def test_to_and_from_memory(bench: Bench, dma: Any, channel: int) -> None:
    """Bytes on channels 0 to 3, words on 5 to 7."""
    unit = 1 if channel < 4 else 2
    line = Line(b"abcdefgh")
    dma.bus.attach(channel, line, "line")
    program(bench, channel, TO_MEMORY, 0x3_0010, 8 // unit)
    dma.bus.request(channel, True)
    assert bench.read_memory(0x3_0010, 9) == b"abcdefgh\0"
    assert line.moves == [True]
    dma.bus.request(channel, False)
    program(bench, channel, FROM_MEMORY, 0x3_0012, 4 // unit)
    dma.bus.request(channel, True)
    assert line.taken == b"cdef"


def test_status_masks_and_counts(bench: Bench, dma: Any) -> None:
    line = Line(b"12345678")
    dma.bus.attach(1, line, "line")
    dma.bus.request(1, True)
    assert bench.read_port(0x08) == 0x20
    program(bench, 1, TO_MEMORY, 0x1_2345, 12)
    assert [bench.read_port(0x02) for _ in range(2)] == [0x4D, 0x23]
    assert [bench.read_port(0x03) for _ in range(2)] == [3, 0]
    assert bench.read_port(0x08) == 0x20
    line.source = b"90ab"
    bench.write_port(0x0A, 1)
    assert line.moves == [False, True]
    assert (bench.read_port(0x08), bench.read_port(0x08)) == (0x22, 0x20)
    assert bench.read_port(0x0F) == 0xFF
    bench.write_port(0x0E, 0)
    assert bench.read_port(0x0F) == 0xF0


def test_a_disabled_controller_waits(bench: Bench, dma: Any) -> None:
    line = Line(b"x")
    dma.bus.attach(3, line, "line")
    bench.write_port(0x08, 4)
    program(bench, 3, TO_MEMORY, 0, 1)
    dma.bus.request(3, True)
    assert line.moves == []
    bench.write_port(0x08, 0)
    assert line.moves == [True]


def test_addresses_wrap_in_their_page(bench: Bench, dma: Any) -> None:
    dma.bus.attach(2, Line(b"abcd"), "line")
    program(bench, 2, TO_MEMORY, 0x5_FFFE, 4)
    dma.bus.request(2, True)
    assert bench.read_memory(0x5_FFFE, 2) + bench.read_memory(0x5_0000, 2) == b"abcd"
    assert bench.read_memory(0x6_0000, 2) == bytes(2)


def test_descending_addresses(bench: Bench, dma: Any) -> None:
    dma.bus.attach(2, Line(b"abc"), "line")
    program(bench, 2, TO_MEMORY | DESCENDING, 0x2_0001, 3)
    dma.bus.request(2, True)
    assert bench.read_memory(0x2_0000, 2) == b"ba"
    assert bench.read_memory(0x2_FFFF, 1) == b"c"


def test_autoinitialize(bench: Bench, dma: Any) -> None:
    """The channel goes on from its start, unmasked, for as long as the device asks."""
    line = Line(b"abcdef")
    dma.bus.attach(0, line, "line")
    program(bench, 0, TO_MEMORY | AUTOINITIALIZE, 0x2_0000, 4)
    dma.bus.request(0, True)
    assert bench.read_memory(0x2_0000, 4) == b"efcd"
    assert line.moves == [True, False]


def test_verify_moves_nothing(bench: Bench, dma: Any) -> None:
    line = Line(b"abc")
    dma.bus.attach(2, line, "line")
    program(bench, 2, VERIFY, 0x2_0000, 3)
    dma.bus.request(2, True)
    assert line.moves == [True]
    assert bench.read_memory(0x2_0000, 3) == bytes(3)


def test_master_clear_and_software_requests(bench: Bench, dma: Any) -> None:
    bench.write_port(0xD2, 6)
    assert bench.read_port(0xD0) == 0x40
    bench.write_port(0xDA, 0)
    assert bench.read_port(0xD0) == 0
    assert bench.read_port(0xDE) == 0xFF


def test_memory_that_is_not_there() -> None:
    """It reads as ones, and swallows what is written."""
    bench = Bench(memory=1 * MiB)
    dma = bench.plug("i8257", "dma")
    line = Line(b"abc")
    dma.bus.attach(2, line, "line")
    program(bench, 2, TO_MEMORY, 0xFF_0000, 3)
    dma.bus.request(2, True)
    assert line.moves == [True]
    program(bench, 2, FROM_MEMORY, 0xFF_0000, 3)
    dma.bus.request(2, True)
    assert line.taken == b"\xff\xff\xff"
    assert bench.guest_errors


def test_channels_that_cannot_be_had(dma: Any) -> None:
    dma.bus.attach(2, Line(), "one")
    with pytest.raises(RealizeError, match="two: DMA channel 2 is taken"):
        dma.bus.attach(2, Line(), "two")
    for channel in (4, 8, -1):
        with pytest.raises(RealizeError, match="there is no DMA channel"):
            dma.bus.attach(channel, Line(), "two")
