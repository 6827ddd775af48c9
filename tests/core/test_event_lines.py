"""ISA lines that are raised through event descriptors, where no accelerator takes these."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest
from southbridge import SouthbridgeError
from southbridge.testing import Bench


@pytest.fixture
def descriptor() -> Iterator[int]:
    made = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
    yield made
    os.close(made)


def test_each_signal_is_a_rising_edge(bench: Bench, descriptor: int) -> None:
    machine = bench.machine
    levels: list[bool] = []
    machine.isa.wires[5].connect(levels.append)
    with machine.lock:
        machine.event_lines.bind(descriptor, 5)
        for _ in range(2):
            os.eventfd_write(descriptor, 1)
            machine.event_lines._watch.deliver(descriptor)
        assert levels == [True, False, True]
        machine.event_lines.unbind(descriptor)
        assert levels == [True, False, True, False]
        machine.event_lines.close()


def test_what_was_signalled_before_the_end_is_not_lost(bench: Bench, descriptor: int) -> None:
    machine = bench.machine
    levels: list[bool] = []
    machine.isa.wires[5].connect(levels.append)
    with machine.lock:
        machine.event_lines.bind(descriptor, 5)
        os.eventfd_write(descriptor, 1)
        machine.event_lines.close()
    assert levels == [True, False]


def test_a_descriptor_has_one_line(bench: Bench, descriptor: int) -> None:
    machine = bench.machine
    with machine.lock:
        machine.event_lines.bind(descriptor, 5)
        with pytest.raises(SouthbridgeError, match=f"event descriptor {descriptor} is bound to IRQ 5 already"):
            machine.event_lines.bind(descriptor, 6)
        machine.event_lines.close()
