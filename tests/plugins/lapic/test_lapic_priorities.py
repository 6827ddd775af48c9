"""Random lives of a local APIC, beside a naive model written from the SDM."""

from __future__ import annotations

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule
from southbridge.testing import Bench

from tests.plugins.lapic import apics as a
from tests.plugins.lapic.apics import Apics
from tests.plugins.lapic.naive import NaiveApic

VECTORS = st.one_of(st.integers(0, 0xFF), st.sampled_from([0x10, 0x1F, 0x50, 0x51, 0x5F, 0x60, 0xF0, 0xFF]))


class Life(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.apics = Apics(Bench(memory=1 << 20))
        self.apics.write(a.LVT_LINT0, a.MASKED)
        self.told: int | None = None
        self.apics.machine.cpus.interrupt_changed = self.changed
        self.naive = NaiveApic()

    def changed(self) -> None:
        self.told = self.apics.pending()

    @rule(vector=VECTORS, level=st.booleans())
    def message(self, vector: int, level: bool) -> None:
        self.apics.msi(vector | (a.LEVEL | a.ASSERT if level else 0))
        self.naive.send(vector, level)

    @rule(vector=VECTORS)
    def to_itself(self, vector: int) -> None:
        self.apics.ipi(a.SELF | vector)
        self.naive.send(vector, False)

    @rule(priority=VECTORS)
    def task_priority(self, priority: int) -> None:
        self.apics.write(a.TPR, priority)
        self.naive.tpr = priority

    @rule(priority=st.integers(0, 15))
    def cr8(self, priority: int) -> None:
        self.apics.apic().cr8 = priority
        self.naive.tpr = priority << 4

    @rule()
    def take(self) -> None:
        if self.apics.pending() is not None:
            assert self.apics.take() == self.naive.take()

    @rule()
    def end(self) -> None:
        self.apics.write(a.EOI, 0)
        self.naive.end()

    @rule(enabled=st.booleans())
    def software(self, enabled: bool) -> None:
        self.apics.write(a.SVR, 0xFF | enabled << 8)
        self.naive.enabled = enabled

    @rule()
    def save_and_load(self) -> None:
        self.apics.device.load(self.apics.device.save())

    @invariant()
    def same(self) -> None:
        assert self.apics.pending() == self.naive.request() == self.told
        assert self.apics.read(a.PPR) == self.naive.ppr()
        assert self.apics.vectors(a.IRR) == sorted(self.naive.waiting)
        assert self.apics.vectors(a.ISR) == sorted(self.naive.serving)
        assert self.apics.ended == self.naive.ended


TestLife = Life.TestCase
TestLife.settings = settings(max_examples=50, stateful_step_count=40, deadline=None)
