"""What every drive on an IDE cable has: task file, selection, interrupt, resets and the movement of data.

ATA/ATAPI-6 (T13 1410D): chapter 7 (registers), 8 (commands), 9 (protocols). A command moves its data in *chunks*, what
is asked of the image at once, and a chunk in *blocks*, what the host moves without looking at the status.
"""

from __future__ import annotations

import errno
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, ClassVar, Literal

from southbridge.block import BlockError, BlockQueue
from southbridge.block_errors import READ_DOC, WRITE_DOC, Action, ReadPolicy, WritePolicy, react
from southbridge.component import Part, State
from southbridge.device import Device
from southbridge.errors import RealizeError
from southbridge.hookspecs import hookimpl
from southbridge.ide import SRST, IdeBus
from southbridge.properties import Link, Property

from .buffer import SectorBuffer

ERR, DRQ, DSC, DF, DRDY, BSY = 0x01, 0x08, 0x10, 0x20, 0x40, 0x80
"""Status."""
ABRT, IDNF, UNC = 0x04, 0x10, 0x40
"""Error."""
NIEN, HOB = 0x02, 0x80
"""Device control."""
DEVICE_REGISTER, STATUS_REGISTER = 6, 7
PASSED = 0x01
"""The diagnostic code of a drive without faults."""

CHUNK = 1 << 20
"""Bytes that are asked of the image at once, at most."""

PAIRS = ("", "features", "sector_count", "lba_low", "lba_mid", "lba_high")
"""The registers that remember what was written before."""

Phase = Literal["idle", "fetch", "verify", "in", "dma-in", "out", "dma-out", "store", "flush"]
"""What the drive is doing: waiting for a command, for the image (fetch, verify, store, flush), or for the host."""


