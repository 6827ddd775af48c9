"""Random programs of a driver that knows no rules: whatever is in the rings and registers, the card does bounded work,
and once it is reset it works.

    python -m tests.plugins.e1000.test_programs --seconds 1800 --seed 1

runs these, and those against a model, for so long, each time with other seeds; what fails is minimized.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable

from hypothesis import given, seed, settings
from hypothesis import strategies as st
from southbridge.testing import Bench
from southbridge.testing.bench import FlatBenchMemory, WindowedBenchMemory

from tests.plugins.e1000 import test_against_a_model as model
from tests.plugins.e1000.driver import (
    CTRL,
    EOP,
    IFCS,
    RCTL,
    RDBAL,
    RDH,
    RDLEN,
    RDT,
    RS,
    RXCSUM,
    TCTL,
    TDBAL,
    TDH,
    TDLEN,
    TDT,
    TX_BUFFERS,
    TX_RING,
    TXDCTL,
    VFTA,
    Driver,
    frame,
    legacy,
)

KINDS = ("e1000", "e1000-82544gc", "e1000-82545em")
RINGS = (0x1_0000, 0x1_0010, 0xF_FF00, 0x20_0000, 0xFFFF_FF00)
"""Where there is memory, where it ends, and where the other ring is."""
REGISTERS = (CTRL, RCTL, TCTL, TDBAL, TDLEN, TDH, TDT, RDBAL, RDLEN, RDH, RDT, RXCSUM, TXDCTL, VFTA, 0x00C4, 0x3820)
LOOPBACK = 0xC0
MOST_FRAMES = 200_000
"""Many more than one step may make of what fits into two rings."""

word = st.one_of(st.integers(0, 0xFFFF_FFFF), st.integers(0, 300), st.sampled_from(RINGS))
command = st.integers(0, 0xFF)
steps = st.one_of(
    st.tuples(st.just("register"), st.sampled_from(REGISTERS), word),
    st.tuples(st.just("descriptor"), st.integers(0, 40), st.lists(word, min_size=4, max_size=4)),
    st.tuples(st.just("packet"), st.integers(0, 40), st.tuples(st.integers(0, 0xFFFF), command, st.integers(0, 15))),
    st.tuples(st.just("frame"), st.integers(0, 9000), st.booleans()),
    st.tuples(st.just("time"), st.integers(1, 10_000), st.just(0)),
)


@settings(max_examples=60, deadline=None)
@given(st.lists(steps, max_size=40), st.booleans(), st.sampled_from(KINDS))
def test_any_program_leaves_a_card_that_works(
    program: list[tuple[str, int, object]], windowed: bool, kind: str
) -> None:
    bench = Bench(WindowedBenchMemory if windowed else FlatBenchMemory)
    driver = Driver(bench, kind)
    driver.start_transmitter(16)
    driver.start_receiver(16)
    for step in program:
        carry_out(driver, *step)
        assert len(driver.line.frames) < MOST_FRAMES
        driver.line.frames.clear()
    driver.write(CTRL, 1 << 26)
    bench.clock.advance(ms=600)
    driver.line.make_room(1000)
    driver.line.frames.clear()
    driver.sent = 0
    driver.start_transmitter(16)
    bench.write_memory(TX_BUFFERS, frame(b"alive" * 20))
    driver.put(legacy(TX_BUFFERS, len(frame(b"alive" * 20)), EOP | IFCS | RS))
    driver.go()
    bench.clock.advance(ms=1)
    assert driver.line.frames == [frame(b"alive" * 20)]
    bench.close()


def carry_out(driver: Driver, kind: str, number: int, what: object) -> None:
    """One step."""
    if kind == "register":
        assert isinstance(what, int)
        driver.write(number, what & ~(1 << 26) if number == CTRL else what)
    elif kind == "descriptor":
        assert isinstance(what, list)
        driver.bench.write_memory(TX_RING + 16 * number, b"".join(part.to_bytes(4, "little") for part in what))
    elif kind == "packet":
        assert isinstance(what, tuple)
        length, flags, kind_of = what
        rest = length | kind_of << 20 | flags << 24 | (length & 3) << 40
        words = (TX_BUFFERS + 7 * number).to_bytes(8, "little") + rest.to_bytes(8, "little")
        driver.bench.write_memory(TX_RING + 16 * number, words)
    elif kind == "frame":
        driver.line.give(frame(bytes(number) if what else b"\x06" * number))
    else:
        driver.bench.clock.advance(us=number)


def main() -> None:
    """See the module."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    properties: list[Callable[..., None]] = [
        test_any_program_leaves_a_card_that_works,
        model.test_transmitting,
        model.test_receiving,
    ]
    end, number = time.monotonic() + options.seconds, options.seed
    while time.monotonic() < end:
        for each in properties:
            seed(number)(each)()
        number += 1
    print(f"seeds {options.seed} to {number - 1}: nothing found")


if __name__ == "__main__":
    main()
