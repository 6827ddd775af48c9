"""One frame's walk over the schedule, and the transactions on the way (UHCI Design Guide 1.1, sections 3.4 and 3.5).

The guest's schedule may be anything: a queue that leads to itself is usual (bandwidth reclamation), pointers beyond
memory are possible. A frame ends when its time on the wire is spent, when a round over a loop moved nothing (hardware
would go on asking in vain), or after `MOST_VISITS` elements.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from dataclasses import dataclass

from southbridge.dma import Dma
from southbridge.usb import Handshake, Pid, Reply, Speed, UsbDevice
from southbridge.usb.protocol import SILENCE

from . import descriptors as td
from .descriptors import TransferDescriptor

MOST_VISITS = 512
"""Queue heads and transfer descriptors that are fetched in a frame."""
FRAME_BYTES = 1480
"""What fits on the wire between the start of a frame and its end (USB 1.1, section 5.7)."""
OVERHEAD = 13
"""Bytes' time that a transaction takes beyond its data (tables 5-4 to 5-8)."""
LOW_SPEED_FACTOR = 8

PIDS = {int(pid): pid for pid in Pid}

Find = Callable[[int, Speed], UsbDevice | None]
"""The device of that address and speed that the host's signals reach."""


class ProcessError(Exception):
    """The schedule has something that no controller can make sense of: a host controller process error."""


@dataclass(frozen=True)
class _Queue:
    """The queue that the walk is in."""

    address: int
    head: int


