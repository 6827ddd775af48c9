"""Drives IDE channels in a test as an operating system does, through ports and memory; and a disk of plain bytes."""

from __future__ import annotations

import errno
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from ..block import BlockBackend, BlockError
from ..pci import PciDevice
from .bench import Bench

ERR, DRQ, DSC, DF, DRDY, BSY = 0x01, 0x08, 0x10, 0x20, 0x40, 0x80
"""Bits of the status register."""
LBA = 0x40
"""Of the device register."""
SRST, NIEN, HOB = 0x04, 0x02, 0x80
"""Of the device control register."""
LAST = 0x8000_0000
"""Marks a table's last descriptor."""

BUS_MASTER = 0xC000
TABLE = 0x1000
PATIENCE = 100


class MemoryDisk(BlockBackend):
    """A disk of `size` zero bytes, or of `data`; `bad` bytes can be neither read nor written."""

    def __init__(self, data: bytes, *, writable: bool = True) -> None:
        super().__init__()
        self.data = bytearray(data)
        self.bad: set[int] = set()
        self.flushes = 0
        self.name = "memory"
        self.size = len(data)
        self.writable = writable

    def open(self) -> None:
        """Nothing to open."""

    def read(self, offset: int, length: int) -> bytes:
        """See BlockBackend."""
        self._check(offset, length)
        return bytes(self.data[offset : offset + length])

    def write(self, offset: int, data: bytes) -> None:
        """See BlockBackend."""
        self._check(offset, len(data))
        self.data[offset : offset + len(data)] = data

    def flush(self) -> None:
        """See BlockBackend."""
        self.flushes += 1

    def close(self) -> None:
        """Nothing to close."""

    def _check(self, offset: int, length: int) -> None:
        if any(offset <= place < offset + length for place in self.bad):
            raise BlockError(errno.EIO)


@dataclass(frozen=True)
class TaskFile:
    """The command block after a command. 48-bit commands: what `HOB` shows is above bit 7 of each."""

    status: int
    error: int
    sector_count: int
    lba_low: int
    lba_mid: int
    lba_high: int
    device: int

    @property
    def lba28(self) -> int:
        """The address of a 28-bit command."""
        parts = (self.lba_low, self.lba_mid, self.lba_high, self.device & 0xF)
        return sum((part & 0xFF) << 8 * place for place, part in enumerate(parts))

    @property
    def lba48(self) -> int:
        """The address of a 48-bit command."""
        parts = (self.lba_low, self.lba_mid, self.lba_high)
        low = sum((part & 0xFF) << 8 * place for place, part in enumerate(parts))
        return low | sum((part >> 8) << 24 + 8 * place for place, part in enumerate(parts))


