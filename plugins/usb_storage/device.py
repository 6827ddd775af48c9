"""Bulk-Only Transport 1.0 (USB Mass Storage Class): commands in wrappers, data, and a status for each command.

Section 6.7 has the thirteen cases of what the host expects against what the command is about; they are told here by
comparing the two, not by number.
"""

from __future__ import annotations

import struct
from functools import partial
from typing import Any, ClassVar, Literal

from southbridge.block import SECTOR, BlockBackend, BlockError, BlockQueue
from southbridge.component import Part, State
from southbridge.errors import RealizeError
from southbridge.properties import Link, Property
from southbridge.usb import DeviceDescriptor, Endpoint, Handshake, Interface, Setup, Transfer, UsbDevice
from southbridge.usb.protocol import FULL_SPEED_PACKET, Kind, Recipient

from .scsi import LARGEST, READ_ERROR, WRITE_ERROR, Blocks, Data, Disk, Failed, Flush, Result

BULK_IN, BULK_OUT = 0x81, 0x02
MASS_STORAGE, SCSI_TRANSPARENT, BULK_ONLY = 0x08, 0x06, 0x50
GET_MAX_LUN, BULK_ONLY_RESET = 0xFE, 0xFF

COMMAND_WRAPPER = struct.Struct("<4sIIBBB16s")
COMMAND_SIGNATURE, STATUS_SIGNATURE = b"USBC", b"USBS"
PASSED, FAILED, PHASE_ERROR = 0, 1, 2

CHUNK = 16 << 10
"""Bytes that are asked of the image, or given to it, at once."""
LONGEST = 0xFFFF * SECTOR

Phase = Literal["command", "fetch", "in", "out", "store", "flush", "status", "lost"]
"""What comes next: a command wrapper; the image's answer (fetch, store, flush); data; the status; or only a reset."""


