"""Drives a floppy disk controller in a test as an operating system does."""

from __future__ import annotations

from southbridge.testing import Bench
from southbridge.testing.ide import MemoryDisk

DOR, MSR, FIFO, LAST = 0x3F2, 0x3F4, 0x3F5, 0x3F7
RQM, DIO, NON_DMA, BUSY = 0x80, 0x40, 0x20, 0x10
BUFFER = 0x2_0000
FROM_MEMORY, TO_MEMORY = 0x4A, 0x46
"""8237A modes of channel 2: single transfers, from and to memory."""


class Controller:
    """The controller with a disk of `size` bytes, if any, in drive A, and its DMA channel."""

    def __init__(self, bench: Bench, disk: MemoryDisk | None, *, rate: int = 0, **properties: object) -> None:
        self.bench = bench
        bench.plug("i8257", "dma")
        self.fdc = bench.plug("fdc", "fdc")
        self.drive = bench.plug("floppy", "a", drive=disk, **properties)
        bench.write_port(LAST, rate)

    def status(self) -> int:
        """MSR."""
        return self.bench.read_port(MSR)

    def send(self, *command: int) -> None:
        """The bytes of a command."""
        for value in command:
            assert self.status() & (RQM | DIO) == RQM
            self.bench.write_port(FIFO, value)

    def result(self) -> list[int]:
        """The result, to its end."""
        found = []
        while self.status() & (RQM | DIO | BUSY) == RQM | DIO | BUSY:
            found.append(self.bench.read_port(FIFO))
        return found

    def ask(self, *command: int) -> list[int]:
        """A command and its result."""
        self.send(*command)
        return self.result()

    def seek(self, track: int) -> list[int]:
        """SEEK, and SENSE INTERRUPT STATUS."""
        self.send(0x0F, 0, track)
        assert self.bench.irq(6)
        return self.ask(0x08)

    def program_dma(self, mode: int, length: int, address: int = BUFFER) -> None:
        """Channel 2 for `length` bytes."""
        write = self.bench.write_port
        for port, value in (
            *((0x0A, 6), (0x0C, 0), (0x0B, mode), (0x04, address & 0xFF), (0x04, address >> 8 & 0xFF)),
            *((0x81, address >> 16), (0x05, (length - 1) & 0xFF), (0x05, (length - 1) >> 8), (0x0A, 2)),
        ):
            write(port, value)

    def read(
        self, code: int, track: int, head: int, sector: int, length: int, last: int = 18
    ) -> tuple[list[int], bytes]:
        """A command that reads by DMA: its result, and what came."""
        self.bench.write_memory(BUFFER, bytes(length))
        self.program_dma(TO_MEMORY, length)
        result = self.ask(code, head << 2, track, head, sector, 2, last, 0x1B, 0xFF)
        return result, self.bench.read_memory(BUFFER, length)

    def write(self, code: int, track: int, head: int, sector: int, data: bytes, last: int = 18) -> list[int]:
        """A command that takes data by DMA; its result."""
        self.bench.write_memory(BUFFER, data)
        self.program_dma(FROM_MEMORY, len(data))
        return self.ask(code, head << 2, track, head, sector, 2, last, 0x1B, 1)
