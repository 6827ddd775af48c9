"""The I/O APIC: window, redirection table, edges, levels, ends of interrupts, saved state; beside a naive model."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule
from southbridge import SouthbridgeError, hookimpl
from southbridge.interrupts import Pin
from southbridge.testing import Bench

BASE = 0xFEC0_0000
INDEX, WINDOW, EOI = BASE, BASE + 0x10, BASE + 0x40
MASKED, LEVEL, REMOTE_IRR, STATUS, LOW, LOGICAL = 1 << 16, 1 << 15, 1 << 14, 1 << 12, 1 << 13, 1 << 11
NMI, EXTINT = 4 << 8, 7 << 8


class Messages:
    """Takes what the I/O APIC sends."""

    def __init__(self) -> None:
        self.sent: list[tuple[int, int]] = []

    @hookimpl
    def msi_send(self, address: int, data: int) -> bool:
        self.sent.append((address, data))
        return True


class Ioapic:
    """The device, lines to pull, and the messages."""

    def __init__(self, bench: Bench, **properties: Any) -> None:
        self.bench = bench
        self.messages = Messages()
        bench.machine.hooks.register(self.messages, "messages")
        self.device: Any = bench.plug("ioapic", **properties)
        self.pins: list[Pin] = [wire.pin() for wire in bench.machine.isa.wires]

    @property
    def sent(self) -> list[tuple[int, int]]:
        """The messages since the last look."""
        sent, self.messages.sent = self.messages.sent, []
        return sent

    def read(self, index: int) -> int:
        self.bench.write_mmio(INDEX, index)
        return self.bench.read_mmio(WINDOW)

    def write(self, index: int, value: int) -> None:
        self.bench.write_mmio(INDEX, index)
        self.bench.write_mmio(WINDOW, value)

    def redirect(self, pin: int, low: int, destination: int = 0) -> None:
        self.write(0x11 + 2 * pin, destination << 24)
        self.write(0x10 + 2 * pin, low)

    def end(self, vector: int) -> None:
        self.bench.machine.cpus.end_of_interrupt(vector)


@pytest.fixture
def ioapic(bench: Bench) -> Ioapic:
    return Ioapic(bench)


def test_after_a_reset(ioapic: Ioapic) -> None:
    assert [ioapic.read(n) for n in range(3)] == [0, 0x0017_0011, 0]
    assert [ioapic.read(0x10 + n) for n in range(48)] == [MASKED, 0] * 24


def test_writable_bits(ioapic: Ioapic) -> None:
    ioapic.write(0, 0xFFFF_FFFF)
    assert (ioapic.read(0), ioapic.read(2)) == (0x0F00_0000, 0x0F00_0000)
    for index in (1, 2):
        ioapic.write(index, 0xFFFF_FFFF)
    assert ioapic.read(1) == 0x0017_0011
    ioapic.write(0x20, 0xFFFF_FFFF)
    ioapic.write(0x21, 0xFFFF_FFFF)
    assert (ioapic.read(0x20), ioapic.read(0x21)) == (0x1_AFFF, 0xFF00_0000)


@pytest.mark.parametrize("index", [0x03, 0x0F, 0x40, 0xFF])
def test_an_index_where_nothing_is(ioapic: Ioapic, index: int) -> None:
    assert ioapic.read(index) == 0
    ioapic.write(index, 0xFFFF_FFFF)
    assert ioapic.bench.guest_errors


@pytest.mark.parametrize(
    ("low", "destination", "message"),
    [
        (0x51, 0, (0xFEE0_0000, 0x51)),
        (0x51, 0xA5, (0xFEEA_5000, 0x51)),
        (LOGICAL | 0x100 | 0x51, 0x03, (0xFEE0_3004, 0x151)),
        (LOW | 0x51, 0, (0xFEE0_0000, 0x51)),
        (LEVEL | 0x51, 0, (0xFEE0_0000, 0xC051)),
        (NMI, 1, (0xFEE0_1000, 0x400)),
        (LEVEL | NMI, 1, (0xFEE0_1000, 0x400)),  # an NMI is an edge, whatever the entry says
        (EXTINT, 0, (0xFEE0_0000, 0x700)),
    ],
)
def test_messages(ioapic: Ioapic, low: int, destination: int, message: tuple[int, int]) -> None:
    ioapic.redirect(4, low, destination)
    ioapic.pins[4].set(True)
    assert ioapic.sent == [message]


@pytest.mark.parametrize(("line", "pin"), [(0, 2), (1, 1), (2, 2), (3, 3), (8, 8), (15, 15)])
def test_lines(ioapic: Ioapic, line: int, pin: int) -> None:
    for other in range(24):
        ioapic.redirect(other, 0x50 + other)
    ioapic.pins[line].set(True)
    assert ioapic.sent == [(0xFEE0_0000, 0x50 + pin)]


def test_an_edge_is_sent_once(ioapic: Ioapic) -> None:
    ioapic.redirect(4, 0x51)
    for level in (True, False, True):
        ioapic.pins[4].set(level)
    assert len(ioapic.sent) == 2
    ioapic.end(0x51)
    assert ioapic.sent == []


def test_an_edge_at_a_masked_input_is_forgotten(ioapic: Ioapic) -> None:
    ioapic.pins[4].set(True)
    ioapic.redirect(4, 0x51)
    assert ioapic.sent == []


def test_a_timer_that_rests_high_hides_no_edges_of_the_other_line(ioapic: Ioapic) -> None:
    """Lines 0 and 2 share input 2; the 8254 leaves line 0 high."""
    ioapic.redirect(2, 0x51)
    ioapic.pins[0].set(True)
    ioapic.pins[2].set(True)
    assert len(ioapic.sent) == 2


def test_a_level_is_sent_again_when_its_interrupt_ends(ioapic: Ioapic) -> None:
    ioapic.redirect(9, LEVEL | 0x51)
    ioapic.pins[9].set(True)
    assert len(ioapic.sent) == 1
    assert ioapic.read(0x22) == REMOTE_IRR | LEVEL | 0x51
    ioapic.pins[9].set(False)
    ioapic.pins[9].set(True)
    assert ioapic.sent == []
    ioapic.end(0x52)
    assert ioapic.sent == []
    ioapic.end(0x51)
    assert len(ioapic.sent) == 1
    ioapic.pins[9].set(False)
    ioapic.end(0x51)
    assert ioapic.sent == []
    assert ioapic.read(0x22) == LEVEL | 0x51


def test_a_level_waits_for_its_mask(ioapic: Ioapic) -> None:
    ioapic.pins[9].set(True)
    ioapic.redirect(9, LEVEL | 0x51)
    assert len(ioapic.sent) == 1
    ioapic.redirect(9, MASKED | LEVEL | 0x51)
    ioapic.end(0x51)
    assert ioapic.sent == []
    ioapic.redirect(9, LEVEL | 0x51)
    assert len(ioapic.sent) == 1


def test_inputs_that_share_a_vector_end_together(ioapic: Ioapic) -> None:
    for pin in (9, 10):
        ioapic.redirect(pin, LEVEL | 0x51)
        ioapic.pins[pin].set(True)
    assert len(ioapic.sent) == 2
    ioapic.end(0x51)
    assert len(ioapic.sent) == 2


def test_making_it_edge_triggered_ends_a_level(ioapic: Ioapic) -> None:
    ioapic.redirect(9, LEVEL | 0x51)
    ioapic.pins[9].set(True)
    ioapic.write(0x22, MASKED | 0x51)
    ioapic.write(0x22, LEVEL | 0x51)
    assert len(ioapic.sent) == 2


def test_the_guest_cannot_write_the_remote_irr(ioapic: Ioapic) -> None:
    ioapic.redirect(9, REMOTE_IRR | STATUS | LEVEL | 0x51)
    assert ioapic.read(0x22) == LEVEL | 0x51
    ioapic.pins[9].set(True)
    ioapic.write(0x22, LEVEL | 0x51)
    assert ioapic.read(0x22) == REMOTE_IRR | LEVEL | 0x51


def test_version_20h_has_an_eoi_register(bench: Bench) -> None:
    ioapic = Ioapic(bench, version=0x20)
    assert ioapic.read(1) == 0x0017_0020
    ioapic.redirect(9, LEVEL | 0x51)
    ioapic.pins[9].set(True)
    bench.write_mmio(EOI, 0x51)
    assert len(ioapic.sent) == 2


def test_version_11h_has_none(ioapic: Ioapic) -> None:
    ioapic.redirect(9, LEVEL | 0x51)
    ioapic.pins[9].set(True)
    ioapic.bench.write_mmio(EOI, 0x51)
    assert len(ioapic.sent) == 1
    assert ioapic.bench.guest_errors


def test_any_other_version_is_refused(bench: Bench) -> None:
    with pytest.raises(SouthbridgeError, match="version"):
        bench.plug("ioapic", version=0x12)


@pytest.mark.parametrize("size", [1, 2])
def test_the_window_takes_doublewords_only(ioapic: Ioapic, size: int) -> None:
    ioapic.bench.write_mmio(INDEX, 1, size)
    assert ioapic.bench.read_mmio(INDEX) == 0


def test_without_local_apics_a_message_is_lost(bench: Bench) -> None:
    device = bench.plug("ioapic")
    device.table[4] = 0x51
    bench.machine.isa.wires[4].pin().set(True)
    assert any("no interrupt controller" in error for error in bench.guest_errors)


def test_accelerators_are_told_what_is_level_triggered(ioapic: Ioapic) -> None:
    told: list[dict[int, tuple[int, int]]] = []

    class Accelerator:
        @hookimpl
        def level_routes_changed(self, routes: dict[int, tuple[int, int]]) -> None:
            told.append(routes)

    ioapic.bench.machine.hooks.register(Accelerator(), "accelerator")
    ioapic.redirect(9, MASKED | LEVEL | 0x51)
    ioapic.redirect(9, LEVEL | 0x51)  # a mask changes nothing: an interrupt that is under way ends later
    ioapic.redirect(4, 0x61)
    ioapic.pins[9].set(True)
    assert told == [{9: (0xFEE0_0000, 0xC051)}]
    saved = ioapic.device.save()
    ioapic.device.reset()
    assert (told[1:], ioapic.bench.machine.level_routes) == ([{}], {})
    ioapic.device.load(saved)
    assert ioapic.bench.machine.level_routes == {9: (0xFEE0_0000, 0xC051)}
    ioapic.bench.machine.unplug(ioapic.device)
    assert ioapic.bench.machine.level_routes == {}


def test_unplugged_it_hears_nothing(ioapic: Ioapic) -> None:
    ioapic.redirect(4, 0x51)
    ioapic.bench.machine.unplug(ioapic.device)
    ioapic.pins[4].set(True)
    ioapic.end(0x51)
    assert ioapic.sent == []
    assert ioapic.bench.machine.cpus.eoi_listeners == []


def test_state_is_restored(ioapic: Ioapic) -> None:
    ioapic.redirect(9, LEVEL | 0x51, 3)
    ioapic.pins[9].set(True)
    saved = ioapic.device.save()
    ioapic.device.reset()
    ioapic.device.load(saved)
    assert ioapic.device.save() == saved
    ioapic.sent.clear()
    ioapic.end(0x51)
    assert ioapic.sent == [(0xFEE0_3000, 0xC051)]


@pytest.mark.parametrize("table", [[MASKED] * 23, [MASKED] * 25, [1 << 64] + [MASKED] * 23, [-1] * 24, ["a"] * 24])
def test_a_wrong_state_is_refused(ioapic: Ioapic, table: list[Any]) -> None:
    saved = ioapic.device.save()
    saved["state"]["table"] = table
    with pytest.raises(SouthbridgeError, match="table"):
        ioapic.device.load(saved)


# --- random lives ----------------------------------------------------------------------------------------------------


class NaiveInput:
    """One input as the datasheet has it."""

    def __init__(self) -> None:
        self.high = self.level = self.busy = False
        self.masked = True
        self.sent = 0

    def look(self) -> None:
        """A level is sent while none is under way."""
        if self.high and self.level and not self.masked and not self.busy:
            self.busy = True
            self.sent += 1

    def set(self, high: bool) -> None:
        rises = high and not self.high
        self.high = high
        if rises and not self.level and not self.masked:
            self.sent += 1
        self.look()

    def program(self, level: bool, masked: bool) -> None:
        self.level, self.masked = level, masked
        self.busy = self.busy and level
        self.look()

    def end(self) -> None:
        self.busy = False
        self.look()


class Life(RuleBasedStateMachine):
    """Inputs 3 to 15, each with a vector of its own."""

    def __init__(self) -> None:
        super().__init__()
        self.ioapic = Ioapic(Bench(memory=1 << 20))
        self.naive = [NaiveInput() for _ in range(16)]
        self.counts = [0] * 16

    @rule(number=st.integers(3, 15), high=st.booleans())
    def line(self, number: int, high: bool) -> None:
        self.ioapic.pins[number].set(high)
        self.naive[number].set(high)

    @rule(number=st.integers(3, 15), level=st.booleans(), masked=st.booleans())
    def program(self, number: int, level: bool, masked: bool) -> None:
        self.ioapic.write(0x10 + 2 * number, 0x50 + number | level << 15 | masked << 16)
        self.naive[number].program(level, masked)

    @rule(number=st.integers(3, 15))
    def end(self, number: int) -> None:
        self.ioapic.end(0x50 + number)
        self.naive[number].end()

    @rule()
    def save_and_load(self) -> None:
        self.ioapic.device.load(self.ioapic.device.save())

    @invariant()
    def same(self) -> None:
        for _, data in self.ioapic.sent:
            self.counts[(data & 0xFF) - 0x50] += 1
        assert self.counts == [naive.sent for naive in self.naive]
        for number in range(3, 16):
            assert bool(self.ioapic.read(0x10 + 2 * number) & REMOTE_IRR) == self.naive[number].busy


TestLife = Life.TestCase
TestLife.settings = settings(max_examples=40, stateful_step_count=40, deadline=None)