class Drive(Device):
    """A drive on a cable; a subclass has the commands."""

    signature: ClassVar[tuple[int, int]]
    """LBA mid and high after a reset, by which the host knows what kind of drive it is."""
    ready: ClassVar[int]
    """Status after a reset."""
    commands: ClassVar[Mapping[int, Callable[[Any], None]]]
    """What each command does; all others are aborted."""

    bus: IdeBus = Link("buses", "ide.0", doc="The cable that it is on.")
    unit: int | None = Property(None, ge=0, le=1, doc="Device 0 or 1; by default the first that is free.")
    serial: str = Property("", max_length=20, pattern="^[ -~]*$", doc="Serial number; by default from its place.")
    bootindex: int | None = Property(None, ge=0, doc="Its place in the firmware's boot order.")

    rerror: ReadPolicy = Property("report", doc=READ_DOC)
    werror: WritePolicy = Property("enospc", doc=WRITE_DOC)

    features: int = State(0, ge=0, le=0xFFFF, doc="Last and, in the high byte, previous value; so the next four.")
    sector_count: int = State(1, ge=0, le=0xFFFF)
    lba_low: int = State(1, ge=0, le=0xFFFF)
    lba_mid: int = State(0, ge=0, le=0xFFFF)
    lba_high: int = State(0, ge=0, le=0xFFFF)
    device_register: int = State(0, ge=0, le=0xFF)
    error: int = State(PASSED, ge=0, le=0xFF)
    status: int = State(0, ge=0, le=0xFF)
    control: int = State(0, ge=0, le=0xFF)
    opcode: int = State(0, ge=0, le=0xFF, doc="The last command.")
    interrupting: bool = State(False, doc="It asks for an interrupt.")
    sleeping: bool = State(False, doc="Only a reset wakes it.")

    phase: Phase = State("idle", doc="What it is doing.")
    by_dma: bool = State(False, doc="The command's data move by DMA.")
    block: int = State(512, ge=2, le=CHUNK, doc="Bytes of a block.")
    offset: int = State(0, ge=0, multiple_of=512, doc="Where in the image the command goes on, in bytes.")
    left: int = State(0, ge=0, multiple_of=512, doc="Bytes of the image that it still is about, from there.")
    limit: int = State(CHUNK, ge=512, le=CHUNK, doc="Bytes of a chunk, at most.")
    buffer: SectorBuffer = Part(SectorBuffer)

    queue: BlockQueue | None = None
    number: int
    """Device 0 or 1."""

    def __init__(self, id: str, **properties: Any) -> None:
        super().__init__(id, **properties)
        self.buffer.clear()
        self._ticket = 0
        self._waits = False

    # --- life ----------------------------------------------------------------------------------------------------

    def realize(self) -> None:
        """Attaches to the cable, and tells the firmware of it. Raises RealizeError."""
        if not isinstance(self.bus, IdeBus):
            raise RealizeError(f"{self.id}: its bus isn't an IDE cable, such as ide.0")
        self.number = self.bus.attach(self, self.unit, self.id)
        if self.bootindex is not None:
            try:
                path = f"{self.bus.firmware_path}/disk@{self.number}"
                self.machine.firmware_config.add_boot_device(self.bootindex, path)
            except ValueError as error:
                raise RealizeError(f"{self.id}: {error}") from None

    def unrealize(self) -> None:
        """Leaves the cable."""
        self._ticket += 1
        if isinstance(self.bus, IdeBus):
            self.bus.detach(self)
        super().unrealize()

    def broke(self) -> None:
        """The cable is as if the drive weren't there."""
        self._ticket += 1
        self.bus.detach(self)

    def reset(self) -> None:
        """RESET-, or power."""
        super().reset()
        self._stop()
        self._sign()
        self.set_interrupt(False)

    def loaded(self) -> None:
        """Goes on where the saved drive was. A transfer that makes no sense is dropped."""
        self._ticket += 1
        self._waits = False
        buffer = self.buffer
        buffer.restored()
        moving = {"in": buffer.position < buffer.block_end, "out": buffer.position < buffer.block_end}
        moving |= {"dma-in": buffer.remaining > 0, "dma-out": buffer.remaining > 0}
        held = self.control & SRST
        if held or not moving.get(self.phase, True) or not self.resume():
            self._stop()
        buffer.read_end = buffer.block_end if self.phase == "in" else 0
        buffer.write_end = buffer.block_end if self.phase == "out" else 0
        if self.phase == "idle":
            self.status = BSY if held else self.status & ~(BSY | DRQ)
        self.bus.interrupt_changed()

    @hookimpl
    def machine_resumed(self) -> None:
        """A request that failed and stopped the machine is made again."""
        if self._waits:
            self._waits = False
            self.resume()

    def failed(self, operation: Literal["read", "write"], error: BlockError) -> Action:
        """What to do about an error of the image. After "stop", `resume` is called when the machine goes on."""
        policy: WritePolicy = self.rerror if operation == "read" else self.werror
        backend = self.queue.backend if self.queue is not None else None
        backends = self.machine.backends["blockdevs"]
        node = next((id for id, other in backends.items() if other is backend), "")
        action = react(self, node, policy, operation, error)
        self._waits = action == "stop"
        return action

    def resume(self) -> bool:
        """Repeats the request to the image that was under way when the state was saved; False if it can't be."""
        if self.phase in ("fetch", "verify"):
            if not self.left:
                return False
            self.fetch(self.phase == "verify")
        return self.phase not in ("store", "flush")

    @property
    def serial_number(self) -> str:
        """What the guest is told."""
        return self.serial or f"SB{2 * self.bus.number + self.number + 1:05}"

    # --- interrupt -----------------------------------------------------------------------------------------------

    @property
    def interrupt_request(self) -> bool:
        """See IdeDrive."""
        return self.interrupting and not self.control & NIEN

    def set_interrupt(self, level: bool) -> None:
        """Asks for an interrupt, or no longer does."""
        self.interrupting = level
        self.bus.interrupt_changed()

    # --- registers -----------------------------------------------------------------------------------------------

    def read_register(self, register: int) -> int:
        """See IdeDrive."""
        if register == STATUS_REGISTER:
            self.set_interrupt(False)
            return self.status
        if register == DEVICE_REGISTER:
            return self.device_register
        if register == 1:
            return self.error
        pair: int = getattr(self, PAIRS[register])
        return pair >> 8 if self.control & HOB else pair & 0xFF

    def alternate_status(self) -> int:
        """See IdeDrive."""
        return self.status

    def write_register(self, register: int, value: int) -> None:
        """See IdeDrive."""
        self.control &= ~HOB
        if self.status & (BSY | DRQ):
            return
        if register == DEVICE_REGISTER:
            self.device_register = value
        else:
            name = PAIRS[register]
            setattr(self, name, (getattr(self, name) << 8 | value) & 0xFFFF)

    def write_control(self, value: int) -> None:
        """See IdeDrive."""
        before = self.control
        self.control = value & (HOB | SRST | NIEN)
        if value & ~before & SRST:
            self._stop()
            self.sleeping = self.interrupting = False
            self.status = BSY
        elif before & ~value & SRST:
            self.software_reset()
            self._sign()
        self.bus.interrupt_changed()

    def software_reset(self) -> None:
        """SRST: what else the drive forgets."""

    def diagnose(self) -> None:
        """See IdeDrive. Device 0 speaks for both."""
        if self.sleeping or self.status & (BSY | DRQ):
            return
        self._sign()
        self.set_interrupt(self.number == 0)

    def _sign(self) -> None:
        self.error = PASSED
        self.sector_count = self.lba_low = 1
        self.lba_mid, self.lba_high = self.signature
        self.device_register = 0
        self.status = self.ready

    def _stop(self) -> None:
        """Drops what it is doing. What was asked of the image still happens, but nobody hears of it."""
        self._ticket += 1
        self._waits = False
        self.phase = "idle"
        self.left = 0
        self.buffer.clear()

    # --- commands ------------------------------------------------------------------------------------------------

    def command(self, value: int) -> None:
        """See IdeDrive."""
        if self.sleeping:
            return
        if self.status & (BSY | DRQ):
            self.guest_error(f"command {value:#04x} during {self.opcode:#04x}")
            return
        self.opcode = value
        self.error = 0
        self.status = DRDY | DSC
        self.by_dma = False
        self.left = 0
        self.set_interrupt(False)
        handler = self.commands.get(value)
        if handler is None:
            self.abort()
        else:
            handler(self)

    def complete(self) -> None:
        """The command ends well, with an interrupt."""
        self.rest()
        self.set_interrupt(True)

    def rest(self) -> None:
        """Nothing more is to be done."""
        self.phase = "idle"
        self.status = DRDY | DSC
        self.buffer.clear()

    def fail(self, error: int, status: int = 0) -> None:
        """The command ends with an error, and an interrupt."""
        self._stop()
        self.error = error
        self.status = DRDY | DSC | ERR | status
        self.set_interrupt(True)

    def abort(self) -> None:
        """The command isn't known, or isn't possible now."""
        self.fail(ABRT)

    # --- data to the host ----------------------------------------------------------------------------------------

    def reply(self, data: bytes, block: int = 512) -> None:
        """Gives the host `data`, which isn't empty, in blocks of `block` bytes."""
        self.left = 0
        self.block = block
        self._give(data)

    def start_input(self, offset: int, length: int, block: int) -> None:
        """Gives the host `length` bytes of the image, which are there, from `offset` on."""
        self.offset, self.left, self.block, self.limit = offset, length, block, CHUNK
        self.fetch()

    def fetch(self, verify: bool = False) -> None:
        """Asks the image for the next chunk; to `verify`, only whether it can be read."""
        self.phase = "verify" if verify else "fetch"
        self.status = DRDY | DSC | BSY
        length = min(self.left, self.limit)
        if self.queue is None:
            self.read_failed(BlockError(errno.ENOMEDIUM))
            return
        self.queue.read(self.offset, length, partial(self._fetched, self._ticket, length))

    def _fetched(self, ticket: int, length: int, data: bytes | None, error: BlockError | None) -> None:
        if ticket != self._ticket:
            return
        if error is not None:
            self._fetch_failed(length, error)
            return
        assert data is not None
        self.offset += length
        self.left -= length
        if self.phase == "fetch":
            self._give(self.converted(data))
        elif self.left:
            self.fetch(verify=True)
        else:
            self.input_done()

    def _fetch_failed(self, length: int, error: BlockError) -> None:
        """Goes on in the smallest steps, to deliver what can be read and find what can't."""
        if length > self.smallest_chunk:
            self.limit = self.smallest_chunk
            self.fetch(self.phase == "verify")
        elif (action := self.failed("read", error)) == "ignore":
            self._fetched(self._ticket, length, bytes(length), None)
        elif action == "report":
            self.read_failed(error)

    @property
    def smallest_chunk(self) -> int:
        """Bytes of the image that are delivered, or not, as one."""
        raise AssertionError

    def converted(self, data: bytes) -> bytes:
        """What the host gets for a chunk of the image."""
        return data

    def _give(self, data: bytes) -> None:
        self.buffer.load_data(data)
        if self.by_dma:
            self._request_dma("dma-in")
        else:
            self._open_input()

    def _open_input(self) -> None:
        self.phase = "in"
        self.status = DRDY | DSC | DRQ
        self.announce_block(self.buffer.open_block(self.block))
        self.buffer.read_end = self.buffer.block_end
        self.set_interrupt(True)

    def announce_block(self, length: int) -> None:
        """A block of `length` bytes is about to move through the data register."""

    def _input_moved(self) -> None:
        """The host has read a block, or all of the chunk by DMA."""
        self.buffer.read_end = 0
        if self.buffer.remaining:
            self._open_input()
        elif self.left:
            self.fetch()
        else:
            self.input_done()

    def input_done(self) -> None:
        """The host has all of a command's data."""
        raise AssertionError

    def read_failed(self, error: BlockError) -> None:
        """The image can't be read at `offset`."""
        raise AssertionError

    # --- data from the host --------------------------------------------------------------------------------------

    def start_output(self, length: int, block: int) -> None:
        """Takes `length` bytes from the host, a chunk at a time; `output_done` is called for each."""
        self.left, self.block = length, block
        self.take(min(length, CHUNK), first=True)

    def take(self, length: int, first: bool = False) -> None:
        """Has the host give a chunk of `length` bytes; the `first` of a command comes without an interrupt."""
        self.buffer.expect(length)
        if self.by_dma:
            self._request_dma("dma-out")
        else:
            self._open_output(interrupt=not first)

    def _open_output(self, interrupt: bool) -> None:
        self.phase = "out"
        self.status = DRDY | DSC | DRQ
        self.buffer.open_block(self.block)
        self.buffer.write_end = self.buffer.block_end
        if interrupt:
            self.set_interrupt(True)

    def _output_moved(self) -> None:
        self.buffer.write_end = 0
        if self.buffer.remaining:
            self._open_output(interrupt=True)
        else:
            self.output_done()

    def output_done(self) -> None:
        """The host has given a chunk."""
        raise AssertionError

    # --- the data register ---------------------------------------------------------------------------------------

    def read_data16(self) -> int:
        """See IdeDrive."""
        buffer = self.buffer
        position = buffer.position
        if position >= buffer.read_end:
            self.guest_error("data register read, with no data in it")
            return 0xFFFF
        value = buffer.words[position]
        buffer.position = position = position + 1
        if position == buffer.read_end:
            self._input_moved()
        return value

    def read_data32(self) -> int:
        """See IdeDrive."""
        buffer = self.buffer
        position = buffer.position
        if position + 2 > buffer.read_end:
            return self.read_data16() | 0xFFFF_0000
        value = buffer.words[position] | buffer.words[position + 1] << 16
        buffer.position = position = position + 2
        if position == buffer.read_end:
            self._input_moved()
        return value

    def write_data16(self, value: int) -> None:
        """See IdeDrive."""
        buffer = self.buffer
        position = buffer.position
        if position >= buffer.write_end:
            self.guest_error("data register written, with no room in it")
            return
        buffer.words[position] = value
        buffer.position = position = position + 1
        if position == buffer.write_end:
            self._output_moved()

    def write_data32(self, value: int) -> None:
        """See IdeDrive."""
        buffer = self.buffer
        position = buffer.position
        if position + 2 > buffer.write_end:
            self.write_data16(value & 0xFFFF)
            return
        buffer.words[position] = value & 0xFFFF
        buffer.words[position + 1] = value >> 16
        buffer.position = position = position + 2
        if position == buffer.write_end:
            self._output_moved()

    def read_data(self, words: int) -> bytes:
        """See IdeDrive."""
        buffer = self.buffer
        data = buffer.take(2 * min(words, max(buffer.read_end - buffer.position, 0))).tobytes()
        if data and buffer.position == buffer.read_end:
            self._input_moved()
        return data

    def write_data(self, data: memoryview) -> int:
        """See IdeDrive."""
        buffer = self.buffer
        taken = 2 * min(len(data) // 2, max(buffer.write_end - buffer.position, 0))
        buffer.put(data[:taken])
        if taken and buffer.position == buffer.write_end:
            self._output_moved()
        return taken

    # --- DMA -----------------------------------------------------------------------------------------------------

    def dma_request(self) -> int:
        """See IdeDrive."""
        if self.phase == "dma-in":
            return self.buffer.remaining
        return -self.buffer.remaining if self.phase == "dma-out" else 0

    def dma_read(self, length: int) -> memoryview:
        """See IdeDrive."""
        data = self.buffer.take(length)
        if not self.buffer.remaining:
            self._input_moved()
        return data

    def dma_write(self, data: memoryview) -> None:
        """See IdeDrive."""
        self.buffer.put(data)
        if not self.buffer.remaining:
            self._output_moved()

    def _request_dma(self, phase: Literal["dma-in", "dma-out"]) -> None:
        self.phase = phase
        self.status = DRDY | DSC | DRQ
        self.bus.dma_requested(self)