class IdeDriver:
    """One channel of `adapter`, a PCI IDE function, which it configures: 0 primary, 1 secondary."""

    def __init__(self, bench: Bench, adapter: PciDevice, channel: int = 0) -> None:
        self.bench = bench
        self.adapter = adapter
        self.base, self.control, self.irq = ((0x1F0, 0x3F6, 14), (0x170, 0x376, 15))[channel]
        self.master = BUS_MASTER + 8 * channel
        for register in (0x40, 0x42):
            bench.config_write(adapter, register, 2, 0x8000)
        bench.place(adapter, "bar4", BUS_MASTER)

    # --- registers -----------------------------------------------------------------------------------------------

    def read(self, register: int) -> int:
        """A register of the command block."""
        return self.bench.read_port(self.base + register)

    def write(self, register: int, value: int) -> None:
        """A register of the command block."""
        self.bench.write_port(self.base + register, value)

    def status(self) -> int:
        """Alternate status."""
        return self.bench.read_port(self.control)

    def set_control(self, value: int) -> None:
        """Device control."""
        self.bench.write_port(self.control, value)

    def wait(self) -> int:
        """Alternate status, once the drive isn't busy."""
        for _ in range(PATIENCE):
            status = self.status()
            if not status & BSY:
                return status
        raise AssertionError("the drive stays busy")

    def task_file(self) -> TaskFile:
        """All registers; reading status lets go of the interrupt."""
        self.set_control(0)
        low = [self.read(register) for register in (2, 3, 4, 5)]
        self.set_control(HOB)
        high = [self.read(register) for register in (2, 3, 4, 5)]
        self.set_control(0)
        count, lba_low, lba_mid, lba_high = (before << 8 | now for before, now in zip(high, low, strict=True))
        return TaskFile(self.read(7), self.read(1), count, lba_low, lba_mid, lba_high, self.read(6))

    def reset(self) -> None:
        """A software reset."""
        self.set_control(SRST)
        self.set_control(0)
        self.wait()

    # --- commands ------------------------------------------------------------------------------------------------

    def issue(
        self, command: int, lba: int = 0, count: int = 0, *, features: int = 0, unit: int = 0, extended: bool = False
    ) -> None:
        """Writes the registers and the command, with a linear address."""
        device = LBA | unit << 4
        if extended:
            self.write(6, device)
            for register, value in ((1, features), (2, count), (3, lba >> 16), (4, lba >> 24), (5, lba >> 32)):
                self.write(register, value >> 8 & 0xFF)
        else:
            self.write(6, device | lba >> 24 & 0xF)
        for register, value in ((1, features), (2, count), (3, lba), (4, lba >> 8), (5, lba >> 16)):
            self.write(register, value & 0xFF)
        self.write(7, command)

    def issue_chs(self, command: int, cylinder: int, head: int, sector: int, count: int = 1, unit: int = 0) -> None:
        """The same with cylinder, head and sector."""
        self.write(6, unit << 4 | head)
        for register, value in ((2, count), (3, sector), (4, cylinder & 0xFF), (5, cylinder >> 8)):
            self.write(register, value & 0xFF)
        self.write(7, command)

    def run(self, command: int, lba: int = 0, count: int = 0, **keywords: int) -> TaskFile:
        """A command without data."""
        self.issue(command, lba, count, **keywords)  # type: ignore[arg-type]
        self.wait()
        return self.task_file()

    def read_block(self, length: int = 512, width: int = 2) -> bytes:
        """Reads `length` bytes from the data register."""
        return b"".join(
            self.bench.read_port(self.base, width).to_bytes(width, "little") for _ in range(-(-length // width))
        )

    def write_block(self, data: bytes, width: int = 2) -> None:
        """Writes `data` to the data register."""
        for at in range(0, len(data), width):
            self.bench.write_port(self.base, int.from_bytes(data[at : at + width], "little"), width)

    def read_all(self, block: int = 512, width: int = 2) -> bytes:
        """Reads blocks for as long as the drive has them."""
        data = bytearray()
        while self.wait() & (DRQ | ERR) == DRQ:
            self.read(7)
            data += self.read_block(block, width)
        return bytes(data)

    def write_all(self, data: bytes, block: int = 512, width: int = 2) -> None:
        """Writes blocks for as long as the drive takes them, all of `data` at most."""
        for at in range(0, len(data), block):
            if self.wait() & (DRQ | ERR) != DRQ:
                return
            self.read(7)
            self.write_block(data[at : at + block], width)
        self.wait()

    # --- packets -------------------------------------------------------------------------------------------------

    def send_packet(self, packet: Sequence[int], *, limit: int = 0xFFFE, dma: bool = False, unit: int = 0) -> None:
        """PACKET, and the packet."""
        self.issue(0xA0, limit << 8, features=int(dma), unit=unit)
        assert self.wait() & (DRQ | ERR) == DRQ
        self.write_block(bytes(packet).ljust(12, b"\0"))

    def packet(self, packet: Sequence[int], *, limit: int = 0xFFFE, unit: int = 0) -> bytes:
        """Sends a packet and reads all of the answer by PIO, in the blocks that the drive announces."""
        self.send_packet(packet, limit=limit, unit=unit)
        data = bytearray()
        while self.wait() & (DRQ | ERR) == DRQ:
            self.read(7)
            length = self.read(4) | self.read(5) << 8
            data += self.read_block(length)[:length]
        return bytes(data)

    # --- DMA -----------------------------------------------------------------------------------------------------

    def write_table(self, descriptors: Iterable[tuple[int, int]], table: int = TABLE) -> None:
        """Puts a table of (address, length and flags) into memory and tells the bus master."""
        data = b"".join(
            address.to_bytes(4, "little") + control.to_bytes(4, "little") for address, control in descriptors
        )
        self.bench.write_memory(table, data)
        self.bench.write_port(self.master + 4, table, 4)

    def start(self, to_memory: bool) -> None:
        """Starts the bus master."""
        self.bench.write_port(self.master + 2, 0x06)
        self.bench.write_port(self.master, to_memory << 3)
        self.bench.write_port(self.master, to_memory << 3 | 1)

    def stop(self) -> int:
        """Stops the bus master; gives its status from before."""
        status = self.bench.read_port(self.master + 2)
        self.bench.write_port(self.master, 0)
        return status
