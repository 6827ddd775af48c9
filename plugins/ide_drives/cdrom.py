"""A CD-ROM drive on an IDE cable: the ATAPI side (ATA/ATAPI-6, sections 8.23, 9.8 and 9.10). Packets: `packets`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, ClassVar

from southbridge.block import BlockBackend, BlockError, BlockQueue
from southbridge.component import State
from southbridge.ide import SRST
from southbridge.properties import Link, Property

from . import mmc, packets
from .drive import CHUNK, Drive
from .identify import packet_words, supported_mode

DEVICE_RESET, PACKET = 0x08, 0xA0
PACKET_BYTES = 12
COMMAND, TO_HOST = 0x01, 0x02
"""Interrupt reason, in the sector count: CoD and IO."""
DMA_FEATURE = 0x01
CHECK_POWER_ACTIVE = 0xFF


class IdeCdrom(Drive):
    """An ATAPI CD-ROM drive with a tray."""

    signature: ClassVar[tuple[int, int]] = (0x14, 0xEB)
    ready: ClassVar[int] = 0

    drive: BlockBackend | None = Link("blockdevs", None, doc="The disc, if there is one at first.")
    model: str = Property("SBRIDGE CD-ROM", max_length=40, pattern="^[ -~]*$", doc="Vendor and product.")

    transfer_mode: int = State(0x22, ge=0, le=0xFF, doc="As SET FEATURES took it; multiword DMA 2 at first.")
    byte_limit: int = State(0, ge=0, le=0xFFFF, doc="What the host will take as one block.")
    raw: bool = State(False, doc="The host gets whole blocks of 2352 bytes.")
    sense: int = State(0, ge=0, le=0xF_FFFF, doc="Sense key, code (8 bits) and qualifier (8 bits) of the last command.")
    attention: int = State(0, ge=0, le=0xFFFF, doc="Sense code and qualifier of a unit attention to report, or 0.")
    event: int = State(0, ge=0, le=3, keep=True, doc="Media event to report, or 0.")
    tray_open: bool = State(False, keep=True)
    locked: bool = State(False)

    def realize(self) -> None:
        """Takes the disc in."""
        self._insert(self.drive)
        super().realize()

    def reset(self) -> None:
        """See Drive; the host is told of the reset."""
        super().reset()
        self.attention = packets.RESET_OCCURRED

    # --- the disc ------------------------------------------------------------------------------------------------

    @property
    def blocks(self) -> int | None:
        """How many blocks the disc has, or None while there is none or the tray is open."""
        if self.queue is None or self.tray_open:
            return None
        return self.queue.backend.size // mmc.BLOCK

    def change_medium(self, backend: BlockBackend | None) -> None:
        """Somebody puts a disc in, or takes it out, whatever the guest has locked. Call it with the machine lock held.

        The caller opens the new image and closes the old one.
        """
        interrupted = self.phase == "fetch" or self.left > 0
        if interrupted:
            self._stop()
        self._insert(backend)
        self.tray_open = False
        if backend is None:
            self.event = packets.MEDIA_REMOVAL
        else:
            self.event = packets.NEW_MEDIA
            self.attention = packets.MEDIUM_CHANGED
        if interrupted:
            self.check(packets.NO_MEDIUM)

    def move_tray(self, opened: bool) -> None:
        """Opens or closes the tray, as the host asked."""
        if opened != self.tray_open:
            self.tray_open = opened
            self.event = packets.MEDIA_REMOVAL if opened else packets.NEW_MEDIA
            if not opened and self.queue is not None:
                self.attention = packets.MEDIUM_CHANGED

    def _insert(self, backend: BlockBackend | None) -> None:
        self.drive = backend
        self.queue = BlockQueue(backend, self.machine.executor, self.machine.lock) if backend is not None else None

    # --- ATA commands --------------------------------------------------------------------------------------------

    def command(self, value: int) -> None:
        """See Drive; DEVICE RESET gets through to a busy drive, but not while SRST holds it in its reset."""
        if value == DEVICE_RESET and not self.control & SRST:
            self._stop()
            self.sleeping = False
            self._sign()
            self.set_interrupt(False)
            return
        super().command(value)

    def complete(self) -> None:
        """See Drive."""
        self.sector_count = COMMAND | TO_HOST
        super().complete()

    def _packet(self) -> None:
        self.byte_limit = self.lba_mid & 0xFF | (self.lba_high & 0xFF) << 8
        self.sector_count = COMMAND
        self.block = PACKET_BYTES
        self.take(PACKET_BYTES, first=True)

    def _identify_packet(self) -> None:
        self.reply(packet_words(self))

    def _refuse_with_signature(self) -> None:
        """IDENTIFY DEVICE and READ SECTOR(S): by this, hosts tell an ATAPI drive from a disk."""
        self._sign()
        self.abort()

    def _set_features(self) -> None:
        subcommand, value = self.features & 0xFF, self.sector_count & 0xFF
        if subcommand == 0x03 and supported_mode(value):
            if value >= 0x20:
                self.transfer_mode = value
            self.complete_plainly()
        elif subcommand in (0x66, 0xCC):
            self.complete_plainly()
        else:
            self.abort()

    def complete_plainly(self) -> None:
        """An ATA command, not a packet, ends well."""
        super().complete()

    def _check_power(self) -> None:
        self.sector_count = CHECK_POWER_ACTIVE
        self.complete_plainly()

    def _sleep(self) -> None:
        self.complete_plainly()
        self.sleeping = True

    # --- packets -------------------------------------------------------------------------------------------------

    def output_done(self) -> None:
        """See Drive: the packet is here."""
        packet = self.buffer.contents()[:PACKET_BYTES].ljust(PACKET_BYTES, b"\0")
        self.by_dma = bool(self.features & DMA_FEATURE)
        self.phase = "idle"
        self.raw = False
        packets.execute(self, packet)

    def check(self, sense: int) -> None:
        """The packet command ends in a check condition."""
        self.sense = sense
        self.sector_count = COMMAND | TO_HOST
        self.fail(sense >> 16 << 4)

    def respond(self, data: bytes, allocation: int) -> None:
        """The packet command's answer: as much of `data` as the host has room for."""
        data = data[:allocation]
        if not data:
            self.complete()
        elif self._block_possible(len(data)):
            self.reply(data, self.block)

    def read_blocks(self, first: int, count: int, raw: bool = False) -> None:
        """READ: the host gets `count` blocks of the disc, at least one, from `first` on."""
        blocks = self.blocks
        if blocks is None:
            self.check(packets.NO_MEDIUM)
        elif first + count > blocks:
            self.check(packets.OUT_OF_RANGE)
        else:
            self.raw = raw
            if self._block_possible(count * (mmc.RAW_BLOCK if raw else mmc.BLOCK)):
                self.start_input(first * mmc.BLOCK, count * mmc.BLOCK, self.block)

    def _block_possible(self, length: int) -> bool:
        """Sets the block's size for `length` bytes; False, the command having failed, if the host takes no bytes."""
        limit = self.byte_limit
        if self.by_dma:
            self.block = CHUNK
            return True
        if not limit:
            self.abort()
            return False
        # Only a last block may have an odd length.
        self.block = max(2, limit & ~1 if limit < length or limit == 0xFFFF else limit)
        return True

    def announce_block(self, length: int) -> None:
        """See Drive: byte count and interrupt reason."""
        if self.opcode == PACKET:
            self.sector_count = TO_HOST
            self.lba_mid, self.lba_high = length & 0xFF, length >> 8 & 0xFF

    @property
    def smallest_chunk(self) -> int:
        """See Drive."""
        return mmc.BLOCK

    def converted(self, data: bytes) -> bytes:
        """See Drive."""
        return mmc.raw_blocks((self.offset - len(data)) // mmc.BLOCK, data) if self.raw else data

    def input_done(self) -> None:
        """See Drive: a packet command ends with a status phase."""
        if self.opcode == PACKET:
            self.complete()
        else:
            self.rest()

    def read_failed(self, error: BlockError) -> None:
        """See Drive."""
        self.check(packets.READ_ERROR)

    commands: ClassVar[Mapping[int, Callable[[Any], None]]] = {
        0x20: _refuse_with_signature,
        PACKET: _packet,
        0xA1: _identify_packet,
        0xE0: complete_plainly,
        0xE1: complete_plainly,
        0xE5: _check_power,
        0xE6: _sleep,
        0xE7: complete_plainly,
        0xEC: _refuse_with_signature,
        0xEF: _set_features,
    }
