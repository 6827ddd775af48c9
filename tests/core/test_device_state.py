"""The devices' state in a file: another machine goes on from it, and nothing else is taken for it."""

from __future__ import annotations

import os
from collections.abc import Callable

import pytest
from southbridge.device_state import devices_state, load_devices_state
from southbridge.errors import SouthbridgeError
from southbridge.testing import Bench

from tests.core.fake_pc import Pc, spins


def pipe_with(data: bytes) -> int:
    """A descriptor from which `data` can be read."""
    reading, writing = os.pipe()
    os.write(writing, data)
    os.close(writing)
    return reading


def test_there_and_back() -> None:
    pc, other = Pc(spins), Pc(spins)
    state = devices_state(pc.machine)
    load_devices_state(other.machine, pipe_with(state))
    assert devices_state(other.machine) == state


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda data: b"", "cut off: 0 bytes"),
        (lambda data: data[:20], "cut off: 20 bytes"),
        (lambda data: b"QEVM" + data[4:], "is no state of Southbridge's devices"),
        (lambda data: data[:8] + b"\x02" + data[9:], "has format 2; known is 1"),
        (lambda data: data[:-1], "damaged"),
        (lambda data: data + b"x", "damaged"),
        (lambda data: data[:-1] + b"x", "damaged"),
    ],
)
def test_what_is_none(spoil: Callable[[bytes], bytes], message: str) -> None:
    pc = Pc(spins)
    state = devices_state(pc.machine)
    with pytest.raises(SouthbridgeError, match=message):
        load_devices_state(pc.machine, pipe_with(spoil(state)))


def test_another_machines(bench: Bench) -> None:
    pc = Pc(spins)
    state = devices_state(bench.machine)
    if bench.machine.devices.keys() != pc.machine.devices.keys():
        with pytest.raises(SouthbridgeError, match="of a machine with other devices: "):
            load_devices_state(pc.machine, pipe_with(state))
