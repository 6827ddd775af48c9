"""Random lives of the pair, beside a naive model written from the datasheet."""

from __future__ import annotations

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule
from southbridge.interrupts import Pin
from southbridge.testing import Bench

from tests.plugins.i8259.naive import NaiveChip, NaivePair, byte

PORTS, BASES = (0x20, 0xA0), (0x08, 0x70)
LEVELS = st.integers(0, 7)
CHIPS = st.integers(0, 1)


class Pair(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.bench = Bench(memory=1 << 20)
        self.told: int | None = None
        self.bench.machine.cpus.interrupt_changed = self.changed  # type: ignore[method-assign]
        self.device = self.bench.plug("i8259")
        self.naive = NaivePair()
        self.pins: list[Pin] = [wire.pin() for wire in self.bench.machine.isa.wires]
        for chip in (0, 1):
            self.initialize(chip, ltim=False, sfnm=False, aeoi=False)

    def changed(self) -> None:
        self.told = self.device.pending_vector()

    def chip(self, index: int) -> NaiveChip:
        return (self.naive.master, self.naive.slave)[index]

    def command(self, chip: int, value: int) -> None:
        self.bench.write_port(PORTS[chip], value)

    @rule(chip=CHIPS, ltim=st.booleans(), sfnm=st.booleans(), aeoi=st.booleans())
    def initialize(self, chip: int, ltim: bool, sfnm: bool, aeoi: bool) -> None:
        naive = self.chip(chip)
        naive.ready = False
        naive.initialize(ltim)
        self.naive.settle()
        self.command(chip, 0x11 | ltim << 3)
        for icw in (BASES[chip], (4, 2)[chip], 0x01 | sfnm << 4 | aeoi << 1):
            self.bench.write_port(PORTS[chip] + 1, icw)
        naive.ready, naive.sfnm, naive.aeoi = True, sfnm, aeoi

    @rule(number=st.integers(0, 15).filter(lambda n: n != 2), high=st.booleans())
    def line(self, number: int, high: bool) -> None:
        self.pins[number].set(high)
        self.chip(number >> 3).set_line(number & 7, high)

    @rule(number=st.integers(3, 15), level=st.booleans())
    def trigger(self, number: int, level: bool) -> None:
        mask = self.bench.machine.isa.level_triggered
        self.bench.machine.isa.set_level_triggered(mask | 1 << number if level else mask & ~(1 << number))
        self.chip(number >> 3).elcr[number & 7] = level

    @rule()
    def acknowledge(self) -> None:
        vector, number = self.device.pending_vector(), self.naive.request()
        if vector is not None and number is not None:
            self.device.acknowledge(vector)
            self.naive.acknowledge(number)

    @rule(chip=CHIPS)
    def poll(self, chip: int) -> None:
        self.command(chip, 0x0C)
        assert self.bench.read_port(PORTS[chip]) == self.naive.poll(self.chip(chip))

    @rule(chip=CHIPS, mask=st.integers(0, 0xFF))
    def mask(self, chip: int, mask: int) -> None:
        self.bench.write_port(PORTS[chip] + 1, mask)
        self.chip(chip).masked = [bool(mask >> n & 1) for n in range(8)]

    @rule(chip=CHIPS, rotate=st.booleans())
    def non_specific_eoi(self, chip: int, rotate: bool) -> None:
        self.command(chip, 0xA0 if rotate else 0x20)
        self.chip(chip).end(None, rotate)

    @rule(chip=CHIPS, level=LEVELS, rotate=st.booleans())
    def specific_eoi(self, chip: int, level: int, rotate: bool) -> None:
        self.command(chip, (0xE0 if rotate else 0x60) | level)
        self.chip(chip).end(level, rotate)

    @rule(chip=CHIPS, level=LEVELS)
    def set_priority(self, chip: int, level: int) -> None:
        self.command(chip, 0xC0 | level)
        self.chip(chip).make_lowest(level)

    @rule(chip=CHIPS, on=st.booleans())
    def rotate_in_automatic_eoi(self, chip: int, on: bool) -> None:
        self.command(chip, 0x80 if on else 0x00)
        self.chip(chip).rotate_in_aeoi = on

    @rule(chip=CHIPS, on=st.booleans())
    def special_mask_mode(self, chip: int, on: bool) -> None:
        self.command(chip, 0x68 if on else 0x48)
        self.chip(chip).special_mask = on

    @rule(chip=CHIPS, level=LEVELS)
    def no_operation(self, chip: int, level: int) -> None:
        self.command(chip, 0x40 | level)

    @rule()
    def save_and_load(self) -> None:
        self.device.load(self.device.save())

    @invariant()
    def same(self) -> None:
        self.naive.settle()
        number = self.naive.request()
        vector = None if number is None else BASES[number >> 3] | number & 7
        assert self.device.pending_vector() == vector
        assert self.told == vector
        for index, port in enumerate(PORTS):
            chip = self.chip(index)
            self.bench.write_port(port, 0x0B)
            assert self.bench.read_port(port) == byte(chip.in_service)
            self.bench.write_port(port, 0x0A)
            assert self.bench.read_port(port) == byte([chip.irr(n) for n in range(8)])
            assert self.bench.read_port(port + 1) == byte(chip.masked)


TestPair = Pair.TestCase
TestPair.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)
