"""A guest's driver of the controller on a bench: its ports by name, and schedules written into memory."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from typing import NamedTuple

from southbridge.plugins.uhci import Uhci
from southbridge.testing import Bench
from southbridge.usb import Pid

from tests.core.usb.toy import Toy, setup_packet

BASE = 0x1000
FRAME_LIST, QUEUES, TRANSFERS, BUFFERS = 0x10_0000, 0x11_0000, 0x12_0000, 0x20_0000
BUFFER = 0x500
USBCMD, USBSTS, USBINTR, FRNUM, FRBASEADD, SOFMOD, PORTSC1, PORTSC2 = 0x00, 0x02, 0x04, 0x06, 0x08, 0x0C, 0x10, 0x12
RS, HCRESET, GRESET, EGSM, FGR, SWDBG = (1 << number for number in range(6))
USBINT, ERROR, RD, HSE, HCPE, HALTED = (1 << number for number in range(6))
CCS, CSC, PE, PEDC, PORT_RD, LSDA, PR, SUSP = 1, 2, 4, 8, 1 << 6, 1 << 8, 1 << 9, 1 << 12
END, QUEUE, DEPTH = 1, 2, 4
TIMEOUT, NAK, BABBLE, STALLED, ACTIVE = 1 << 18, 1 << 19, 1 << 20, 1 << 22, 1 << 23
IOC, ISO, LS, SPD = 1 << 24, 1 << 25, 1 << 26, 1 << 29
ERRORS_3 = 3 << 27
WORDS = {FRBASEADD: 4, SOFMOD: 1}


class Td(NamedTuple):
    """A transfer descriptor, as it is in memory."""

    link: int
    control: int
    token: int
    buffer: int

    @property
    def length(self) -> int:
        """ActLen, as a number of bytes."""
        return (self.control + 1) & 0x7FF

    @property
    def status(self) -> int:
        """The status bits."""
        return self.control & 0xFF_0000


def token(pid: int, address: int, endpoint: int, toggle: int, length: int) -> int:
    """A descriptor's third double word."""
    return pid | address << 7 + 1 | endpoint << 15 | toggle << 19 | (length - 1 & 0x7FF) << 21


class Driver:
    """The guest's side. Queue heads and descriptors are numbered."""

    def __init__(self, bench: Bench) -> None:
        self.bench = bench
        self.device: Uhci = bench.plug("piix3-usb-uhci", "usb", addr="01.2")
        bench.place(self.device, "bar4", BASE)
        self.frame_list([END])
        self.write(FRBASEADD, FRAME_LIST)

    def read(self, register: int) -> int:
        """A register."""
        return self.bench.read_port(BASE + register, WORDS.get(register, 2))

    def write(self, register: int, value: int) -> None:
        """To a register."""
        self.bench.write_port(BASE + register, value, WORDS.get(register, 2))

    def plug(self, port: int = 1) -> Toy:
        """A device in a port, which is enabled; it has address 0."""
        toy: Toy = self.bench.plug(Toy, f"toy{port}", port=port)
        self.enable(port)
        return toy

    def enable(self, port: int = 1) -> None:
        """Resets the port, and enables it."""
        register = PORTSC1 + 2 * (port - 1)
        self.write(register, PR)
        self.write(register, 0)
        self.write(register, PE | CSC | PEDC)

    def frame_list(self, entries: Sequence[int]) -> None:
        """The frame list has these entries again and again."""
        self.bench.write_memory(FRAME_LIST, struct.pack("<1024I", *(entries[i % len(entries)] for i in range(1024))))

    def queue(self, number: int, head: int, element: int) -> int:
        """A queue head; gives the link to it."""
        self.bench.write_memory(QUEUES + 16 * number, struct.pack("<II", head, element))
        return QUEUES + 16 * number | QUEUE

    def element(self, number: int) -> int:
        """A queue head's element pointer."""
        return int.from_bytes(self.bench.read_memory(QUEUES + 16 * number + 4, 4), "little")

    def td(
        self,
        number: int,
        pid: int,
        data: bytes | int = b"",
        *,
        link: int = END,
        control: int = ACTIVE | ERRORS_3,
        address: int = 0,
        endpoint: int = 0,
        toggle: int = 0,
        buffer: int | None = None,
    ) -> int:
        """A descriptor that sends `data`, or has room for that many bytes; gives the link to it."""
        where = BUFFERS + BUFFER * number if buffer is None else buffer
        if isinstance(data, bytes):
            self.bench.write_memory(where, data)
            length = len(data)
        else:
            length = data
        words = (link, control, token(pid, address, endpoint, toggle, length), where)
        self.bench.write_memory(TRANSFERS + 16 * number, struct.pack("<IIII", *words))
        return TRANSFERS + 16 * number

    def result(self, number: int) -> Td:
        """What became of a descriptor."""
        return Td(*struct.unpack("<IIII", self.bench.read_memory(TRANSFERS + 16 * number, 16)))

    def data(self, number: int) -> bytes:
        """What was received by a descriptor."""
        return self.bench.read_memory(BUFFERS + BUFFER * number, self.result(number).length)

    def run(self, frames: int = 1) -> None:
        """Lets that many frames go by, and stops."""
        self.write(USBCMD, RS)
        self.pass_frames(frames)
        self.write(USBCMD, 0)

    def pass_frames(self, frames: int) -> None:
        """Time goes by."""
        for _ in range(frames):
            self.bench.clock.advance(ms=1)
            self.bench.executor.run_all()

    def setup_only(self, request: bytes) -> None:
        """A control transfer without data to address 0, as a queue that every frame has."""
        second = self.td(901, Pid.IN, 0, toggle=1)
        first = self.td(900, Pid.SETUP, request, link=second | DEPTH)
        self.frame_list([self.queue(900, END, first)])
        self.run()
        assert self.result(901).status == 0

    def configure(self, port: int = 1) -> Toy:
        """A device that is plugged in, enabled and configured, with address 0 still."""
        toy = self.plug(port)
        self.setup_only(setup_packet(0, 9, 1))
        assert toy.configured
        self.write(USBSTS, 0xFFFF)
        return toy

    @property
    def interrupt(self) -> bool:
        """Whether PIRQD# of its slot is asserted."""
        return self.device.interrupt.asserted
