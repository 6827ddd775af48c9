"""What a packet costs the e1000 card, in this process: no guest, and a network that takes and gives at once."""

from __future__ import annotations

import struct
import time
from typing import Any

from southbridge import MiB
from southbridge.memory.guest import FlatGuestMemory
from southbridge.net import NetworkPort
from southbridge.testing import Bench
from southbridge.testing.network import NetworkLine

BAR = 0xE000_0000
RING, BUFFERS, BUFFER_SIZE = 0x10_0000, 0x20_0000, 2048
DESCRIPTORS = 256
PACKETS = 64_000
TDBAL, TDLEN, TDT, TCTL = 0x3800, 0x3808, 0x3818, 0x0400
RDBAL, RDLEN, RDT, RCTL = 0x2800, 0x2808, 0x2818, 0x0100
EOP_IFCS_RS = 0x0B
ENABLE = 2
LARGE, SMALL = 1514, 60


class _Nobody(NetworkLine):
    """Drops what comes, as the network `null` does."""

    def __init__(self) -> None:
        super().__init__()
        self.port = NetworkPort(lambda frame, offload: True, receive_batch=lambda frames, offload: len(frames))


def costs() -> dict[str, float]:
    """Microseconds a packet, by name; processor time, as the host may be busy."""
    return {
        f"packet of {LARGE} bytes sent, a doorbell each": transmit(LARGE, 1),
        f"packet of {LARGE} bytes sent, a doorbell per 64": transmit(LARGE, 64),
        f"packet of {LARGE} bytes sent, a doorbell per 128": transmit(LARGE, 128),
        f"packet of {SMALL} bytes sent, a doorbell per 128": transmit(SMALL, 128),
        f"packet of {LARGE} bytes received, one by one": receive(LARGE, 1),
        f"packet of {LARGE} bytes received, 64 at once": receive(LARGE, 64),
    }


def transmit(length: int, each: int) -> float:
    """A ring of plain packets, and a write to TDT for each so many."""
    bench, _, write = _card(_Nobody())
    for index in range(DESCRIPTORS):
        descriptor = struct.pack("<QII", BUFFERS + BUFFER_SIZE * index, length | EOP_IFCS_RS << 24, 0)
        bench.write_memory(RING + 16 * index, descriptor)
    for register, value in ((TDBAL, RING), (TDLEN, 16 * DESCRIPTORS), (TCTL, ENABLE)):
        write(register, value)
    space, tail = bench.machine.memory, 0
    start = time.thread_time()
    for _ in range(PACKETS // each):
        tail = (tail + each) % DESCRIPTORS
        space.write(BAR + TDT, 4, tail)
    return (time.thread_time() - start) / PACKETS * 1e6


def receive(length: int, each: int) -> float:
    """So many frames come at once, and the driver gives their descriptors back."""
    line = _Nobody()
    bench, card, write = _card(line)
    for index in range(DESCRIPTORS):
        bench.write_memory(RING + 16 * index, struct.pack("<QQ", BUFFERS + BUFFER_SIZE * index, 0))
    for register, value in ((RDBAL, RING), (RDLEN, 16 * DESCRIPTORS), (RDT, DESCRIPTORS - 1), (RCTL, ENABLE)):
        write(register, value)
    frames = [card.mac_address + bytes(length - 6)] * each
    space, tail, taken = bench.machine.memory, DESCRIPTORS - 1, 0
    start = time.thread_time()
    for _ in range(PACKETS // each):
        taken += line.port.send_batch(frames)
        tail = (tail + each) % DESCRIPTORS
        space.write(BAR + RDT, 4, tail)
    spent = time.thread_time() - start
    assert taken == PACKETS // each * each
    return spent / taken * 1e6


def _card(line: NetworkLine) -> tuple[Bench, Any, Any]:
    bench = Bench(FlatGuestMemory, 16 * MiB)
    card = bench.plug("e1000", netdev=line)
    bench.place(card, "bar0", BAR)
    bench.clock.advance(ms=600)
    return bench, card, lambda register, value: bench.write_mmio(BAR + register, value)
