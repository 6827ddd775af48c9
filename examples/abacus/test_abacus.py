"""The abacus on a bench: pytest finds the fixture `bench` by itself once Southbridge is installed."""

from __future__ import annotations

from acme_abacus import Abacus
from southbridge.testing import Bench

BAR = 0xE000_0000


def test_a_carry_raises_the_interrupt(bench: Bench) -> None:
    """Thirteen beads on a wire of ten: the wire begins anew, and says so."""
    abacus = bench.plug(Abacus, beads=10)
    bench.place(abacus, "bar0", BAR)
    bench.write_mmio(BAR + 0x04, 13)
    assert bench.read_mmio(BAR + 0x0C) == 0b001
    bench.clock.advance(ms=10)
    assert bench.read_mmio(BAR + 0x08) == 3
    assert bench.read_mmio(BAR + 0x0C) == 0b110
    assert abacus.interrupt.asserted
    bench.write_mmio(BAR + 0x0C, 0b010)
    assert not abacus.interrupt.asserted