class Frame:
    """What happens in one frame."""

    def __init__(self, dma: Dma, find: Find, *, single: bool = False) -> None:
        """`single`: it ends after a transaction."""
        self._dma = dma
        self._find = find
        self._single = single
        self._left = FRAME_BYTES
        self.completed = False
        """A descriptor with IOC was done with."""
        self.short = False
        """A short packet was detected."""
        self.failed = False
        """A transaction ended in an error."""
        self.isochronous = False
        """There was an active isochronous descriptor."""
        self.moved = 0
        """How many transactions weren't refused for now."""
        self.complaints: list[str] = []
        """What the guest did wrong."""

    def walk(self, link: int) -> None:
        """From the frame list's entry `link` on. Raises ProcessError, GuestMemoryError."""
        queue: _Queue | None = None
        seen: dict[int, int] = {}
        for _ in range(MOST_VISITS):
            if link & td.TERMINATE or self._left <= 0:
                return
            address = link & td.ADDRESS
            if link & td.QUEUE:
                if seen.get(address) == self.moved:
                    return
                seen[address] = self.moved
                head, element = struct.unpack("<II", self._dma.read(address, td.QUEUE_SIZE))
                queue, link = (None, head) if element & td.TERMINATE else (_Queue(address, head), element)
                continue
            descriptor = TransferDescriptor(self._dma.read(address, td.TRANSFER_SIZE))
            before = self.moved
            done = self._visit(address, descriptor, queue is not None)
            if queue is None:
                link = descriptor.link
            else:
                if done:
                    self._dma.write(queue.address + 4, struct.pack("<I", descriptor.link))
                deeper = done and descriptor.link & td.DEPTH_FIRST and not descriptor.link & td.TERMINATE
                link = descriptor.link if deeper else queue.head
                queue = queue if deeper else None
            if self._single and self.moved != before:
                return

    # --- a transfer descriptor -----------------------------------------------------------------------------------

    def _visit(self, address: int, descriptor: TransferDescriptor, in_queue: bool) -> bool:
        """Tries it; True if its queue goes on to the next one."""
        control = descriptor.control
        if not control & td.ACTIVE:
            self.completed |= bool(control & td.INTERRUPT)
            return False
        pid = PIDS.get(descriptor.pid)
        if pid is None:
            raise ProcessError(f"PID {descriptor.pid:#x} in the transfer descriptor at {address:#x}")
        if descriptor.length > td.LONGEST_PACKET:
            raise ProcessError(f"MaxLen of {descriptor.length} bytes in the transfer descriptor at {address:#x}")
        self.isochronous |= descriptor.isochronous
        factor = LOW_SPEED_FACTOR if control & td.LOW_SPEED else 1
        cost = factor * OVERHEAD + descriptor.length
        if cost > self._left:
            self._left = 0
            return False
        reply = self._transact(pid, descriptor)
        self._left -= cost if reply.handshake is Handshake.ACK else factor * OVERHEAD
        done = self._conclude(pid, descriptor, reply, in_queue)
        if descriptor.control != control:
            self._dma.write(address + 4, struct.pack("<I", descriptor.control))
        return done

    def _transact(self, pid: Pid, descriptor: TransferDescriptor) -> Reply:
        data = b""
        if pid is not Pid.IN and descriptor.length:
            data = self._dma.read(descriptor.buffer, descriptor.length)
        speed = Speed.LOW if descriptor.control & td.LOW_SPEED else Speed.FULL
        device = self._find(descriptor.address, speed)
        return device.transaction(pid, descriptor.endpoint, data, descriptor.toggle) if device else SILENCE

    def _conclude(self, pid: Pid, descriptor: TransferDescriptor, reply: Reply, in_queue: bool) -> bool:
        """Notes in the descriptor how it went; True if its queue goes on."""
        match reply.handshake:
            case Handshake.NAK:
                descriptor.control |= td.NAK
                if descriptor.isochronous:
                    self._retire(descriptor)
                return False
            case Handshake.STALL:
                self.moved += 1
                self._fail(descriptor, td.STALLED | (td.TIMEOUT if pid is Pid.SETUP else 0))
                return False
            case Handshake.NONE:
                self.moved += 1
                self._unanswered(descriptor)
                return False
        if pid is not Pid.IN:
            self.moved += 1
            self._succeed(descriptor, descriptor.length)
            return True
        return self._receive(descriptor, reply, in_queue)

    def _receive(self, descriptor: TransferDescriptor, reply: Reply, in_queue: bool) -> bool:
        """A data packet came."""
        length = len(reply.data)
        if length > descriptor.length:
            self.moved += 1
            self.complaints.append(f"a packet of {length} bytes, and room for {descriptor.length}")
            self._fail(descriptor, td.STALLED | td.BABBLE)
            return False
        self.moved += 1
        if reply.toggle != descriptor.toggle and not descriptor.isochronous:
            return False  # taken for one that came before: acknowledged and dropped
        if length:
            self._dma.write(descriptor.buffer, reply.data)
        self._succeed(descriptor, length)
        if length < descriptor.length and descriptor.control & td.SHORT_PACKET_DETECT and in_queue:
            self.short = True
            return False
        return True

    def _unanswered(self, descriptor: TransferDescriptor) -> None:
        """Nobody answered: tried again, as often as the error count says; 0 is for ever."""
        count = (descriptor.control & td.ERROR_COUNT) >> td.ERROR_COUNT_SHIFT
        if descriptor.isochronous:
            descriptor.control |= td.TIMEOUT
            self._retire(descriptor)
            return
        if count == 1:
            self.complaints.append(f"nobody answers as device {descriptor.address} endpoint {descriptor.endpoint}")
            self._fail(descriptor, td.STALLED | td.TIMEOUT)
        else:
            descriptor.control |= td.TIMEOUT
        if count:
            descriptor.control -= 1 << td.ERROR_COUNT_SHIFT

    def _succeed(self, descriptor: TransferDescriptor, length: int) -> None:
        descriptor.control &= ~(td.ACTUAL_LENGTH | td.NAK)
        descriptor.control |= (length - 1) & td.ACTUAL_LENGTH
        self._retire(descriptor)

    def _fail(self, descriptor: TransferDescriptor, status: int) -> None:
        descriptor.control |= status
        self.failed = True
        self._retire(descriptor)

    def _retire(self, descriptor: TransferDescriptor) -> None:
        descriptor.control &= ~td.ACTIVE
        self.completed |= bool(descriptor.control & td.INTERRUPT)
