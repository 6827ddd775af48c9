"""A timer whose ticks nobody hears rests. The guest can't tell it from one that never does, whatever it accesses."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from southbridge import hookimpl
from southbridge.testing import Bench

MASTER, CONTROL = 0x20, 0x43
IOREGSEL, IOWIN, ENTRY = 0xFEC0_0000, 0xFEC0_0010, 0x10 + 2 * 2
MASKED = 1 << 16


class Guest:
    """The timer and both interrupt controllers; what is seen of them is noted."""

    def __init__(self, *, rests: bool) -> None:
        self.bench = Bench()
        self.seen: list[Any] = []
        self.bench.machine.hooks.register(self, "messages")
        self.pic: Any = self.bench.plug("i8259")
        self.bench.plug("ioapic")
        self.pit: Any = self.bench.plug("i8254")
        if not rests:
            self.bench.machine.isa.wires[0].connect(lambda level: None)
        self.initialize()
        self.program(2, 1000)

    @hookimpl
    def msi_send(self, address: int, data: int) -> bool:
        self.seen.append((self.bench.clock.now(), address, data))
        return True

    def initialize(self) -> None:
        """The 8259s anew, all but IRQ 0 masked."""
        for port, value in ((MASTER, 0x11), (MASTER + 1, 8), (MASTER + 1, 4), (MASTER + 1, 1), (MASTER + 1, 0xFE)):
            self.bench.write_port(port, value)

    def mask(self, value: int) -> None:
        self.bench.write_port(MASTER + 1, value)

    def program(self, mode: int, count: int) -> None:
        self.bench.write_port(CONTROL, 0x30 | mode << 1)
        self.bench.write_port(0x40, count & 0xFF)
        self.bench.write_port(0x40, count >> 8)

    def wait(self, us: int) -> None:
        self.bench.clock.advance(us=us)

    def serve(self, end: bool) -> None:
        """Takes what interrupts, and ends it or not."""
        vector = self.pic.pending_vector()
        self.seen.append(vector)
        if vector is not None:
            self.pic.acknowledge(vector)
            if end:
                self.bench.write_port(MASTER, 0x20)

    def poll(self) -> None:
        self.bench.write_port(MASTER, 0x0C)
        self.seen.append(self.bench.read_port(MASTER))

    def redirect(self, low: int) -> None:
        """The I/O APIC's entry of the timer."""
        self.bench.write_mmio(IOREGSEL, ENTRY)
        self.bench.write_mmio(IOWIN, low | 0x40)

    def reset(self) -> None:
        self.pit.reset()

    def restore(self) -> None:
        for device in (self.pit, self.pic):
            device.load(device.save())

    def look(self) -> None:
        """IRR, the count, and what is pending."""
        self.bench.write_port(MASTER, 0x0A)
        self.bench.write_port(CONTROL, 0)
        self.seen.append(
            (
                self.bench.read_port(MASTER),
                self.bench.read_port(0x40),
                self.bench.read_port(0x40),
                self.pic.pending_vector(),
            )
        )


steps = st.one_of(
    st.tuples(st.just("wait"), st.integers(0, 5000)),
    st.tuples(st.just("mask"), st.sampled_from([0xFE, 0xFF])),
    st.tuples(st.just("serve"), st.booleans()),
    st.tuples(st.just("redirect"), st.sampled_from([0, MASKED, 1 << 15, MASKED | 1 << 15])),
    st.tuples(st.just("program"), st.sampled_from([0, 2, 3, 4]), st.sampled_from([2, 500, 1193, 0])),
    st.tuples(st.sampled_from(["initialize", "poll", "reset", "restore"])),
)


@given(st.lists(steps, max_size=25))
def test_the_guest_cannot_tell(steps: list[tuple[Any, ...]]) -> None:
    one, other = Guest(rests=True), Guest(rests=False)
    for name, *arguments in steps:
        for guest in (one, other):
            getattr(guest, name)(*arguments)
            guest.look()
        assert one.seen == other.seen


def test_it_rests_while_its_interrupt_waits_and_goes_on_when_it_is_taken() -> None:
    guest = Guest(rests=True)
    guest.mask(0xFF)
    guest.wait(3000)
    assert guest.bench.clock.deadline() is None
    guest.mask(0xFE)
    guest.serve(end=True)
    assert guest.bench.clock.deadline() is not None
    guest.wait(1000)
    guest.serve(end=True)
    assert guest.seen == [8, 8]


def test_it_does_not_rest_where_the_io_apic_hears_it() -> None:
    guest = Guest(rests=True)
    guest.redirect(0)
    guest.wait(5000)
    assert len(guest.seen) >= 5
    assert guest.bench.clock.deadline() is not None
