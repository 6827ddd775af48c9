"""A hard disk on an IDE cable (ATA/ATAPI-6, T13 1410D, chapter 8; CHS as in ATA/ATAPI-5)."""

from __future__ import annotations

import errno
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, ClassVar

from southbridge.block import SECTOR, BlockBackend, BlockError, BlockQueue
from southbridge.component import State
from southbridge.errors import RealizeError
from southbridge.firmware_config import Geometry
from southbridge.hookspecs import hookimpl
from southbridge.properties import Link, Property

from . import geometry, smart
from .drive import ABRT, BSY, CHUNK, DF, DRDY, DSC, IDNF, UNC, Drive
from .identify import MOST_MULTIPLE, disk_words, supported_mode

LBA = 0x40
"""In the device register: the address isn't cylinder, head and sector."""
LEAST_CYLINDERS = 2
"""Of a disk as a BIOS is told of it: the last one was for diagnosis."""
LARGEST_28 = (1 << 28) - 1
"""Sectors that 28 bits of address are told of."""

SMART_KEY = (0x4F, 0xC2)
"""LBA mid and high of every SMART command."""
SMART_ENABLE = 0xD8
STANDBY, IDLE, ACTIVE = 0x00, 0x80, 0xFF
"""CHECK POWER MODE's answers."""


