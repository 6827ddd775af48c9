"""Random schedules: against a walk written from the guide's words, and garbage of any kind."""

from __future__ import annotations

import struct

from hypothesis import given, settings
from hypothesis import strategies as st
from southbridge.testing import Bench
from southbridge.testing.ide import MemoryDisk
from southbridge.usb import Pid

from tests.core.usb.toy import Toy
from tests.plugins.uhci.driver import (
    ACTIVE,
    DEPTH,
    END,
    IOC,
    NAK,
    QUEUE,
    QUEUES,
    RS,
    SPD,
    TRANSFERS,
    USBCMD,
    USBINT,
    USBSTS,
    Driver,
    Td,
)

LIFE = settings(deadline=None, max_examples=60)
QUEUE_COUNT, TRANSFER_COUNT = 4, 8

LINKS = st.one_of(
    st.just(END),
    st.integers(0, TRANSFER_COUNT - 1).map(lambda number: TRANSFERS + 16 * number),
    st.integers(0, TRANSFER_COUNT - 1).map(lambda number: TRANSFERS + 16 * number | DEPTH),
    st.integers(0, QUEUE_COUNT - 1).map(lambda number: QUEUES + 16 * number | QUEUE),
)
TRANSFER = st.tuples(
    LINKS,
    st.sampled_from((Pid.OUT, Pid.IN)),
    st.sampled_from((0, ACTIVE, ACTIVE | IOC, ACTIVE | SPD, IOC)),
    st.integers(0, 1),
)


class Model:
    """A frame as the guide's text has it: plain steps over dictionaries, bounded only by a count of steps."""

    def __init__(self, queues: dict[int, tuple[int, int]], transfers: dict[int, Td], toy: Toy) -> None:
        self.queues = {address: list(pair) for address, pair in queues.items()}
        self.transfers = dict(transfers)
        self.waiting = [bytes(packet) for packet in toy.echo]
        self.to_host = self.from_host = 0
        self.interrupt = False

    def frame(self, link: int) -> None:
        """Walks; a hundred rounds over every loop are as good as many more."""
        queue = None
        for _ in range(100 * (QUEUE_COUNT + TRANSFER_COUNT)):
            if link & END:
                return
            address = link & ~0xF
            if link & QUEUE:
                queue = address
                link = self.queues[queue][1]
                if link & END:
                    link, queue = self.queues[queue][0], None
            elif queue is None:
                self.execute(address, False)
                link = self.transfers[address].link
            elif self.execute(address, True):
                self.queues[queue][1] = following = self.transfers[address].link
                if following & DEPTH and not following & END:
                    link = following
                else:
                    link, queue = self.queues[queue][0], None
            else:
                link, queue = self.queues[queue][0], None

    def execute(self, address: int, in_queue: bool) -> bool:
        """One descriptor; True if its queue advances."""
        td = self.transfers[address]
        if not td.control & ACTIVE:
            self.interrupt |= bool(td.control & IOC)
            return False
        pid, toggle = td.token & 0xFF, td.token >> 19 & 1
        if pid == Pid.OUT:
            if toggle == self.from_host:
                self.waiting.append(b"12345678")
                self.from_host ^= 1
            return self.retire(address, 8)
        if not self.waiting:
            self.transfers[address] = td._replace(control=td.control | NAK)
            return False
        packet = self.waiting.pop(0)
        self.to_host ^= 1
        if toggle == self.to_host:
            return False
        short = len(packet) < 8 and bool(td.control & SPD) and in_queue
        self.interrupt |= short
        return self.retire(address, len(packet)) and not short

    def retire(self, address: int, length: int) -> bool:
        """It is done."""
        td = self.transfers[address]
        self.interrupt |= bool(td.control & IOC)
        control = td.control & ~(ACTIVE | NAK | 0x7FF) | (length - 1 & 0x7FF)
        self.transfers[address] = td._replace(control=control)
        return True


@LIFE
@given(
    entry=LINKS,
    queues=st.lists(st.tuples(LINKS, LINKS), min_size=QUEUE_COUNT, max_size=QUEUE_COUNT),
    transfers=st.lists(TRANSFER, min_size=TRANSFER_COUNT, max_size=TRANSFER_COUNT),
    packets=st.lists(st.binary(max_size=8), max_size=6),
)
def test_a_frame_is_as_the_guide_has_it(
    entry: int,
    queues: list[tuple[int, int]],
    transfers: list[tuple[int, Pid, int, int]],
    packets: list[bytes],
) -> None:
    driver = Driver(Bench())
    toy = driver.configure()
    toy.echo = list(packets)
    for number, (head, element) in enumerate(queues):
        driver.queue(number, head, element)
    for number, (link, pid, control, toggle) in enumerate(transfers):
        data = b"12345678" if pid is Pid.OUT else 8
        driver.td(number, pid, data, link=link, control=control, endpoint=1, toggle=toggle)
    model = Model(
        {QUEUES + 16 * number: pair for number, pair in enumerate(queues)},
        {TRANSFERS + 16 * number: driver.result(number) for number in range(TRANSFER_COUNT)},
        toy,
    )
    model.frame(entry)
    driver.frame_list([entry])
    driver.run()
    assert [driver.result(number) for number in range(TRANSFER_COUNT)] == list(model.transfers.values())
    assert [driver.element(number) for number in range(QUEUE_COUNT)] == [pair[1] for pair in model.queues.values()]
    assert toy.echo == model.waiting
    assert bool(driver.read(USBSTS) & USBINT) is model.interrupt


WORDS = st.one_of(
    st.integers(0, 0xFFFF_FFFF),
    LINKS,
    st.just(0xE1 | 7 << 21),
    st.just(0x69 | 7 << 21),
    st.just(0x2D | 7 << 21),
    st.just(ACTIVE | 3 << 27),
)


@LIFE
@given(
    words=st.lists(WORDS, min_size=1, max_size=64),
    entries=st.lists(st.one_of(LINKS, st.integers(0, 0xFFFF_FFFF)), min_size=1, max_size=4),
    kinds=st.sampled_from(("usb-kbd", "usb-tablet", "usb-storage")),
)
def test_garbage_does_no_harm(words: list[int], entries: list[int], kinds: str) -> None:
    """Whatever is in the schedule, each frame ends, the registers answer, and a reset makes everything good."""
    driver = Driver(Bench())
    extra = {"drive": MemoryDisk(bytes(1 << 16))} if kinds == "usb-storage" else {}
    device = driver.bench.plug(kinds, "device", port=2, **extra)
    driver.enable(2)
    driver.configure(1)
    device.configuration = 1
    content = struct.pack(f"<{len(words)}I", *words)
    for area in (QUEUES, TRANSFERS):
        driver.bench.write_memory(area, content * (512 // len(content) + 1))
    driver.frame_list(entries)
    driver.write(USBCMD, RS)
    driver.pass_frames(4)
    driver.write(USBCMD, 2)
    assert driver.read(USBCMD) == 0
    assert not driver.device.broken
    driver.write(8, 0x10_0000)
    driver.enable(1)
    driver.setup_only(bytes.fromhex("00 09 01 00 00 00 00 00"))
