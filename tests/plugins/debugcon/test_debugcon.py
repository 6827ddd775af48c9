"""The debug console."""

from __future__ import annotations

import asyncio
import threading

import pytest
from southbridge import SouthbridgeError
from southbridge.chardev import CharBackend
from southbridge.testing import Bench


class Output(CharBackend):
    """Takes as many bytes as it has room for."""

    def __init__(self, room: int = 1 << 20) -> None:
        super().__init__()
        self.room = room
        self.taken = bytearray()

    def open(self) -> None:
        pass

    def start(self, loop: asyncio.AbstractEventLoop, lock: threading.RLock) -> None:
        pass

    def write(self, data: bytes) -> int:
        taken = data[: self.room]
        self.room -= len(taken)
        self.taken += taken
        return len(taken)

    def accept_input(self) -> None:
        pass

    def close(self) -> None:
        pass


def test_bytes_go_to_the_back_end(bench: Bench) -> None:
    output = Output()
    bench.plug("debugcon", chardev=output)
    for byte in b"SeaBIOS\n\x00\xff":
        bench.write_port(0x402, byte)
    assert output.taken == b"SeaBIOS\n\x00\xff"


def test_reading_finds_the_port(bench: Bench) -> None:
    bench.plug("debugcon", chardev=Output())
    assert bench.read_port(0x402) == 0xE9


def test_the_port_can_be_chosen(bench: Bench) -> None:
    output = Output()
    bench.plug("debugcon", chardev=output, iobase=0xE9)
    bench.write_port(0xE9, 0x21)
    assert output.taken == b"!"
    assert bench.read_port(0x402) == 0xFF


def test_only_the_low_byte_of_a_wide_write_is_output(bench: Bench) -> None:
    output = Output()
    bench.plug("debugcon", chardev=output)
    bench.write_port(0x402, 0x44434241, 4)
    assert output.taken == b"A"


def test_a_full_back_end_loses_bytes_and_holds_nobody_up(bench: Bench) -> None:
    output = Output(room=3)
    bench.plug("debugcon", chardev=output)
    for byte in b"abcdef":
        bench.write_port(0x402, byte)
    output.room = 1
    bench.write_port(0x402, 0x67)
    assert output.taken == b"abcg"


@pytest.mark.parametrize("iobase", [-1, 0x10000])
def test_a_wrong_port_is_named(bench: Bench, iobase: int) -> None:
    with pytest.raises(SouthbridgeError, match="iobase"):
        bench.plug("debugcon", chardev=Output(), iobase=iobase)


def test_a_back_end_must_be_named(bench: Bench) -> None:
    with pytest.raises(SouthbridgeError, match="chardev"):
        bench.plug("debugcon")