class IdeDisk(Drive):
    """An ATA hard disk: CHS, 28- and 48-bit addresses, PIO, multiple and DMA transfers, SMART, power modes."""

    replaced: bool = State(False, doc="The guest reaches the image by other means: the drive is off the cable.")

    signature: ClassVar[tuple[int, int]] = (0x00, 0x00)
    ready: ClassVar[int] = DRDY | DSC

    # --- a guest that needs no emulation -------------------------------------------------------------------------

    @hookimpl
    def emulation_replaced(self, kind: str) -> None:
        """Leaves the cable."""
        first = self.bus.number == 0 and self.number == 0
        if (kind == "disks" or (kind == "other-disks" and not first)) and not self.replaced:
            self.replaced = True
            self._ticket += 1
            self.bus.detach(self)

    def reset(self) -> None:
        """RESET-, or power. A drive that was replaced is back."""
        self._attach_unless(False)
        super().reset()

    def loaded(self) -> None:
        """Goes on where the saved drive was, on the cable or off."""
        self._attach_unless(self.replaced)
        super().loaded()

    def _attach_unless(self, replaced: bool) -> None:
        attached = self.bus.drives[self.number] is self
        if attached and replaced:
            self.bus.detach(self)
        elif not attached and not replaced and not self.broken:
            self.bus.attach(self, self.number, self.id)

    drive: BlockBackend = Link("blockdevs", doc="The disk's contents.")
    model: str = Property("SOUTHBRIDGE HARDDISK", max_length=40, pattern="^[ -~]*$", doc="Model name.")

    lcyls: int | None = Property(None, ge=1, le=65535, doc="Cylinders, heads and sectors that a BIOS is to use...")
    lheads: int | None = Property(None, ge=1, le=255, doc="...all three,")
    lsecs: int | None = Property(None, ge=1, le=255, doc="...or none: then it chooses itself.")

    heads: int = State(geometry.DEFAULT_HEADS, ge=1, le=16, doc="Of the translation in use.")
    sectors: int = State(geometry.DEFAULT_SECTORS, ge=1, le=255, doc="Of a track, likewise.")
    multiple: int = State(MOST_MULTIPLE, ge=0, le=MOST_MULTIPLE, doc="Sectors of a READ MULTIPLE's block; 0: refused.")
    transfer_mode: int = State(0x22, ge=0, le=0xFF, doc="As SET FEATURES took it; multiword DMA 2 at first.")
    write_cache: bool = State(True, doc="A write is done before it is durable.")
    read_ahead: bool = State(True)
    keeps_settings: bool = State(False, doc="A software reset leaves what SET FEATURES and SET MULTIPLE MODE did.")
    power_mode: int = State(ACTIVE, ge=0, le=0xFF, doc="As CHECK POWER MODE answers.")
    smart_enabled: bool = State(True, keep=True)
    smart_autosave: bool = State(True, keep=True)
    smart_offline: int = State(0, keep=True, ge=0, le=0xFF, doc="Status of the last off-line data collection.")

    def realize(self) -> None:
        """Opens a queue to the image. Raises RealizeError if it is too large for 48-bit addresses."""
        self.total = self.drive.size // SECTOR
        if not 0 < self.total < 1 << 48:
            raise RealizeError(f"{self.id}: {self.drive.name}: {self.drive.size} bytes are no disk's size")
        self.queue = BlockQueue(self.drive, self.machine.executor, self.machine.lock)
        super().realize()
        self._tell_firmware()

    def _tell_firmware(self) -> None:
        config = self.machine.firmware_config
        heads, sectors = geometry.DEFAULT_HEADS, geometry.DEFAULT_SECTORS
        cylinders = max(geometry.cylinders(self.total, heads, sectors), LEAST_CYLINDERS)
        config.disks[2 * self.bus.number + self.number] = Geometry(cylinders, heads, sectors)
        chosen = (self.lcyls, self.lheads, self.lsecs)
        numbers = [number for number in chosen if number is not None]
        if len(numbers) == len(chosen):
            config.geometries[f"{self.bus.firmware_path}/disk@{self.number}"] = Geometry(*numbers)
        elif numbers:
            raise RealizeError(f"{self.id}: expected all of lcyls, lheads and lsecs, or none")

    def software_reset(self) -> None:
        """See Drive."""
        self.power_mode = ACTIVE
        if not self.keeps_settings:
            self.multiple = MOST_MULTIPLE
            self.write_cache = self.read_ahead = True

    def resume(self) -> bool:
        """See Drive."""
        if self.phase == "store":
            self._store()
        elif self.phase == "flush":
            self.flush()
        else:
            return super().resume()
        return True

    # --- addresses -----------------------------------------------------------------------------------------------

    def _count(self, extended: bool) -> int:
        if extended:
            return self.sector_count or 0x1_0000
        return self.sector_count & 0xFF or 0x100

    def _address(self, extended: bool) -> int | None:
        """The sector that the registers name, or None if there is no such place."""
        low, mid, high = (pair & 0xFF for pair in (self.lba_low, self.lba_mid, self.lba_high))
        if extended:
            before = [pair >> 8 for pair in (self.lba_low, self.lba_mid, self.lba_high)]
            return int.from_bytes(bytes([low, mid, high, *before]), "little")
        if self.device_register & LBA:
            return low | mid << 8 | high << 16 | (self.device_register & 0xF) << 24
        return geometry.to_lba(mid | high << 8, self.device_register & 0xF, low, self.heads, self.sectors)

    def _put_address(self, sector: int, extended: bool) -> None:
        """Names `sector` in the registers, the way that the command did."""
        if extended:
            parts = sector.to_bytes(6, "little")
            self.lba_low, self.lba_mid, self.lba_high = (parts[i + 3] << 8 | parts[i] for i in range(3))
            return
        head = sector >> 24
        if not self.device_register & LBA:
            cylinder, head, low = geometry.from_lba(sector, self.heads, self.sectors)
            sector = low | cylinder << 8
        self.lba_low, self.lba_mid, self.lba_high = sector & 0xFF, sector >> 8 & 0xFF, sector >> 16 & 0xFF
        self.device_register = self.device_register & 0xF0 | head & 0xF

    def _range(self, extended: bool) -> tuple[int, int] | None:
        """Offset and length, in bytes, of what a command is about; None, if it isn't there: the command has failed."""
        first, count = self._address(extended), self._count(extended)
        if first is None or first + count > self.total:
            if first is not None:
                self._put_address(max(first, self.total), extended)
            self.fail(IDNF)
            return None
        return first * SECTOR, count * SECTOR

    # --- reading -------------------------------------------------------------------------------------------------

    def _read(self, *, extended: bool = False, dma: bool = False, multiple: bool = False) -> None:
        if multiple and not self.multiple:
            self.abort()
            return
        found = self._range(extended)
        if found:
            self.by_dma = dma
            self.start_input(*found, block=SECTOR * self.multiple if multiple else SECTOR)

    def _verify(self, *, extended: bool = False) -> None:
        found = self._range(extended)
        if found:
            self.offset, self.left = found
            self.block, self.limit = SECTOR, CHUNK
            self.fetch(verify=True)

    @property
    def smallest_chunk(self) -> int:
        """See Drive."""
        return SECTOR if self.by_dma else self.block

    def input_done(self) -> None:
        """See Drive: after the last block that went through the data register no interrupt comes."""
        if self.by_dma or self.phase == "verify":
            self.complete()
        else:
            self.rest()

    def read_failed(self, error: BlockError) -> None:
        """See Drive."""
        self._put_address(self.offset // SECTOR, self.opcode in EXTENDED)
        self.fail(UNC)

    # --- writing -------------------------------------------------------------------------------------------------

    def _write(self, *, extended: bool = False, dma: bool = False, multiple: bool = False) -> None:
        if (multiple and not self.multiple) or not self.drive.writable:
            self.abort()
            return
        found = self._range(extended)
        if found:
            self.by_dma = dma
            self.offset, length = found
            self.start_output(length, block=SECTOR * self.multiple if multiple else SECTOR)

    def output_done(self) -> None:
        """See Drive."""
        self._store()

    def _store(self) -> None:
        assert self.queue is not None
        self.phase = "store"
        self.status = DRDY | DSC | BSY
        data = self.buffer.contents()
        self.queue.write(self.offset, data, partial(self._stored, self._ticket, len(data)))

    def _stored(self, ticket: int, length: int, data: bytes | None, error: BlockError | None) -> None:
        if ticket != self._ticket:
            return
        if error is not None:
            action = self.failed("write", error)
            if action == "report":
                self._write_failed(error)
            if action != "ignore":
                return
        self.offset += length
        self.left = max(self.left - length, 0)
        if self.left:
            self.take(min(self.left, CHUNK))
        elif self.write_cache:
            self.complete()
        else:
            self.flush()

    def _write_failed(self, error: BlockError) -> None:
        self._put_address(self.offset // SECTOR, self.opcode in EXTENDED)
        self.fail(ABRT, 0 if error.errno == errno.EROFS else DF)

    def flush(self) -> None:
        """FLUSH CACHE."""
        assert self.queue is not None
        self.phase = "flush"
        self.status = DRDY | DSC | BSY
        self.queue.flush(partial(self._flushed, self._ticket))

    def _flushed(self, ticket: int, data: bytes | None, error: BlockError | None) -> None:
        if ticket != self._ticket:
            return
        action = self.failed("write", error) if error is not None else "ignore"
        if action == "report":
            self.fail(ABRT, DF)
        elif action == "ignore":
            self.complete()

    # --- the others ----------------------------------------------------------------------------------------------

    def _identify(self) -> None:
        self.reply(disk_words(self))

    def _nothing(self) -> None:
        self.complete()

    def _seek(self) -> None:
        address = self._address(extended=False)
        if address is None or address >= self.total:
            self.fail(IDNF)
        else:
            self.complete()

    def _initialize_parameters(self) -> None:
        if not self.sector_count & 0xFF:
            self.abort()
            return
        self.heads = (self.device_register & 0xF) + 1
        self.sectors = self.sector_count & 0xFF
        self.complete()

    def _set_multiple(self) -> None:
        count = self.sector_count & 0xFF
        if count > MOST_MULTIPLE or count & (count - 1):
            self.multiple = 0
            self.abort()
            return
        self.multiple = count
        self.complete()

    def _native_max(self, *, extended: bool = False) -> None:
        last = self.total - 1
        if extended:
            self._put_address(last, extended)
        else:
            self.device_register |= LBA
            self._put_address(min(last, LARGEST_28), extended)
        self.complete()

    def _set_features(self) -> None:
        subcommand, value = self.features & 0xFF, self.sector_count & 0xFF
        if subcommand == 0x03:
            if not supported_mode(value):
                self.abort()
                return
            if value >= 0x20:
                self.transfer_mode = value
        elif subcommand in (0x02, 0x82):
            self.write_cache = subcommand == 0x02
            if not self.write_cache:
                self.flush()
                return
        elif subcommand in (0xAA, 0x55):
            self.read_ahead = subcommand == 0xAA
        elif subcommand in (0x66, 0xCC):
            self.keeps_settings = subcommand == 0x66
        else:
            self.abort()
            return
        self.complete()

    def _power(self, mode: int) -> None:
        self.power_mode = mode
        self.complete()

    def _check_power(self) -> None:
        self.sector_count = self.power_mode
        self.complete()

    def _sleep(self) -> None:
        self.power_mode = STANDBY
        self.complete()
        self.sleeping = True

    def _smart(self) -> None:
        subcommand = self.features & 0xFF
        handler = SMART.get(subcommand)
        allowed = self.smart_enabled or subcommand == SMART_ENABLE
        if handler is None or not allowed or (self.lba_mid & 0xFF, self.lba_high & 0xFF) != SMART_KEY:
            self.abort()
        else:
            handler(self)

    def _smart_enable(self, enabled: bool) -> None:
        self.smart_enabled = enabled
        self.complete()

    def _smart_autosave(self) -> None:
        self.smart_autosave = self.sector_count & 0xFF == 0xF1
        self.complete()

    def _smart_offline(self) -> None:
        """A collection or self-test, which this disk passes at once."""
        if self.lba_low & 0xFF not in (0x00, 0x01, 0x02, 0x7F, 0x81, 0x82):
            self.abort()
            return
        self.smart_offline = 0x02
        self.complete()

    def _smart_log(self) -> None:
        data = smart.log(self.lba_low & 0xFF)
        if data is None or self.sector_count & 0xFF != 1:
            self.abort()
        else:
            self.reply(data)

    def _smart_status(self) -> None:
        self.lba_mid, self.lba_high = SMART_KEY
        self.complete()

    commands: ClassVar[Mapping[int, Callable[[Any], None]]] = {
        0x10: _nothing,  # RECALIBRATE
        0x20: _read,
        0x21: _read,
        0x24: partial(_read, extended=True),
        0x25: partial(_read, extended=True, dma=True),
        0x27: partial(_native_max, extended=True),
        0x29: partial(_read, extended=True, multiple=True),
        0x30: _write,
        0x31: _write,
        0x34: partial(_write, extended=True),
        0x35: partial(_write, extended=True, dma=True),
        0x39: partial(_write, extended=True, multiple=True),
        0x40: _verify,
        0x41: _verify,
        0x42: partial(_verify, extended=True),
        0x70: _seek,
        0x91: _initialize_parameters,
        0x94: partial(_power, mode=STANDBY),
        0x95: partial(_power, mode=IDLE),
        0x96: partial(_power, mode=STANDBY),
        0x97: partial(_power, mode=IDLE),
        0x98: _check_power,
        0x99: _sleep,
        0xB0: _smart,
        0xC4: partial(_read, multiple=True),
        0xC5: partial(_write, multiple=True),
        0xC6: _set_multiple,
        0xC8: partial(_read, dma=True),
        0xC9: partial(_read, dma=True),
        0xCA: partial(_write, dma=True),
        0xCB: partial(_write, dma=True),
        0xE0: partial(_power, mode=STANDBY),
        0xE1: partial(_power, mode=IDLE),
        0xE2: partial(_power, mode=STANDBY),
        0xE3: partial(_power, mode=IDLE),
        0xE5: _check_power,
        0xE6: _sleep,
        0xE7: flush,
        0xEA: flush,
        0xEC: _identify,
        0xEF: _set_features,
        0xF8: _native_max,
    }


SMART: Mapping[int, Callable[[IdeDisk], None]] = {
    0xD0: lambda disk: disk.reply(smart.attribute_data(0, disk.smart_offline)),
    0xD1: lambda disk: disk.reply(smart.thresholds()),
    0xD2: IdeDisk._smart_autosave,
    0xD4: IdeDisk._smart_offline,
    0xD5: IdeDisk._smart_log,
    SMART_ENABLE: partial(IdeDisk._smart_enable, enabled=True),
    0xD9: partial(IdeDisk._smart_enable, enabled=False),
    0xDA: IdeDisk._smart_status,
}
EXTENDED = (0x24, 0x25, 0x29, 0x34, 0x35, 0x39, 0x42)
"""The commands with 48-bit addresses."""