class UsbStorage(UsbDevice):
    """USB disk."""

    descriptor: ClassVar[DeviceDescriptor] = DeviceDescriptor(
        vendor=0x46F4,  # QEMU's, which guests know
        product=0x0001,
        manufacturer="Southbridge",
        name="USB Disk",
        max_packet=FULL_SPEED_PACKET,
        interfaces=(
            Interface(
                *(MASS_STORAGE, SCSI_TRANSPARENT, BULK_ONLY),
                endpoints=(
                    Endpoint(BULK_IN, Transfer.BULK, FULL_SPEED_PACKET),
                    Endpoint(BULK_OUT, Transfer.BULK, FULL_SPEED_PACKET),
                ),
            ),
        ),
    )

    drive: BlockBackend = Link("blockdevs", doc="The disk's contents.")
    removable: bool = Property(False, doc="The host is told that the medium can be removed.")
    serial: str = Property("", max_length=32, pattern="^[0-9A-F]*$", doc="Serial number; by default from its port.")
    bootindex: int | None = Property(None, ge=0, doc="Its place in the firmware's boot order.")

    disk: Disk = Part(Disk)
    phase: Phase = State("command", doc="What comes next.")
    tag: int = State(0, ge=0, le=0xFFFF_FFFF, doc="The command wrapper's.")
    expected: int = State(0, ge=0, le=0xFFFF_FFFF, doc="Bytes of data that the host still expects to move.")
    to_host: bool = State(False, doc="It expects data, if any, rather than sending them.")
    status: int = State(PASSED, ge=0, le=PHASE_ERROR, doc="How the command ended.")
    data: bytes = State(b"", max_length=CHUNK, doc="On its way to the host, or from it.")
    position: int = State(0, ge=0, le=CHUNK, doc="How much of that the host has.")
    offset: int = State(0, ge=0, le=LARGEST * SECTOR, multiple_of=SECTOR, doc="Where in the image it goes on.")
    left: int = State(0, ge=0, le=LONGEST, multiple_of=SECTOR, doc="Bytes of the image that remain, from there.")

    # --- life ----------------------------------------------------------------------------------------------------

    def __init__(self, id: str, **properties: Any) -> None:
        super().__init__(id, **properties)
        self._ticket = 0
        self._boots = False

    def realize(self) -> None:
        """Takes the image, plugs itself in, and tells the firmware of it. Raises RealizeError."""
        disk = self.disk
        disk.blocks, disk.writable = self.drive.size // SECTOR, self.drive.writable
        disk.removable = self.removable
        if not 0 < disk.blocks <= LARGEST:
            raise RealizeError(f"{self.id}: {self.drive.name}: {self.drive.size} bytes are no USB disk's size")
        self.queue = BlockQueue(self.drive, self.machine.executor, self.machine.lock)
        super().realize()
        disk.serial = self.serial_number()
        if self.bootindex is not None:
            path = f"{self.bus.firmware_path}/storage@{self.port_number}/channel@0/disk@0,0"
            try:
                self.machine.firmware_config.add_boot_device(self.bootindex, path)
            except ValueError as error:
                raise RealizeError(f"{self.id}: {error}") from None
            self._boots = True

    def unrealize(self) -> None:
        """Is pulled out. What was asked of the image still happens."""
        self._ticket += 1
        if self._boots and self.bootindex is not None:
            self.machine.firmware_config.remove_boot_device(self.bootindex)
        super().unrealize()

    def broke(self) -> None:
        """See UsbDevice."""
        self._ticket += 1
        super().broke()

    def reset(self) -> None:
        """Waits for a command."""
        self._ticket += 1
        super().reset()

    def loaded(self) -> None:
        """What was asked of the image when the state was saved is asked again."""
        super().loaded()
        self._ticket += 1
        self.position = min(self.position, len(self.data))
        if self.offset + self.left > self.drive.size or self.offset + len(self.data) > self.drive.size:
            self._drop()
        elif self.phase == "fetch":
            self._fetch()
        elif self.phase == "store":
            self._store()
        elif self.phase == "flush":
            self._flush()

    def _drop(self) -> None:
        """A state that makes no sense: the command is forgotten."""
        self.phase = "command"
        self.data, self.position = b"", 0
        self.offset = self.left = 0

    def serial_number(self) -> str:
        """See UsbDevice; at least twelve hexadecimal digits (section 4.1.1)."""
        return self.serial or f"5342{self.port_number:08}"

    # --- the pipes -----------------------------------------------------------------------------------------------

    def data_out(self, endpoint: Endpoint, data: bytes) -> Handshake:
        """See UsbDevice."""
        if self.phase == "command":
            return self._command(data)
        if self.phase != "out":
            return Handshake.NAK
        if len(data) > self.expected or len(data) > self._wanted():
            self.guest_error(f"{len(data)} bytes of data, {self._wanted()} of which the command takes")
            return self._lose()
        self.data += data
        self.expected -= len(data)
        if not self._wanted():
            self._store()
        return Handshake.ACK

    def _wanted(self) -> int:
        """Bytes that the chunk lacks."""
        return min(self.left, CHUNK) - len(self.data)

    def data_in(self, endpoint: Endpoint) -> bytes | Handshake:
        """See UsbDevice."""
        if self.phase == "status":
            self.phase = "command"
            return STATUS_SIGNATURE + struct.pack("<IIB", self.tag, self.expected, self.status)
        if self.phase != "in":
            return Handshake.NAK
        packet = self.data[self.position : self.position + min(FULL_SPEED_PACKET, self.expected)]
        self.position += len(packet)
        self.expected -= len(packet)
        if self.position == len(self.data) or not self.expected:
            self._given(short=len(packet) < FULL_SPEED_PACKET)
        return packet

    def _given(self, *, short: bool) -> None:
        """The chunk is with the host, or as much as the host takes."""
        lacks_room = self.position < len(self.data) or self.left
        self.data, self.position = b"", 0
        if self.expected and self.left:
            self._fetch()
        elif self.expected:
            self._finish(PASSED, stall=not short)
        else:
            self._finish(PHASE_ERROR if lacks_room else PASSED, stall=False)

    def endpoint_cleared(self, endpoint: Endpoint) -> None:
        """See UsbDevice: out of step, it stays halted until it is reset (section 6.6.1)."""
        if self.phase == "lost":
            self.halt(endpoint.address)

    def was_configured(self) -> None:
        """See UsbDevice."""
        self._start_anew()

    def _start_anew(self) -> None:
        self._ticket += 1
        self._drop()

    def _lose(self) -> Handshake:
        """Host and device are out of step: both pipes halt, until a reset."""
        self._start_anew()
        self.phase = "lost"
        self.halt(BULK_IN)
        return Handshake.STALL

    # --- class requests (chapter 3) ------------------------------------------------------------------------------

    def class_answer(self, setup: Setup) -> bytes | None:
        """See UsbDevice."""
        return b"\0" if self._is_ours(setup) and setup.request == GET_MAX_LUN and setup.length == 1 else None

    def class_obey(self, setup: Setup, data: bytes) -> bool:
        """See UsbDevice."""
        if not self._is_ours(setup) or setup.request != BULK_ONLY_RESET or setup.length:
            return False
        self._start_anew()
        return True

    def _is_ours(self, setup: Setup) -> bool:
        ours = (setup.kind, setup.recipient) == (Kind.CLASS, Recipient.INTERFACE)
        return ours and self.configured and not setup.index and not setup.value

    # --- commands ------------------------------------------------------------------------------------------------

    def _command(self, wrapper: bytes) -> Handshake:
        if len(wrapper) != COMMAND_WRAPPER.size:
            self.guest_error(f"a command wrapper of {len(wrapper)} bytes")
            return self._lose()
        signature, self.tag, self.expected, flags, unit, length, command = COMMAND_WRAPPER.unpack(wrapper)
        if signature != COMMAND_SIGNATURE or unit or not 1 <= length <= len(command) or flags & 0x7F:
            self.guest_error(f"no valid command wrapper: {wrapper.hex()}")
            return self._lose()
        self.to_host = bool(flags & 0x80)
        self._begin(self.disk.execute(command[:length]))
        return Handshake.ACK

    def _begin(self, result: Result) -> None:
        match result:
            case Failed():
                self._finish(FAILED)
            case Flush():
                self._flush()
            case Data(b""):
                self._finish(PASSED)
            case Data(data):
                if self._agrees(True):
                    self.data, self.position = data, 0
                    self.phase = "in"
            case Blocks(offset, length, going_to_host):
                if self._agrees(going_to_host) and (going_to_host or self._enough(length)):
                    self.offset, self.left = offset, length
                    if going_to_host:
                        self._fetch()
                    else:
                        self.data, self.phase = b"", "out"

    def _agrees(self, to_host: bool) -> bool:
        """Whether the data go as the host expects; else the command has ended."""
        if self.expected and to_host == self.to_host:
            return True
        self._finish(PHASE_ERROR)
        return False

    def _enough(self, length: int) -> bool:
        """Whether the host has enough data for the command; else it has ended."""
        if self.expected >= length:
            return True
        self._finish(PHASE_ERROR)
        return False

    def _finish(self, status: int, *, stall: bool = True) -> None:
        """The status is next. Data that the host still expects don't come, or aren't taken: the pipe halts for that."""
        self.status = status
        self.phase = "status"
        self.data, self.position, self.left = b"", 0, 0
        if status == PHASE_ERROR:
            self.guest_error("the host expects other data than its command is about")
        if self.expected and stall:
            self.halt(BULK_IN if self.to_host else BULK_OUT)
        self.became_active()

    # --- the image -----------------------------------------------------------------------------------------------

    def _fetch(self) -> None:
        self.phase = "fetch"
        self.queue.read(self.offset, min(self.left, CHUNK), partial(self._fetched, self._ticket))

    def _fetched(self, ticket: int, data: bytes | None, error: BlockError | None) -> None:
        if ticket != self._ticket:
            return
        if error is not None or data is None:
            self.disk.fail(READ_ERROR)
            self._finish(FAILED)
            return
        self.data, self.position = data, 0
        self.offset += len(data)
        self.left -= len(data)
        self.phase = "in"
        self.became_active()

    def _store(self) -> None:
        self.phase = "store"
        self.queue.write(self.offset, self.data, partial(self._stored, self._ticket))

    def _stored(self, ticket: int, data: bytes | None, error: BlockError | None) -> None:
        if ticket != self._ticket:
            return
        if error is not None:
            self.disk.fail(WRITE_ERROR)
            self._finish(FAILED)
            return
        self.offset += len(self.data)
        self.left -= len(self.data)
        self.data = b""
        if self.left:
            self.phase = "out"
            self.became_active()
        else:
            self._finish(PASSED)

    def _flush(self) -> None:
        self.phase = "flush"
        self.queue.flush(partial(self._flushed, self._ticket))

    def _flushed(self, ticket: int, data: bytes | None, error: BlockError | None) -> None:
        if ticket != self._ticket:
            return
        if error is not None:
            self.disk.fail(WRITE_ERROR)
        self._finish(PASSED if error is None else FAILED)
